"""vLLM itself, on the CPU: what it serves, how it refuses, how it fails, and how it ends."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from objectives.engines import ports
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.guardian import descendants_of
from objectives.engines.vllm import VllmEngine
from objectives.loadgen import Progress
from objectives.serving import ServingObjective
from objectives.spaces import vllm_space
from objectives.traces import TraceRequest
from objectives.trial_metrics import metrics_of
from objectives.workload import ScheduledRequest
from objectives.workload import Workload
from optuna_scoot.constraints.known import KnownConstraints


REQUESTS = [
    TraceRequest(
        prompt_tokens=40 + 17 * i, output_tokens=3 + 2 * i, prefix_id="p", prefix_tokens=32
    )
    for i in range(16)
]
SMALL = Workload(tuple(ScheduledRequest(i, 0.2 * i, r) for i, r in enumerate(REQUESTS)), "s", 3.2)


def commands_below(pid: int) -> list[str]:
    """Command lines of the living descendants of a process."""
    lines = []
    for descendant in descendants_of(pid):
        try:
            lines.append(Path(f"/proc/{descendant}/cmdline").read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
    return lines


def test_study_of_the_default_and_of_a_refused_configuration(engine: VllmEngine) -> None:
    space = vllm_space(engine.capabilities, fixed=engine.engine_args)
    objective = ServingObjective(engine, SMALL, space=space)
    study = optuna.create_study(directions=objective.directions)
    objective.prepare(study)
    objective.enqueue_default(study)
    refused = {**space.default, "max_num_seqs": 128, "max_num_batched_tokens": 64}
    assert not KnownConstraints(space.known_constraints).satisfied(refused)
    study.enqueue_trial(refused)
    study.optimize(objective, n_trials=2, catch=(EngineCrash,))

    default, crash = study.trials
    assert default.state == TrialState.COMPLETE
    ttft, tpot = default.values
    metrics = metrics_of(default)
    assert (ttft, tpot) == (metrics["ttft_ms_mean"], metrics["tpot_ms_mean"])
    assert tpot > 0
    assert 0 < ttft <= metrics["e2el_ms_mean"]
    assert metrics["completed"] == len(REQUESTS)
    # What the server counted is what the workload asked for, token for token.
    assert metrics["total_input_tokens"] == sum(r.prompt_tokens for r in REQUESTS)
    assert metrics["total_output_tokens"] == sum(r.output_tokens for r in REQUESTS)
    assert metrics["prompt_length_mismatches"] == metrics["short_outputs"] == 0
    assert re.fullmatch(r"vLLM \d+\.\d+.*", default.user_attrs["engine"])
    command = default.user_attrs["command"]
    assert re.search(r"--served-model-name scoot-\w+ --host 127\.0\.0\.1 --port \d+ ", command)
    assert ports.is_free("127.0.0.1", int(re.findall(r"--port (\d+)", command)[0]))

    assert crash.state == TrialState.FAIL
    assert crash.user_attrs["crash_reason"] == "known_constraint"
    assert "greater than or equal to max_num_seqs" in crash.user_attrs["crash_detail"]
    assert not [line for line in commands_below(os.getpid()) if "vllm" in line.lower()]


def test_engine_says_what_it_takes(engine: VllmEngine) -> None:
    answer = engine.capabilities
    assert answer.device == "cpu"
    assert answer.max_model_len == 2048
    assert (answer.n_attention_heads, answer.n_kv_heads) == (8, 4)
    assert (answer.intermediate_size, answer.vocabulary) == (688, 4096)
    assert "--max-num-seqs" in answer.groups["SchedulerConfig"]
    assert "bfloat16" in answer.choices["dtype"]
    assert not answer.accepts("scheduler_delay_factor")
    assert "--no-enable-chunked-prefill" in answer.flags
    space = vllm_space(answer)
    assert space.default["max_num_seqs"] == answer.defaults["max_num_seqs"] >= 1
    assert "stream_interval" not in space.parameters
    assert {"performance_mode", "scheduler_reserve_full_isl"} == space.offered.keys()


def test_hidden_constraint_of_the_platform_is_a_crash(engine: VllmEngine) -> None:
    with pytest.raises(EngineCrash, match="block size") as crash:
        engine.start({"block_size": 8}, "hidden")
    assert crash.value.reason == "startup_failed"
    assert "--block-size 8" in crash.value.info["command"]


def test_model_that_does_not_exist_is_no_crash(engine: VllmEngine) -> None:
    nowhere = dataclasses.replace(engine, model="nobody/has-this-model")
    with pytest.raises(ExternalFailure) as failure:
        nowhere.start({"max_num_seqs": 8}, "nowhere")
    assert failure.value.reason == "no_such_model"


WORKER = """
import pickle, sys
engine = pickle.loads(bytes.fromhex(sys.argv[1]))
engine.start({"max_num_seqs": 8}, "orphan")
"""


def test_killed_worker_leaves_no_engine(engine: VllmEngine) -> None:
    import pickle

    own = Path(tempfile.mkdtemp())  # of a short path, for sockets
    engine = dataclasses.replace(engine, env={**engine.env, "TMPDIR": str(own)})
    words = [sys.executable, "-c", WORKER, pickle.dumps(engine).hex()]
    with subprocess.Popen(words) as worker:
        # Wait for the engine's core, a process of its own that loads the model.
        deadline = time.monotonic() + 300
        while not any("EngineCore" in line for line in commands_below(worker.pid)):
            assert worker.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        family = descendants_of(worker.pid)
        worker.kill()
    while any(Path(f"/proc/{pid}").exists() for pid in family):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    left = [path for path in own.iterdir() if path.is_socket() or path.name.startswith("scoot-")]
    assert left == []
    shutil.rmtree(own)


def test_core_that_dies_of_a_fatal_signal_under_load_says_which(engine: VllmEngine) -> None:
    def end_core(_: Progress) -> None:
        for pid in descendants_of(os.getpid()):
            if _name_of(pid) == "VLLM::EngineCor":
                os.kill(pid, signal.SIGSEGV)

    ended = dataclasses.replace(engine, on_progress=end_core)
    with (
        ended.start({}, "fatal") as running,
        pytest.raises(EngineCrash, match="Segfault encountered") as crash,
    ):
        running.serve(SMALL)
    assert crash.value.reason == "died_under_load"


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
