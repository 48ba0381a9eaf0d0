"""The driver of the real engine, with faults injected by a program that stands in for vLLM.

The tests with vLLM itself are in tests/vllm.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import multiprocessing
import os
import pickle
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from objectives.engines import bounded_log
from objectives.engines import ports
from objectives.engines import readiness
from objectives.engines import server
from objectives.engines import server_engine
from objectives.engines.base import Engine
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import RunningEngine
from objectives.engines.command import EngineArgumentError
from objectives.engines.guardian import descendants_of
from objectives.engines.vllm import VllmEngine
from objectives.loadgen import LoadOptions
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


Make = Callable[..., VllmEngine]


@pytest.fixture
def make(stand_in: list[str], model_dir: Path, tmp_path: Path) -> Make:
    """Makes an engine whose server behaves as told."""

    def make_engine(behaviour: str = "good", **more: Any) -> VllmEngine:
        env = {"STAND_IN": behaviour, **more.pop("env", {})}
        settings = {"log_dir": tmp_path / "logs", "grace": 0.3, "startup_timeout": 30.0, **more}
        return VllmEngine(str(model_dir), command=stand_in, env=env, **settings)

    return make_engine


def nothing_is_left() -> bool:
    """Whether this process has no descendant but its own helpers of multiprocessing."""
    commands = [Path(f"/proc/{pid}/cmdline") for pid in descendants_of(os.getpid())]
    return not any(b"stand_in_server" in c.read_bytes() for c in commands if c.exists())


def test_serves_and_leaves_nothing(make: Make, workload: Workload) -> None:
    engine = make(engine_args={"max_model_len": 128})
    assert isinstance(engine, Engine)
    params = {"max_num_seqs": 8, "enable_prefix_caching": False}
    with engine.start(params, "trial-7") as running:
        assert isinstance(running, RunningEngine)
        result = running.serve(workload)
        port = running.address.port
        assert not ports.is_free("127.0.0.1", port)
    assert ports.is_free("127.0.0.1", port)
    assert nothing_is_left()
    assert [r.error for r in result.records] == [None] * 12
    assert [r.prompt_tokens for r in result.records] == list(range(5, 17))
    assert [r.output_tokens for r in result.records] == list(range(2, 14))
    assert result.short_outputs == result.prompt_length_mismatches == 0
    assert running.info["engine"] == "vLLM 0.0.1"
    log = Path(running.info["log"])
    assert log.name.startswith("trial-7-")
    assert "arguments" in log.read_text(encoding="utf-8")
    expected = "--max-model-len 128 --max-num-seqs 8 --no-enable-prefix-caching"
    assert running.info["command"].endswith(expected)


@pytest.mark.parametrize("added", [-1, 1, 2])
def test_prompts_are_written_for_the_tokens_that_the_server_adds(
    make: Make, workload: Workload, added: int
) -> None:
    with make(f"count {added}").start({}, "trial-0") as running:
        result = running.serve(workload)
    assert result.completed == 12
    assert [r.prompt_tokens for r in result.records] == list(range(5, 17))
    assert result.prompt_length_mismatches == 0


@pytest.mark.parametrize("behaviour", ["count 3", "count-words", "count-late 1"])
def test_server_that_counts_otherwise_is_not_measured(
    make: Make, workload: Workload, behaviour: str
) -> None:
    with (
        make(behaviour).start({}, "trial-0") as running,
        pytest.raises(ExternalFailure, match=r"the server counts .* another tokenizer"),
    ):
        running.serve(workload)


@pytest.mark.parametrize(("n_tokens", "agrees"), [(1, True), (2, False)])
def test_counts_of_the_trace_are_compared_where_there_is_no_tokenizer(
    stand_in: list[str], tmp_path: Path, n_tokens: int, agrees: bool
) -> None:
    requests = (TraceRequest(3, 2, prompt="a b c"), TraceRequest(n_tokens, 2, prompt="a"))
    scheduled = tuple(ScheduledRequest(i, 0.0, request) for i, request in enumerate(requests))
    load = Workload(scheduled, "texts", 1.0)
    (tmp_path / "model").mkdir()
    engine = VllmEngine(str(tmp_path / "model"), command=stand_in, log_dir=tmp_path, grace=0.3)
    with engine.start({}, "trial-0") as running:
        if agrees:
            assert [r.prompt_tokens for r in running.serve(load).records] == [3, 1]
            return
        with pytest.raises(ExternalFailure, match=r"counts 1 tokens .* that has 2 as the trace"):
            running.serve(load)


def test_every_start_has_its_own_port_name_and_log(make: Make) -> None:
    engine = make()
    with engine.start({}, "trial-0") as one, engine.start({}, "trial-0") as two:
        assert one.address.port != two.address.port
        assert one.address.model_name != two.address.model_name
        assert one.info["log"] != two.info["log"]


@pytest.mark.parametrize(
    ("behaviour", "reason", "detail"),
    [
        ("die 1 ValueError: max_num_seqs is too small", "known_constraint", "too small"),
        ("die 1 torch.OutOfMemoryError: CUDA out of memory", "out_of_memory", "CUDA"),
        ("die 3 nothing known", "startup_failed", "nothing known"),
    ],
)
def test_crash_at_start(make: Make, behaviour: str, reason: str, detail: str) -> None:
    with pytest.raises(EngineCrash, match=detail) as crash:
        make(behaviour).start({"max_num_seqs": 8}, "trial-0")
    assert crash.value.reason == reason
    assert "--max-num-seqs 8" in crash.value.info["command"]
    assert behaviour.split(" ", 2)[2] in Path(crash.value.info["log"]).read_text(encoding="utf-8")
    assert nothing_is_left()


@pytest.mark.parametrize("behaviour", ["hang", "unhealthy", "mute"])
def test_start_takes_no_longer_than_allowed(make: Make, behaviour: str) -> None:
    with pytest.raises(EngineCrash) as crash:
        make(behaviour, startup_timeout=1.0).start({}, "trial-0")
    assert crash.value.reason == "startup_timeout"
    assert nothing_is_left()


def test_stranger_on_the_port_is_never_measured(make: Make) -> None:
    with pytest.raises(ExternalFailure, match="another program answers") as failure:
        make("stranger").start({}, "trial-0")
    assert failure.value.reason == "port_taken"
    assert nothing_is_left()


def test_port_of_the_user_must_be_free(make: Make) -> None:
    with make().start({}, "trial-0") as stranger:
        engine = make(port=stranger.address.port)
        with pytest.raises(ExternalFailure, match="holds port") as failure:
            engine.start({}, "trial-1")
    assert failure.value.reason == "port_taken"
    with engine.start({}, "trial-2") as running:  # now it is free
        assert running.address.port == engine.port


def test_clash_after_the_choice_of_a_port_is_tried_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make()
    with engine.start({}, "trial-0") as other:
        free = ports.choose_port("127.0.0.1")
        # The first choice is taken in the meantime, as by another worker.
        choices = iter([other.address.port, other.address.port, free])
        pauses: list[float] = []
        sleep = time.sleep
        monkeypatch.setattr(server_engine, "PORT_PAUSE_SECONDS", 77.0)
        monkeypatch.setattr(time, "sleep", lambda s: pauses.append(s) if s >= 77.0 else sleep(s))
        monkeypatch.setattr(ports, "choose_port", lambda host: next(choices))
        monkeypatch.setattr(ports, "check_port", lambda host, port: None)
        with engine.start({}, "trial-1") as running:
            assert running.address.port == free
    assert pauses == [77.0, 154.0]


def test_death_under_load(make: Make, workload: Workload) -> None:
    # The first request is the driver's own.
    with make("die-under-load 5").start({}, "trial-0") as running:
        with pytest.raises(EngineCrash, match="CUDA out of memory") as crash:
            running.serve(workload)
        assert crash.value.reason == "out_of_memory"


def test_kill_from_outside_under_load(make: Make, workload: Workload) -> None:
    with make("stall 3").start({}, "trial-0") as running:
        killer = threading.Timer(0.5, os.kill, (running.pid, signal.SIGABRT))
        killer.start()
        with pytest.raises(EngineCrash) as crash:
            running.serve(workload)
        assert crash.value.reason == "died_under_load"


def test_interrupt_from_outside_under_load(make: Make, workload: Workload) -> None:
    with make("stall 3").start({}, "trial-0") as running:
        killer = threading.Timer(0.5, os.kill, (running.pid, signal.SIGTERM))
        killer.start()
        with pytest.raises(ExternalFailure) as failure:
            running.serve(workload)
        assert failure.value.reason == "interrupted"


def test_requests_without_answer_are_given_up(make: Make, workload: Workload) -> None:
    load = LoadOptions(request_timeout_s=0.5, drain_timeout_s=5.0)
    with make("stall 5", load=load).start({}, "trial-0") as running:
        result = running.serve(workload)  # the engine lives: whoever asks judges the records
    assert result.completed == 4
    assert set(result.failures()) == {"timeout"}


def in_an_hour(workload: Workload) -> Workload:
    """The same with a last request that no test waits for."""
    last = ScheduledRequest(12, 3600.0, TraceRequest(prompt_tokens=9, output_tokens=3))
    return Workload((*workload.requests, last), "long", 3600.0)


@pytest.mark.parametrize("answered", [1, 5])
def test_server_without_a_sign_of_life_hangs(
    make: Make, workload: Workload, monkeypatch: pytest.MonkeyPatch, answered: int
) -> None:
    # The driver's own request is the first. Without a look at the server it would be an hour.
    monkeypatch.setattr(server, "DEATH_WAIT_SECONDS", 0.5)
    monkeypatch.setattr(readiness, "HTTP_TIMEOUT_SECONDS", 0.5)
    load = LoadOptions(request_timeout_s=7200.0)
    with make(f"freeze {answered}", hang_timeout=1.0, load=load).start({}, "trial-0") as running:
        with pytest.raises(EngineCrash, match="it lives but answers no more") as crash:
            running.serve(in_an_hour(workload))
        assert crash.value.reason == "died_under_load"


@pytest.mark.skipif(sys.platform != "linux", reason="known on Linux alone")
@pytest.mark.parametrize("answered", [0, 1, 5])
def test_server_that_somebody_stopped_says_nothing_about_the_parameters(
    make: Make, workload: Workload, answered: int
) -> None:
    engine = make(f"stop {answered}", hang_timeout=1.0, startup_timeout=3600.0)

    def start_and_serve() -> None:
        with engine.start({}, "trial-0") as running:
            running.serve(in_an_hour(workload))

    with pytest.raises(ExternalFailure, match="somebody has stopped the engine") as failure:
        start_and_serve()
    assert failure.value.reason == "interrupted"
    assert nothing_is_left()


@pytest.mark.skipif(sys.platform != "linux", reason="known on Linux alone")
def test_server_stopped_at_its_first_request_is_noticed(make: Make) -> None:
    engine = make("stop-warm-up", hang_timeout=1.0, startup_timeout=3600.0)
    with pytest.raises(ExternalFailure, match="somebody has stopped the engine"):
        engine.start({}, "trial-0")
    assert nothing_is_left()


def test_slow_server_is_not_taken_for_one_that_hangs(make: Make, workload: Workload) -> None:
    with make("slow 3", hang_timeout=1.0).start({}, "trial-0") as running:
        result = running.serve(workload)
    assert result.completed == 12
    assert result.duration > 2.0


def test_server_whose_log_cannot_be_written_says_nothing_about_the_parameters(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every log is on a disk that is full.
    (tmp_path / "logs").mkdir()
    monkeypatch.setattr(server_engine, "Path", lambda _: FullDisk())
    for behaviour in ("chatter 1", "die 3 nothing known"):
        with pytest.raises(ExternalFailure, match="cannot be written: No space left") as failure:
            make(behaviour).start({}, "trial-0")
        assert failure.value.reason == "file_system"
    assert nothing_is_left()


class FullDisk:
    """A folder whose files are all full."""

    def __truediv__(self, name: str) -> Path:
        return Path("/dev/full")


def test_output_without_end_keeps_no_server_from_serving(make: Make, workload: Workload) -> None:
    with make("chatter 20").start({}, "trial-0") as running:
        assert running.serve(workload).completed == 12
    size = Path(running.info["log"]).stat().st_size
    assert size < bounded_log.HEAD_BYTES + 2 * bounded_log.TAIL_BYTES + 100


def test_server_that_ignores_sigterm_is_killed(make: Make) -> None:
    running = make("deaf").start({}, "trial-0")
    running.stop()
    running.stop()
    assert nothing_is_left()
    assert ports.is_free("127.0.0.1", running.address.port)


def test_it_listens_on_this_machine_alone_whatever_the_command_says(
    stand_in: list[str], model_dir: Path, tmp_path: Path
) -> None:
    engine = VllmEngine(str(model_dir), command=[*stand_in, "--host", "0.0.0.0"], log_dir=tmp_path)
    with engine.start({}, "trial-0") as running:
        words = Path(f"/proc/{running.pid}/cmdline").read_text(encoding="utf-8").split("\0")
        hosts = [word for before, word in itertools.pairwise(words) if before == "--host"]
        with socket.create_server(("127.0.0.2", running.address.port)):
            pass  # one that listened everywhere would have the port here, too
    assert hosts == ["0.0.0.0", "127.0.0.1"]  # the last one holds


def test_secrets_are_shown_nowhere(make: Make, workload: Workload) -> None:
    engine = make(engine_args={"api_key": "sk-verysecret"}, env={"HF_TOKEN": "hf-verysecret"})
    with engine.start({}, "trial-0") as running:
        assert running.serve(workload).failed == 0
        command_line = Path(f"/proc/{running.pid}/cmdline").read_text(encoding="utf-8")
    log = Path(running.info["log"]).read_text(encoding="utf-8")
    for text in (command_line, log, str(running.info), repr(engine), repr(running.address)):
        assert "verysecret" not in text
    failing = make("die 1 ValueError: bad token hf-verysecret", env={"HF_TOKEN": "hf-verysecret"})
    with pytest.raises(EngineCrash, match=r"bad token \*\*\*"):
        failing.start({}, "trial-0")


def test_missing_command_and_model(tmp_path: Path) -> None:
    with pytest.raises(ExternalFailure, match="/no/such/python") as missing:
        VllmEngine(str(tmp_path), python="/no/such/python").start({}, "trial-0")
    assert missing.value.reason == "engine_missing"
    engine = VllmEngine(str(tmp_path / "nope"), python=sys.executable)
    with pytest.raises(ExternalFailure, match="there is no model folder") as no_model:
        engine.start({}, "trial-0")
    assert no_model.value.reason == "no_such_model"


def test_model_without_tokenizer(make: Make, tmp_path: Path, workload: Workload) -> None:
    engine = make(tokenizer=str(tmp_path))
    with pytest.raises(ExternalFailure, match=r"tokenizer\.json") as failure:
        engine.prompts(workload)
    assert failure.value.reason == "no_such_model"


@pytest.mark.parametrize(
    ("engine_args", "params", "match"),
    [
        ({"max_num_seqs": 4}, {"max_num_seqs": 8}, "tuned and fixed at once: max_num_seqs"),
        ({}, {"scheduler_delay_factor": 0.2}, "has no parameter scheduler_delay_factor"),
    ],
)
def test_parameters_that_cannot_be_tuned(
    make: Make, engine_args: dict[str, Any], params: dict[str, Any], match: str
) -> None:
    with pytest.raises(ExternalFailure, match=match) as failure:
        make(engine_args=engine_args).start(params, "trial-0")
    assert failure.value.reason == "bad_engine_argument"


@pytest.mark.parametrize("engine_args", [{"port": 1}, {"aws_secret": "x"}, {"max-num-seqs": 1}])
def test_arguments_that_are_refused_at_once(make: Make, engine_args: dict[str, Any]) -> None:
    with pytest.raises(EngineArgumentError):
        make(engine_args=engine_args)


def test_engine_pickles_and_is_cheap_to_make(make: Make) -> None:
    engine = make(engine_args={"max_model_len": 128})
    copy = pickle.loads(pickle.dumps(engine))
    assert copy == engine
    assert copy.capabilities == engine.capabilities
    with pytest.raises(ExternalFailure):  # it is only asked when that is needed
        _ = VllmEngine("/no/such/model", python="/no/such/python").capabilities


def start_and_wait(engine: VllmEngine, pid: Any) -> None:
    running = engine.start({}, "trial-0")
    pid.value = running.pid
    time.sleep(600)


def test_no_engine_outlives_a_killed_worker(make: Make) -> None:
    context = multiprocessing.get_context("spawn")
    pid = context.Value("i", 0)
    worker = context.Process(target=start_and_wait, args=(make("deaf"), pid))
    worker.start()
    deadline = time.monotonic() + 60
    while pid.value == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    worker.kill()
    worker.join()
    while Path(f"/proc/{pid.value}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    "key", ["sk-verysecret\n", " sk-verysecret", "sk-verysécret", "sk\rverysecret"]
)
def test_key_that_no_header_carries_is_found_before_a_start_and_not_shown(
    make: Make, workload: Workload, tmp_path: Path, key: str
) -> None:
    engine = make(env={"VLLM_API_KEY": key})
    for use in (lambda: engine.check(workload), lambda: engine.start({}, "trial-0")):
        with pytest.raises(ExternalFailure, match="cannot be sent in an HTTP header") as failure:
            use()
        shown = "".join(traceback.format_exception(failure.value))
        assert "verys" not in shown + repr(engine) + repr(failure.value)
    assert not (tmp_path / "logs").exists()
    with pytest.raises(EngineArgumentError) as refused:
        make(engine_args={"api_key": key})
    assert "verys" not in str(refused.value)
    token = make(env={"HF_TOKEN": "hf_verysécret"})
    with pytest.raises(ExternalFailure, match="HF_TOKEN cannot be sent") as failure:
        token.check(workload)
    assert "verys" not in str(failure.value)


@pytest.mark.parametrize("form", [quote, repr, str, json.dumps])
def test_what_an_engine_says_of_its_key_is_shown_without_it(
    make: Make, form: Callable[[str], str]
) -> None:
    key = "sk very'hushed/+"
    said = f"die 1 ValueError: key {form(key)} is wrong"
    with pytest.raises(EngineCrash, match="is wrong") as crash:
        make(said, env={"VLLM_API_KEY": key}).start({"max_num_seqs": 8}, "trial-0")
    shown = "".join(traceback.format_exception(crash.value)) + str(crash.value.info)
    assert "hushed" not in shown


def test_engine_that_wants_another_key_is_no_stranger_and_no_crash(make: Make) -> None:
    with pytest.raises(ExternalFailure, match="does not accept the API key") as failure:
        make("other-key").start({}, "trial-0")
    assert failure.value.reason == "request_refused"
    assert nothing_is_left()


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_first_request_that_is_refused_says_nothing_of_the_parameters(
    make: Make, status: int
) -> None:
    with pytest.raises(ExternalFailure, match=f"first request with {status}: no") as failure:
        make(f"status {status}").start({}, "trial-0")
    assert failure.value.reason == "request_refused"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_first_request_that_fails_is_a_crash(make: Make, status: int) -> None:
    with pytest.raises(EngineCrash, match=f"first request with {status}") as crash:
        make(f"status {status}").start({}, "trial-0")
    assert crash.value.reason == "startup_failed"


def test_variables_before_the_command_are_the_engines(
    stand_in: list[str], model_dir: Path, tmp_path: Path
) -> None:
    words = ["STAND_IN=die 1 ValueError: told hf_verysecret", "HF_TOKEN=hf_verysecret", *stand_in]
    engine = VllmEngine(str(model_dir), command=words, log_dir=tmp_path)
    with pytest.raises(EngineCrash, match=r"told \*\*\*") as crash:
        engine.start({}, "trial-0")
    assert crash.value.info["command"].startswith(stand_in[0])
    assert "verysecret" not in repr(engine)
    missing = VllmEngine(str(model_dir), command=["HF_TOKEN=hf_verysecret"], log_dir=tmp_path)
    with pytest.raises(ExternalFailure) as failure:
        missing.start({}, "trial-0")
    assert "verysecret" not in "".join(traceback.format_exception(failure.value))


def test_model_within_a_container_is_not_looked_for_here(
    stand_in: list[str], workload: Workload, model_dir: Path, tmp_path: Path
) -> None:
    engine = VllmEngine("/models/llama", command=stand_in, log_dir=tmp_path)
    assert engine.capabilities.accepts("max_num_seqs")
    with pytest.raises(ExternalFailure, match="no /models/llama on this machine"):
        engine.prompts(workload)
    docker = tmp_path / "docker"
    docker.symlink_to(stand_in[0])
    words = [str(docker), "run", "--network", "host", "-v", f"{model_dir}:/models/llama", "image"]
    container = VllmEngine("/models/llama", command=words, log_dir=tmp_path)
    assert len(container.prompts(workload)) == len(workload.requests)
    with pytest.raises(ExternalFailure, match="needs --network host") as failure:
        VllmEngine("m", command=["docker", "run", "image"]).start({}, "trial-0")
    assert failure.value.reason == "container_failed"


def test_parameter_that_the_command_sets_is_not_tuned(make: Make, stand_in: list[str]) -> None:
    engine = dataclasses.replace(make(), command=[*stand_in, "--max-num-seqs=4"])
    with pytest.raises(
        ExternalFailure, match=r"set in the engine's command at once: max_num_seqs"
    ):
        engine.start({"max_num_seqs": 8}, "trial-0")
    with engine.start({"block_size": 16}, "trial-1"):
        pass


def test_check_finds_what_is_certain_to_fail(
    make: Make, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make().check(workload)
    assert not (tmp_path / "logs").exists()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (16, 16))
    monkeypatch.setattr(resource, "setrlimit", _refuse)
    with pytest.raises(ExternalFailure, match="may open 16 files at most"):
        make().check(workload)
    monkeypatch.undo()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 0, GPU-aa, 1\n", encoding="utf-8")
    smi.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": "0,3"}
    with pytest.raises(ExternalFailure, match="GPUs that are not there: 3"):
        make(env=env).check(workload)
    with pytest.raises(ExternalFailure, match="VLLM_PORT is set to an address"):
        make(env={"VLLM_PORT": "tcp://10.0.0.7:8000"}).check(workload)


def _refuse(*_: object) -> None:
    raise ValueError("not allowed to raise maximum limit")


def test_log_that_cannot_be_written_is_no_fault_of_the_parameters(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ExternalFailure, match=r"log .* cannot be written") as failure:
        make(log_dir=tmp_path / "file" / "logs").start({}, "trial-0")
    assert failure.value.reason == "file_system"
