"""What engines, and what they run on, say when they end: about the parameters or the surroundings.

The words stand in failure_messages.yaml; the logs around them are made here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from objectives.engines.base import EngineCrash
from objectives.engines.failures import Phase
from objectives.engines.failures import classify_exit
from objectives.engines.log_lines import MOST_STATEMENTS
from objectives.engines.log_lines import statements


TUNED = (
    "tensor_parallel_size",
    "max_num_seqs",
    "max_num_batched_tokens",
    "block_size",
    "enable_chunked_prefill",
    "enable_prefix_caching",
)
API = "(APIServer pid=11) "
CORE = "(EngineCore pid=12) "
CORE_ERROR = CORE + "ERROR 09-01 10:00:09 [core.py:1510] "
INFO = API + "INFO 09-01 10:00:00 [api_server.py:1] vLLM API server version 0.32.0\n"
CORE_INFO = CORE + "INFO 09-01 10:00:05 [core.py:1] Initializing an engine\n"
FAILED = (
    API + "RuntimeError: Engine core initialization failed. See root cause above. Failed core "
    "proc(s): {'EngineCore': 1}\n"
)


def of_core(words: str) -> str:
    """The log of an engine whose core ends with an exception."""
    lines = [
        "EngineCore failed to start.",
        "Traceback (most recent call last):",
        '  File "core.py", line 1, in run',
        "    raise RuntimeError(CUDA out of memory or No space left on device)",
        *words.splitlines(),
    ]
    return INFO + CORE_INFO + "".join(f"{CORE_ERROR}{line}\n" for line in lines) + FAILED


def of_server(words: str) -> str:
    """The log of an engine that ends before it has a core."""
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1', *words.splitlines()]
    return INFO + "".join(f"{API}{line}\n" for line in lines)


def found(returncode: int, log: str, phase: Phase = Phase.STARTING) -> str:
    failure = classify_exit(returncode, log, phase, TUNED)
    assert "\n" not in failure.detail
    kind = "crash" if isinstance(failure, EngineCrash) else "external"
    return f"{kind} {failure.reason}"


MESSAGES = yaml.safe_load(Path(__file__).with_name("failure_messages.yaml").read_text())
EXCEPTIONS = [(words, about) for about, said in MESSAGES["exceptions"].items() for words in said]
ENDS = [(end["exit"], end["says"], about) for about, es in MESSAGES["ends"].items() for end in es]
PORT = "external port_taken"
FILES = "external file_system"
MODEL = "external no_such_model"
AROUND = "external environment"
OOM = "crash out_of_memory"
CRASH = "crash startup_failed"


@pytest.mark.parametrize(("words", "expected"), EXCEPTIONS, ids=lambda value: value[:70])
def test_exception_of_the_core(words: str, expected: str) -> None:
    assert found(1, of_core(words)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [case for case in EXCEPTIONS if case[1].startswith("external")],
    ids=lambda value: value[:70],
)
def test_surroundings_are_told_from_the_server_and_under_load_too(
    words: str, expected: str
) -> None:
    assert found(1, of_server(words)) == expected
    assert found(1, of_core(words), Phase.SERVING) == expected


FORMS = {
    "plain": "{}",
    "coloured": "\x1b[1;36m(EngineCore pid=7)\x1b[0;0m \x1b[31mERROR\x1b[0m 09-01 10:00 [a:1] {}",
    "0.4": "ERROR 09-01 10:00:09 worker_base.py:145] {}",
    "0.6 worker": "(VllmWorkerProcess pid=67) ERROR 09-01 10:00:09 worker_utils.py:238] {}",
    "0.8": "ERROR 09-01 10:00:09 [core.py:330] {}",
    "0.10 worker": "(VllmWorker TP1 pid=67) ERROR 09-01 10:00:09 [multiproc_executor.py:559] {}",
    "ray": "(RayWorkerWrapper pid=7, ip=10.0.0.3) ERROR 09-01 10:00:09 worker_base.py:1] {}",
    "ray repeated": "(RayWorkerWrapper pid=7) [repeated 3x across cluster] {}",
    "torch rank": "[rank1]: {}",
    "uvicorn": "ERROR:    {}",
    "logging": "2026-09-01 10:00:09,123 - vllm - ERROR - {}",
    "compose": "vllm-1  | (APIServer pid=1) {}",
    "compose with times": "vllm-service | 2026-09-01T10:00:09.123456789Z {}",
    "docker logs -t": "2026-09-01T10:00:09.123456789Z {}",
    "containerd": "2026-09-01T10:00:09.123456789Z stderr F (APIServer pid=1) {}",
    "kubectl --prefix": "[pod/vllm-5c9/vllm] {}",
    "journal": "Sep 01 10:00:09 gpu7 vllm[123]: {}",
    "slurm": "0: {}",
    "launcher": "2026-09-01 10:00:09.257 [Error] (Process) (EngineCore pid=2651) {}",
    "exception group": "    | {}",
    "a prefix of one's own": "[tenant-1] (Worker pid=7) ERROR 09-01 10:00:09 [core.py:1] {}",
    "loguru": "2026-09-01 10:00:09.123 | ERROR    | vllm:run:12 - {}",
    "gunicorn": "[2026-09-01 10:00:09 +0000] [7] [ERROR] {}",
    "a level alone": "ERROR {}",
}
WORDS = [
    ("OSError: [Errno 98] Address already in use", PORT),
    ("huggingface_hub.errors.GatedRepoError: 401 Client Error.", MODEL),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", OOM),
    ("ValueError: max_num_seqs (512) is too large.", "crash known_constraint"),
    ("ValueError: something else is wrong", CRASH),
]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("words", "expected"), WORDS)
def test_words_are_read_behind_every_prefix(form: str, words: str, expected: str) -> None:
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1, in <module>', words]
    log = "".join(form.format(line) + "\n" for line in lines)
    log = log.replace("EngineCore pid", "Engine pid")  # the core says that it has started
    assert found(1, log) == expected
    assert classify_exit(1, log, Phase.STARTING, TUNED).detail.endswith(words)


@pytest.mark.parametrize("key", ["log", "message", "msg"])
def test_lines_that_are_json_are_read(key: str) -> None:
    words = "torch.OutOfMemoryError: CUDA out of memory."
    log = json.dumps({key: words + "\n", "stream": "stderr"}) + "\n"
    assert found(1, log) == OOM
    log = json.dumps({"level": "info", key: words}) + "\n"
    assert found(1, log) == CRASH


# Lines that inform, in the words of what decides elsewhere.
INFORMING = [
    "INFO 09-01 10:00:00 [x.py:1] {}",
    "(EngineCore pid=2) WARNING 09-01 10:00:00 [x.py:1] {}",
    "\x1b[1;36m(APIServer pid=1)\x1b[0;0m INFO 09-01 10:00:00 [x.py:1] {}",
    "WARNING 09-01 10:00:00 x.py:1] {}",
    "(RayWorkerWrapper pid=7, ip=10.0.0.3) INFO 09-01 10:00:00 x.py:1] {}",
    "vllm-1  | 2026-09-01T10:00:00.1Z INFO 09-01 10:00:00 [x.py:1] {}",
    "2026-09-01 10:00:00,123\tINFO worker.py:1636 -- {}",
    "[2026-09-01 10:00:00,123 W 41335 11188325] gcs.cc:141: {}",
    "[rank0]:[W1122 13:34:20.123 ProcessGroupNCCL.cpp:1554] {}",
    "host:55933:55933 [1] NCCL INFO {}",
    "INFO:     {}",
    "WARNING:root:{}",
    "2026-09-01 10:00:00,123 - root - INFO - {}",
    "2026-09-01 10:00:00,123 INFO {}",
    "2026-09-01 10:00:09.123 | WARNING  | vllm:run:12 - {}",
    "[2026-09-01 10:00:09 +0000] [7] [INFO] {}",
    "[tenant-1] (Worker pid=7) INFO 09-01 10:00:09 [core.py:1] {}",
    "/opt/torch/cuda/__init__.py:1: UserWarning: {}",
    'time="2026-09-01T10:00:00Z" level=warning msg="{}"',
]


@pytest.mark.parametrize("form", INFORMING)
@pytest.mark.parametrize(("words", "_"), [w for w in WORDS if w[1] != CRASH])
def test_a_line_that_informs_never_decides(form: str, words: str, _: str) -> None:
    log = form.format(words) + "\n"
    assert found(1, log) == CRASH
    assert found(1, log + of_core("RuntimeError: kernel launch failed")) == CRASH
    detail = classify_exit(1, log + of_core("RuntimeError: x"), Phase.STARTING, TUNED).detail
    assert detail == "RuntimeError: x"


@pytest.mark.parametrize(
    "harmless",
    [
        "Exception in thread Thread-5 (_report_usage):\nTraceback (most recent call last):\n"
        '  File "usage_lib.py", line 1\n{}\n',
        'Exception in thread Thread-5:\nTraceback (most recent call last):\n  File "a.py"\n'
        "urllib3.exceptions.MaxRetryError: HTTPSConnectionPool\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "a.py"\n{}\n',
        "Exception ignored in: <function Engine.__del__ at 0x7f>\n"
        'Traceback (most recent call last):\n  File "x.py", line 1\n{}\n',
        "Error while downloading from https://x: {}\nTrying to resume download...\n",
        CORE_ERROR + "Error retrieving file list: {}, retrying 1 of 2\n",
    ],
)
def test_what_the_engine_copes_with_never_decides(harmless: str) -> None:
    for words in (
        "PermissionError: [Errno 13] Permission denied: '/.config'",
        "requests.exceptions.ReadTimeout: HTTPSConnectionPool",
    ):
        log = INFO + harmless.format(words) + of_core("torch.OutOfMemoryError: CUDA out of memory")
        assert found(1, log) == OOM
        log = INFO + harmless.format(words) + of_core("ValueError: something is wrong")
        assert found(1, log) == CRASH


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory.", OOM),
        ("OSError: [Errno 28] No space left on device", FILES),
    ],
)
def test_the_worker_that_failed_explains_its_peers(words: str, expected: str) -> None:
    peer = "(Worker_TP0 pid=5) ERROR 09-01 10:00:09 [multiproc_executor.py:1] "
    echo = (
        peer + "torch.distributed.DistBackendError: NCCL error in: x.cpp:1, remote process exited "
        "or there was a network error\n"
        + peer
        + "ConnectionResetError: [Errno 104] reset\n"
        + peer
        + "FileNotFoundError: [Errno 2] No such file or directory: '/psm_1a2b3c'\n"
    )
    log = CORE_INFO + echo + of_core(words)
    assert found(1, log) == expected
    assert classify_exit(1, log, Phase.STARTING, TUNED).detail.endswith(words)
    assert found(1, CORE_INFO + echo) == CRASH


NCCL_SHM = (
    "gpu7:318:3584 [5] NCCL WARN Error while creating shared memory segment /dev/shm/nccl-a1 "
    "(size 9637888)\n"
)


def test_nccl_says_why_its_system_call_failed() -> None:
    failed = "torch.distributed.DistBackendError: NCCL error in: x.cpp:1, unhandled system error"
    assert found(1, of_core(failed)) == CRASH
    assert found(1, NCCL_SHM + of_core(failed)) == AROUND


@pytest.mark.parametrize(("returncode", "words", "expected"), ENDS)
def test_programs_that_never_became_an_engine_and_signals(
    returncode: int, words: str, expected: str
) -> None:
    assert found(returncode, words + "\n").startswith(expected)


def test_number_of_gpus_is_the_users_unless_it_is_tuned() -> None:
    log = of_core("RuntimeError: CUDA error: invalid device ordinal")
    tuned = classify_exit(1, log, Phase.STARTING, ["tensor_parallel_size"])
    fixed = classify_exit(1, log, Phase.STARTING, ["max_num_seqs"])
    assert isinstance(tuned, EngineCrash)
    assert not isinstance(fixed, EngineCrash)


def test_refusal_that_names_a_tuned_parameter_is_a_crash_whatever_refuses() -> None:
    words = (
        "{} validation error for {}\n  Value error, block_size 7 is wrong [type=value_error, i]"
    )
    for config in ("ModelConfig", "CacheConfig", "VllmConfig"):
        log = of_server("pydantic_core.ValidationError: " + words.format(1, config))
        assert found(1, log) == "crash known_constraint"


def test_a_log_without_end_is_read_within_bounds() -> None:
    noise = "".join(f"line {i} of {i}\n" for i in range(20_000)) + "x" * 100_000 + "\n\n\n"
    assert len(statements(noise)) <= 2 * MOST_STATEMENTS
    assert found(1, noise + of_core("torch.OutOfMemoryError: CUDA out of memory.") + noise) == OOM
    many = "".join(f"ValueError: {i}\n" for i in range(20_000))
    assert len(statements(many)) <= 2 * MOST_STATEMENTS
    assert found(1, "OSError: [Errno 28] No space left on device\n" + many) == FILES
