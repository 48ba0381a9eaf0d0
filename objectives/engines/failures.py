"""Why an engine ended: from its exit code and its log to a class and one line for a person.

The patterns are vLLM's own messages, of version 0.4 to 0.32. They are sought only in lines that
state an error, as anything may stand in an informational line. The order of the tables matters:
the first match decides.
"""

from __future__ import annotations

import re
import signal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason


if TYPE_CHECKING:
    from collections.abc import Collection


class Phase(Enum):
    """What the engine was doing when it ended."""

    STARTING = "starting"
    SERVING = "serving"


LOG_BYTES = 1_000_000  # read from the head, and as much from the tail, of a log
DETAIL_CHARACTERS = 300

# "(EngineCore pid=7) ERROR 11-22 13:32:09 [core.py:1510] " before the words of an engine process.
_PREFIX = re.compile(r"^(\([^)]*pid=\d+\) )?((ERROR|CRITICAL) [\d-]+ [\d:.]+ \[[^]]*\] ?)?")
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Failure|NotFound)\b(: |$)")
_STATEMENT = re.compile(r"^  Value error, |^[\w./-]+: error: |: No module named |^\w+: fatal")
# Exceptions that only say that another one happened.
_WRAPPERS = re.compile(
    r"Engine core initialization failed|EngineDeadError|See stack trace|See root cause"
    r"|\d+ validation errors? for |AsyncEngineDeadError|^concurrent\.|Engine process failed"
)
_WORKER_WRAPPER = re.compile(r"Worker failed with error '(.*)', please check the stack trace.*")

_EXTERNAL: tuple[tuple[str, ExternalReason], ...] = (
    (r"address already in use", ExternalReason.PORT_TAKEN),
    (
        r"No module named '?vllm|No package metadata was found for vllm"
        r"|PackageNotFoundError: vllm",
        ExternalReason.ENGINE_MISSING,
    ),
    (
        r"HFValidationError|RepositoryNotFoundError|LocalEntryNotFoundError|GatedRepoError"
        r"|RevisionNotFoundError|OfflineModeIsEnabled|Invalid repository ID or local directory"
        r"|not a local folder and is not a valid model identifier|Can't load tokenizer"
        r"|Couldn't instantiate the backend tokenizer|does not appear to have a file named"
        r"|Can't load the configuration of|Unrecognized model in|Cannot find any model weights"
        r"|couldn't connect to 'https://huggingface",
        ExternalReason.NO_SUCH_MODEL,
    ),
    (r"error: unrecognized arguments", ExternalReason.BAD_ENGINE_ARGUMENT),
)
_HINTS = {
    ExternalReason.PORT_TAKEN: "another program took the engine's port",
    ExternalReason.ENGINE_MISSING: "vLLM is not there; name the interpreter of its environment",
    ExternalReason.NO_SUCH_MODEL: "the engine finds no such model or tokenizer",
    ExternalReason.BAD_ENGINE_ARGUMENT: "the engine refuses an argument that is not tuned",
    ExternalReason.DEVICE_BUSY: "another program holds the device's memory",
}
_OUT_OF_MEMORY = re.compile(
    r"out of memory|OutOfMemory|No available memory for the cache blocks"
    r"|larger than the available KV cache|larger than the maximum number of tokens that can be"
    r"|Cannot allocate memory|(can't|not enough).* allocate|bad_alloc|^MemoryError"
    r"|exit ?code:? -9|'EngineCore\w*': -9|less than desired (GPU|CPU) memory utilization"
    r"|Failed to (map|allocate) .*memory",
    re.IGNORECASE,
)
_DEVICE_BUSY = re.compile(r"less than desired (GPU|CPU) memory utilization")
_CORE_STARTED = re.compile(r"\(EngineCore[^)]*pid=|Starting to load model|Loading model weights")
# What follows this in a log is the consequence of a signal to the server.
_SHUTDOWN = re.compile(
    r"\[shutdown\] API server: shutdown triggered|KeyboardInterrupt: terminated"
)
_ORDERLY_STOPS = {0, -signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT}


def read_log(path: Path) -> str:
    """Read the head and the tail of a log, whole when it is short."""
    with path.open("rb") as file:
        head = file.read(LOG_BYTES)
        size = file.seek(0, 2)
        file.seek(max(len(head), size - LOG_BYTES))
        tail = file.read()
    return (head + tail).decode(errors="replace")


