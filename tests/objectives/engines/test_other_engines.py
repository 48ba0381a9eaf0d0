"""SGLang, TensorRT-LLM and any server by its command, against programs with their interface."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from objectives.engines import ports
from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.command import EngineArgumentError
from objectives.engines.failures import Phase
from objectives.engines.failures import classify_exit
from objectives.engines.server_engine import ServerEngine
from objectives.engines.sglang import SglangEngine
from objectives.engines.template import TemplateEngine
from objectives.engines.trtllm import TrtllmEngine
from objectives.spaces import sglang_space
from objectives.spaces import trtllm_space
from objectives.workload import Workload


SERVER = Path(__file__).with_name("stand_in_others.py")
LLAMA_CPP = f"{sys.executable} {SERVER} other -m {{model}} --port {{port}} {{flags}}".split()


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {"log_dir": tmp_path / "logs", "grace": 0.3, "startup_timeout": 30.0}


def stand_in(tmp_path: Path, kind: str) -> list[str]:
    script = tmp_path / kind
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SERVER}" {kind} "$@"\n')
    script.chmod(0o755)
    return [str(script)]


def served(engine: ServerEngine, params: dict[str, Any], workload: Workload) -> dict[str, Any]:
    """Start, serve a load, stop; return the facts."""
    with engine.start(params, "trial-0") as running:
        result = running.serve(workload)
        port = running.address.port
    assert result.completed == 12
    assert ports.is_free("127.0.0.1", port)
    return dict(running.info)


def test_sglang_is_started_with_its_own_options_and_tells_its_configuration(
    tmp_path: Path, model_dir: Path, settings: dict[str, Any], workload: Workload
) -> None:
    engine = SglangEngine(str(model_dir), command=stand_in(tmp_path, "sglang"), **settings)
    params = {
        "max_running_requests": None,
        "chunked_prefill_size": 4096,
        "schedule_policy": "lpm",
        "disable_radix_cache": False,
        "enable_mixed_chunk": True,
        "tensor_parallel_size": 2,
    }
    info = served(engine, params, workload)
    assert info["engine"] == "SGLang 0.5.23"
    assert info["command"].endswith(
        "--chunked-prefill-size 4096 --schedule-policy lpm --enable-mixed-chunk"
        " --tensor-parallel-size 2"
    )
    assert f"--model-path {model_dir} --served-model-name scoot-" in info["command"]
    flags = info["flags"]
    assert flags["changed"] == {"chunked_prefill_size": {"asked": 4096, "has": 2048}}
    assert {"tensor_parallel_size", "schedule_policy", "enable_mixed_chunk"} <= {
        *flags["confirmed"]
    }


def test_trtllm_is_started_with_underscores_and_known_by_its_folder(
    tmp_path: Path, model_dir: Path, settings: dict[str, Any], workload: Workload
) -> None:
    engine = TrtllmEngine(
        str(model_dir),
        command=stand_in(tmp_path, "trtllm"),
        engine_args={"max_seq_len": 4096},
        **settings,
    )
    params = {"max_batch_size": 64, "enable_chunked_prefill": False, "max_num_tokens": 512}
    info = served(engine, params, workload)
    assert info["engine"] == "TensorRT-LLM 0.0.1"
    assert f" serve {model_dir} --host 127.0.0.1 --port " in info["command"]
    assert info["command"].endswith(" --max_seq_len 4096 --max_batch_size 64 --max_num_tokens 512")
    with engine.start({"enable_chunked_prefill": True}, "trial-1") as running:
        assert running.info["command"].endswith("--enable_chunked_prefill")


@pytest.mark.parametrize("alias", [[], ["--alias", "{name}"]])
def test_any_server_is_started_by_a_template(
    model_dir: Path, settings: dict[str, Any], workload: Workload, alias: list[str]
) -> None:
    engine = TemplateEngine(str(model_dir), command=[*LLAMA_CPP, *alias], **settings)
    info = served(engine, {"threads": 4, "flash": True}, workload)
    assert f"-m {model_dir} --port " in info["command"]
    assert "--threads 4 --flash" in info["command"]
    with engine.start({"flash": False}, "trial-1") as running:
        assert "--flash" not in running.info["command"]
        assert running.address.model_name.startswith("scoot-" if alias else str(model_dir))


def test_the_tokenizer_of_a_server_by_its_command_is_not_its_option(
    model_dir: Path, settings: dict[str, Any], workload: Workload
) -> None:
    arguments = {"tokenizer": str(model_dir)}
    engine = TemplateEngine("model.gguf", command=LLAMA_CPP, engine_args=arguments, **settings)
    info = served(engine, {"threads": 2}, workload)
    assert "-m model.gguf --port" in info["command"]
    assert "tokenizer" not in info["command"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: TemplateEngine("m"),
        lambda: TemplateEngine("m", command=["serve", "{model}", "--port", "{port}"]),
        lambda: TemplateEngine("m", command=["serve", "{flags}"]),
        lambda: TemplateEngine("m", python="python", command=LLAMA_CPP),
        lambda: TrtllmEngine("m", python="python"),
        lambda: SglangEngine("m", engine_args={"api_key": "k"}),
        lambda: SglangEngine("m", engine_args={"model_path": "k"}),
    ],
)
def test_what_an_engine_cannot_be_given_is_refused_at_once(make: Any) -> None:
    with pytest.raises(EngineArgumentError):
        make()


def test_their_spaces_hold_what_their_programs_take_and_start(
    tmp_path: Path, model_dir: Path, settings: dict[str, Any]
) -> None:
    for kind, engine_class, space_of in [
        ("sglang", SglangEngine, sglang_space),
        ("trtllm", TrtllmEngine, trtllm_space),
    ]:
        engine = engine_class(str(model_dir), command=stand_in(tmp_path, kind), **settings)
        space = space_of(engine.capabilities, n_gpus=4)
        wanted = {**space.default, **{n: p.default for n, p in space.offered.items()}}
        assert "tensor_parallel_size" in wanted
        engine.start(wanted, "all").stop()
        for name, distribution in space.parameters.items():
            values = getattr(distribution, "choices", None) or (
                distribution.low,
                distribution.high,
            )
            assert all(
                engine._words({name: value}, engine._address(1, "x", None)) for value in values
            )


def test_a_parameter_that_the_program_does_not_take_is_no_crash(
    tmp_path: Path, model_dir: Path, settings: dict[str, Any]
) -> None:
    engine = SglangEngine(str(model_dir), command=stand_in(tmp_path, "sglang"), **settings)
    with pytest.raises(ExternalFailure, match="SGLang has no parameter max_num_seqs"):
        engine.start({"max_num_seqs": 4}, "trial-0")
    with pytest.raises(
        ExternalFailure, match="sh -c true does not start SGLang: asked with --help"
    ):
        _ = SglangEngine(str(model_dir), command=["sh", "-c", "true"]).capabilities


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", CrashReason.OUT_OF_MEMORY),
        (
            "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.",
            CrashReason.OUT_OF_MEMORY,
        ),
        (
            "AssertionError: chunked_prefill_size must be divisible by page_size",
            CrashReason.KNOWN_CONSTRAINT,
        ),
        ("RuntimeError: something else went wrong", CrashReason.STARTUP_FAILED),
    ],
)
def test_sglang_that_kills_itself_crashed_for_what_its_process_said(
    tmp_path: Path, model_dir: Path, settings: dict[str, Any], message: str, reason: CrashReason
) -> None:
    text = f"(most recent call last):\n  File 'scheduler.py', line 1, in run\n{message}"
    engine = SglangEngine(
        str(model_dir),
        command=stand_in(tmp_path, "sglang"),
        env={"STAND_IN": f"die 0 {text}"},
        **settings,
    )
    with pytest.raises(EngineCrash) as crash:
        engine.start({"chunked_prefill_size": 100}, "trial-0")
    assert crash.value.reason == reason
    assert message.partition(": ")[2][:30] in crash.value.detail


SGLANG_LOG = """\
[2026-11-26 16:16:22] Ignore import error when loading sglang.srt.models.inkling: No module named \
'cutlass'
/opt/sglang/srt/layers/quantization/awq/awq.py:53: UserWarning: Only CUDA, HIP and XPU support AWQ.
  warnings.warn(f"Only CUDA, HIP and XPU support AWQ currently.")
