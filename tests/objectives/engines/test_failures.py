"""Failures are told apart by what vLLM really prints; the logs are cut from real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from objectives.engines import failures
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.failures import Phase
from objectives.engines.failures import classify_exit
from objectives.engines.failures import names_any
from objectives.engines.failures import read_log


TUNED = ("max_num_seqs", "max_num_batched_tokens", "block_size", "enable_chunked_prefill")
INFO = "(APIServer pid=1) INFO 11-22 13:34:20 [model.py:733] Resolved architecture: Llama\n"
CORE = "(EngineCore pid=2) INFO 11-22 13:34:20 [core.py:1] Initializing an engine\n"
CORE_ERROR = "(EngineCore pid=2) ERROR 11-22 13:32:09 [core.py:1510] "
TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n'
ECHO = (
    "RuntimeError: Engine core initialization failed. See root cause above. "
    "Failed core proc(s): {}\n"
)
PYDANTIC = (
    TRACEBACK
    + "pydantic_core._pydantic_core.ValidationError: 1 validation error for {config}\n"
    + "  Value error, {message} [type=value_error, input_value=Args((), {{}}), input_type=A]\n"
    + "    For further information visit https://errors.pydantic.dev/2.14/v/value_error\n"
)


@pytest.mark.parametrize(
    ("returncode", "log", "reason", "detail"),
    [
        pytest.param(
            1,
            INFO
            + PYDANTIC.format(
                config="SchedulerConfig",
                message="max_num_batched_tokens (64) must be greater than or equal to "
                "max_num_seqs (128).",
            ),
            "known_constraint",
            "max_num_batched_tokens (64) must be greater than or equal to max_num_seqs (128).",
            id="refused-by-pydantic",
        ),
        pytest.param(
            1,
            TRACEBACK + "ValueError: max_num_batched_tokens (512) is smaller than max_model_len",
            "known_constraint",
            "ValueError: max_num_batched_tokens (512) is smaller than max_model_len",
            id="refused-by-an-old-version",
        ),
        pytest.param(
            1,
            TRACEBACK + "NotImplementedError: Chunked prefill is not supported here",
            "known_constraint",
            "NotImplementedError: Chunked prefill is not supported here",
            id="refused-in-words",
        ),
        pytest.param(
            2,
            "api_server.py: error: argument --block-size: invalid choice: 17 (choose from 16)\n",
            "known_constraint",
            "api_server.py: error: argument --block-size: invalid choice: 17 (choose from 16)",
            id="value-of-a-tuned-parameter",
        ),
        pytest.param(
            1,
            INFO
            + CORE
            + CORE_ERROR
            + TRACEBACK
            + CORE_ERROR
            + "RuntimeError: Worker failed with error 'No common block size for 8 (CPU_ATTN: "
            "[MultipleOf(32)]).', please check the stack trace above for the root cause\n" + ECHO,
            "startup_failed",
            "RuntimeError: No common block size for 8 (CPU_ATTN: [MultipleOf(32)]).",
            id="hidden-constraint-of-the-core",
        ),
        pytest.param(
            1,
            CORE
            + CORE_ERROR
            + "ValueError: No available memory for the cache blocks. Try increasing "
            "`gpu_memory_utilization` when initializing the engine\n" + ECHO,
            "out_of_memory",
            "ValueError: No available memory for the cache blocks. Try increasing "
            "`gpu_memory_utilization` when initializing the engine",
            id="no-cache-blocks",
        ),
        pytest.param(
            1,
            CORE
            + "ValueError: To serve at least one request with the model's max seq len (4096), "
            "(2.00 GiB KV cache is needed, which is larger than the available KV cache memory\n",
            "out_of_memory",
            "ValueError: To serve at least one request with the model's max seq len (4096), "
            "(2.00 GiB KV cache is needed, which is larger than the available KV cache memory",
            id="cache-too-small",
        ),
        pytest.param(
            1,
            CORE + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n",
            "out_of_memory",
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            id="cuda",
        ),
        pytest.param(
            1,
            CORE + "(EngineCore pid=2) ERROR 11-22 13:32:12 [multiproc_executor.py:315] Worker "
            "proc VllmWorker-0 died unexpectedly (exit code: -9), shutting down executor.\n",
            "out_of_memory",
            "Worker proc VllmWorker-0 died unexpectedly (exit code: -9), shutting down executor.",
            id="worker-killed-by-the-kernel",
        ),
        pytest.param(
            -9,
            CORE,
            "out_of_memory",
            "killed by signal 9, as a kernel out of memory does",
            id="killed-by-the-kernel",
        ),
        pytest.param(
            -11,
            CORE + "!!!!!!! Segfault encountered !!!!!!!\n",
            "startup_failed",
            "!!!!!!! Segfault encountered !!!!!!!",
            id="segmentation-fault",
        ),
    ],
)
def test_crashes_at_start(returncode: int, log: str, reason: str, detail: str) -> None:
    failure = classify_exit(returncode, log, Phase.STARTING, TUNED)
    assert isinstance(failure, EngineCrash)
    assert (failure.reason.value, failure.detail) == (reason, detail)


@pytest.mark.parametrize(
    ("returncode", "log", "reason"),
    [
        (1, TRACEBACK + "OSError: [Errno 98] Address already in use\n", "port_taken"),
        (
            1,
            "huggingface_hub.errors.HFValidationError: Repo id must be in the form "
            "'repo_name' or 'namespace/repo_name': '/tmp/nope'.\n",
            "no_such_model",
        ),
        (
            1,
            "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached\n",
            "no_such_model",
        ),
        (
            1,
            "OSError: Can't load tokenizer for '/m'. If you were trying to load it from\n",
            "no_such_model",
        ),
        (1, "/usr/bin/python: No module named vllm\n", "engine_missing"),
        (1, "ModuleNotFoundError: No module named 'vllm'\n", "engine_missing"),
        (2, "api_server.py: error: unrecognized arguments: --no-such\n", "bad_engine_argument"),
        (
            2,
            "api_server.py: error: argument --dtype: invalid choice: 'int3'\n",
            "bad_engine_argument",
        ),
        (
            1,
            PYDANTIC.format(
                config="ModelConfig",
                message="User-specified max_model_len (4000000) is greater than the derived "
                "max_model_len",
            ),
            "bad_engine_argument",
        ),
        (
            1,
            CORE + "ValueError: Free memory on device cuda:0 (3.1/79.1 GiB) on startup is less "
            "than desired GPU memory utilization (0.9, 71.2 GiB).\n",
            "device_busy",
        ),
        (0, INFO, "bad_engine_argument"),
        (-15, INFO, "interrupted"),
        (1, INFO, None),
    ],
)
def test_failures_that_say_nothing_about_the_parameters(
    returncode: int, log: str, reason: str | None
) -> None:
    failure = classify_exit(returncode, log, Phase.STARTING, TUNED)
    if reason is None:
        assert isinstance(failure, EngineCrash)
    else:
        assert isinstance(failure, ExternalFailure)
        assert failure.reason == reason


def test_busy_device_is_a_crash_when_its_memory_is_tuned() -> None:
    log = "ValueError: Free memory on device is less than desired GPU memory utilization (0.99)\n"
    failure = classify_exit(1, log, Phase.STARTING, ["gpu_memory_utilization"])
    assert isinstance(failure, EngineCrash)
    assert failure.reason == "out_of_memory"


DEAD = (
    "(APIServer pid=1) ERROR 11-22 13:58:49 [serving.py:500] "
    "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.\n"
)
SHUTDOWN = (
    "(APIServer pid=1) INFO 11-22 13:58:49 [launcher.py:254] "
    "[shutdown] API server: shutdown triggered\n"
)


def test_core_that_died_under_load_is_a_crash_although_the_server_ends_in_order() -> None:
    failure = classify_exit(0, CORE + DEAD + SHUTDOWN, Phase.SERVING, TUNED)
    assert isinstance(failure, EngineCrash)
    assert failure.reason == "died_under_load"


def test_server_that_somebody_ended_is_no_crash_although_its_core_dies_of_it() -> None:
    failure = classify_exit(0, CORE + SHUTDOWN + DEAD, Phase.SERVING, TUNED)
    assert isinstance(failure, ExternalFailure)
    assert failure.reason == "interrupted"


def test_parameter_named_while_serving_is_no_refusal() -> None:
    log = "AssertionError: max_num_seqs exceeded\n"
    failure = classify_exit(1, log, Phase.SERVING, TUNED)
    assert isinstance(failure, EngineCrash)
    assert failure.reason == "died_under_load"


def test_informational_lines_decide_nothing() -> None:
    log = (
        INFO
        + "(APIServer pid=1) INFO 11-22 13:34:20 [x.py:1] retrying: address already in use\n"
        + CORE
        + CORE_ERROR
        + "RuntimeError: kernel launch failed\n"
    )
    failure = classify_exit(1, log, Phase.STARTING, TUNED)
    assert isinstance(failure, EngineCrash)
    assert failure.reason == "startup_failed"
    assert failure.detail == "RuntimeError: kernel launch failed"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("the max-num-seqs given", True),
        ("MAX_NUM_SEQS", True),
        ("chunked prefill and prefix caching", True),
        ("the maximum of sequences", False),
        ("tensor parallel size", False),
    ],
)
def test_names_of_parameters_in_messages(text: str, named: bool) -> None:
    assert names_any(text, ["max_num_seqs", "enable_chunked_prefill"]) is named


def test_long_messages_are_one_short_line() -> None:
    failure = classify_exit(1, "ValueError: " + "x " * 1000, Phase.STARTING, TUNED)
    assert len(failure.detail) == failures.DETAIL_CHARACTERS
    assert "\n" not in failure.detail


def test_head_and_tail_of_a_long_log_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "LOG_BYTES", 10)
    log = tmp_path / "log"
    for content, expected in [
        ("0123456789" * 3, "0123456789" * 2),  # the middle is left out
        ("0123456789abcde", "0123456789abcde"),  # nothing twice
        ("0123", "0123"),
    ]:
        log.write_text(content, encoding="utf-8")
        assert read_log(log) == expected


@pytest.mark.parametrize(
    ("returncode", "log"),
    [
        (-9, CORE),
        (137, CORE),
        (
            1,
            CORE + "(EngineCore pid=2) ERROR 11-22 13:32:12 [multiproc_executor.py:315] Worker "
            "proc VllmWorker-0 died unexpectedly (exit code: -9), shutting down executor.\n",
        ),
        (
            1,
            CORE + "RuntimeError: Engine core initialization failed. Failed core proc(s): "
            "{'EngineCore_DP0': -9}\n",
        ),
    ],
)
@pytest.mark.parametrize("phase", Phase)
def test_signal_9_is_somebodys_where_the_kernel_says_that_it_was_not_its_own(
    returncode: int, log: str, phase: Phase
) -> None:
    failure = classify_exit(returncode, log, phase, TUNED, killed_by_kernel=False)
    assert isinstance(failure, ExternalFailure)
    assert failure.reason == "interrupted"
    failure = classify_exit(returncode, log, phase, TUNED)
    assert isinstance(failure, EngineCrash)
    assert failure.reason == "out_of_memory"


def test_memory_that_the_engine_itself_says_it_lacks_is_a_crash_whatever_the_kernel_says() -> None:
    log = CORE + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"
    failure = classify_exit(1, log, Phase.SERVING, TUNED, killed_by_kernel=False)
    assert isinstance(failure, EngineCrash)


@pytest.mark.parametrize(
    "line", ["!!!!!!! Segfault encountered !!!!!!!", "Fatal Python error: Segmentation fault"]
)
def test_signal_that_ended_the_core_is_told_and_not_that_it_ended(line: str) -> None:
    log = CORE + line + "\n"
    log += (
        "(APIServer pid=1) ERROR 11-26 12:47:57 [async_llm.py:906] Traceback (most recent call "
        "last):\n(APIServer pid=1) ERROR 11-26 12:47:57 [async_llm.py:906] "
        "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack "
        "trace (above) for the root cause.\n"
    )
    failure = classify_exit(1, log, Phase.SERVING, TUNED)
    assert isinstance(failure, EngineCrash)
    assert (failure.reason, failure.detail) == ("died_under_load", line)