def classify_exit(
    returncode: int, log: str, phase: Phase, tuned: Collection[str]
) -> EngineCrash | ExternalFailure:
    """Say why an engine ended that nobody here asked to end.

    Args:
        returncode: Exit code of its main process; negative: the signal.
        log: What it wrote.
        phase: Whether it had begun to serve.
        tuned: Names of the trial's parameters.

    Returns:
        The exception to raise. What matches nothing is a crash: an engine that ends by itself
        does so because of what it was told, unless something else is known.
    """
    errors = error_lines(log)
    detail = _shorten(_root_cause(errors) or _last_line(log) or "it wrote nothing")
    text = "\n".join(errors)
    external = _external_reason(text, tuned)
    if external is not None:
        return ExternalFailure(external, f"{_HINTS[external]}: {detail}")
    if returncode == 0 and not errors and phase is Phase.STARTING:
        return ExternalFailure(
            ExternalReason.BAD_ENGINE_ARGUMENT,
            "the engine's command ended without an error before it could serve: it has to stay in "
            "the foreground",
        )
    if returncode in _ORDERLY_STOPS and not error_lines(_SHUTDOWN.split(log)[0]):
        return ExternalFailure(
            ExternalReason.INTERRUPTED, f"somebody ended the engine (exit code {returncode})"
        )
    if returncode == -signal.SIGKILL and not _OUT_OF_MEMORY.search(text):
        return EngineCrash(
            CrashReason.OUT_OF_MEMORY, "killed by signal 9, as a kernel out of memory does"
        )
    return EngineCrash(_crash_reason(log, text, phase, tuned), detail)


def error_lines(log: str) -> list[str]:
    """The lines that state an error, without the engine's prefixes, in order and each once."""
    found: dict[str, None] = {}
    for line in log.splitlines():
        bare = _PREFIX.sub("", line)
        if _EXCEPTION.match(bare) or _STATEMENT.search(bare) or _OUT_OF_MEMORY.search(bare):
            found[_WORKER_WRAPPER.sub(r"\1", bare).strip()] = None
    return list(found)


def _external_reason(errors: str, tuned: Collection[str]) -> ExternalReason | None:
    for pattern, reason in _EXTERNAL:
        if re.search(pattern, errors, re.IGNORECASE):
            return reason
    if _DEVICE_BUSY.search(errors) and "gpu_memory_utilization" not in tuned:
        return ExternalReason.DEVICE_BUSY
    if re.search(r"error: argument |for ModelConfig", errors) and not names_any(errors, tuned):
        return ExternalReason.BAD_ENGINE_ARGUMENT
    return None


def _crash_reason(log: str, errors: str, phase: Phase, tuned: Collection[str]) -> CrashReason:
    if _OUT_OF_MEMORY.search(errors):
        return CrashReason.OUT_OF_MEMORY
    if phase is Phase.SERVING:
        return CrashReason.DIED_UNDER_LOAD
    if not _CORE_STARTED.search(log) and names_any(errors, tuned):
        return CrashReason.KNOWN_CONSTRAINT
    return CrashReason.STARTUP_FAILED


def names_any(text: str, parameters: Collection[str]) -> bool:
    """Whether a message names a parameter, as `max_num_seqs`, `--max-num-seqs` or in words."""
    plain = re.sub(r"[-_ ]+", " ", text.lower())
    return any(
        re.search(rf"\b{re.sub(r'^(enable|disable|use)_', '', name).replace('_', ' ')}\b", plain)
        for name in parameters
    )


def _root_cause(errors: list[str]) -> str:
    """The first error that is not merely the echo of another one."""
    causes = [line for line in errors if not _WRAPPERS.search(line)]
    return (causes or errors or [""])[0]


def _last_line(log: str) -> str:
    return next((line for line in reversed(log.splitlines()) if line.strip()), "")


def _shorten(line: str) -> str:
    """One line without the tails that help nobody."""
    line = re.sub(r" \[type=\w+, input_value=.*", "", line).removeprefix("Value error, ")
    line = re.sub(r"\s+", " ", line).strip()
    return line if len(line) <= DETAIL_CHARACTERS else line[: DETAIL_CHARACTERS - 3] + "..."