[2026-11-26 16:16:24 TP0] Load weight end. elapsed=0.03 s, type=LlamaForCausalLM
[2026-11-26 16:16:24 TP0] Scheduler hit an exception: Traceback (most recent call last):
  File "/opt/sglang/srt/managers/scheduler.py", line 6362, in run_scheduler_process
    scheduler = Scheduler(server_args, port_args)
                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=-0.049.

[2026-11-26 16:16:24] Received sigquit from a child process. It usually means the child failed.
[2026-11-26 16:16:24] kill_process_tree called: parent_pid=26081, include_parent=True, pid=26081
"""


def test_a_log_of_sglang_itself_is_read_for_what_ended_it() -> None:
    failure = classify_exit(-9, SGLANG_LOG, Phase.STARTING, ["chunked_prefill_size"])
    assert isinstance(failure, EngineCrash)
    assert failure.reason == CrashReason.OUT_OF_MEMORY
    assert failure.detail.startswith("ValueError: Loaded weights leave no GPU memory")


def test_a_process_of_sglang_that_the_kernel_killed_ran_out_of_memory() -> None:
    log = (
        "[2026-11-26 10:00:00] Subprocess scheduler_0 (pid=7) crashed with exit code -9."
        " Triggering SIGQUIT for cleanup...\n"
        "[2026-11-26 10:00:00] SIGQUIT received. signum=3, frame=x. It usually means one child"
        " failed.\n"
    )
    failure = classify_exit(-9, log, Phase.SERVING, ())
    assert isinstance(failure, EngineCrash)
    assert failure.reason == CrashReason.OUT_OF_MEMORY
