"""Why an engine ended: from its exit code and its log to a class and one line for a person.

The messages are in ``objectives.engines.failure_patterns``. An exception that the log states
decides, else what is stated less plainly, else the exit code.
"""

from __future__ import annotations

import re
import signal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from objectives.engines import failure_patterns as patterns
from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.log_lines import Statement
from objectives.engines.log_lines import statements
from objectives.engines.log_lines import without_colours


if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Sequence


class Phase(Enum):
    """What the engine was doing when it ended."""

    STARTING = "starting"
    SERVING = "serving"


LOG_BYTES = 1_000_000  # read from the head, and as much from the tail, of a log
DETAIL_CHARACTERS = 300


def read_log(path: Path) -> str:
    """Read the head and the tail of a log, whole when it is short."""
    with path.open("rb") as file:
        head = file.read(LOG_BYTES)
        size = file.seek(0, 2)
        file.seek(max(len(head), size - LOG_BYTES))
        tail = file.read(LOG_BYTES)
    return (head + tail).decode(errors="replace")


def classify_exit(
    returncode: int,
    log: str,
    phase: Phase,
    tuned: Collection[str],
    *,
    killed_by_kernel: bool = True,
) -> EngineCrash | ExternalFailure:
    """Find out why an engine ended that nobody here asked to end.

    Args:
        returncode: Exit code of its main process; negative: the signal.
        log: What it wrote.
        phase: Whether it had begun to serve.
        tuned: Names of the trial's parameters.
        killed_by_kernel: Whether the kernel may have killed a process for lack of memory. Where it
            says that it has not, a signal 9 was somebody's.

    Returns:
        The exception to raise. What matches nothing is a crash: an engine that ends by itself
        does so because of what it was told, unless something else is known.
    """
    log = without_colours(log)
    stated = [_unwrapped(statement) for statement in statements(log)]
    strong = [s for s in stated if s.strong]
    before_stop = statements(patterns.SHUTDOWN.split(log)[0])
    if returncode in patterns.ORDERLY_STOPS and not _errors(before_stop):
        if returncode == 0 and not _errors(stated) and phase is Phase.STARTING:
            return ExternalFailure(
                ExternalReason.BAD_ENGINE_ARGUMENT,
                "the engine's command ended without an error before it could serve: it has to "
                "stay in the foreground",
            )
        return ExternalFailure(
            ExternalReason.INTERRUPTED, f"somebody ended the engine (exit code {returncode})"
        )
    for group in _by_weight(stated):
        if (failure := _known(group, tuned, killed_by_kernel)) is not None:
            return failure
    if patterns.KILLS_ITSELF.search(log) is None:
        failure = _by_exit_code(returncode, stated, killed_by_kernel)
        if failure is not None:
            return failure
    said = stated[-1].head if stated else _last_line(log)
    signalled = patterns.FATAL_SIGNAL.search(log) if _only_wrappers(strong) else None
    detail = signalled[0] if signalled else _cause(strong) or said or "it wrote nothing"
    text = "\n".join(s.text for s in strong)
    return EngineCrash(_crash_reason(log, text, phase, tuned), _shorten(detail))


def _only_wrappers(strong: Sequence[Statement]) -> bool:
    """Return whether the exceptions only say that another process has ended."""
    wrappers, echoes = patterns.WRAPPERS, patterns.ECHOES
    return all(wrappers.search(s.head) or echoes.search(s.text) for s in strong)


def _by_weight(stated: Sequence[Statement]) -> list[list[Statement]]:
    """Return the groups of statements that may decide, the plainest first.

    What is stated less plainly counts only where no exception has a cause of its own: a library
    also prints errors that it then copes with.
    """
    strong = [s for s in stated if s.strong]
    if not _only_wrappers(strong):
        return [strong]
    return [strong, [s for s in stated if not s.strong]]


def _known(
    group: Sequence[Statement], tuned: Collection[str], killed_by_kernel: bool
) -> EngineCrash | ExternalFailure | None:
    """Return what the tables say of some statements, None when they know none of them."""
    for words, reason in patterns.EXTERNAL:
        if (match := _find(re.compile(words, re.IGNORECASE), group)) is not None:
            return ExternalFailure(reason, f"{patterns.HINTS[reason]}: {match}")
    for pattern, parameter, reason in (
        (patterns.DEVICE_BUSY, "gpu_memory_utilization", ExternalReason.DEVICE_BUSY),
        (patterns.GPU_COUNT, "tensor_parallel_size", ExternalReason.BAD_ENGINE_ARGUMENT),
    ):
        if parameter not in tuned and (match := _find(pattern, group)) is not None:
            return ExternalFailure(reason, f"{patterns.HINTS[reason]}: {match}")
    if (match := _find(patterns.OUT_OF_MEMORY, group)) is not None:
        return EngineCrash(CrashReason.OUT_OF_MEMORY, match)
    if (match := _find(patterns.KILLED, group)) is not None:
        return _killed(match, killed_by_kernel)
    if (match := _find(patterns.CORE_TIMEOUT, group)) is not None:
        return EngineCrash(CrashReason.STARTUP_TIMEOUT, match)
    refused = _find(patterns.BAD_ARGUMENT, group) is not None
    if refused and not names_any("\n".join(s.text for s in group), tuned):
        reason = ExternalReason.BAD_ENGINE_ARGUMENT
        return ExternalFailure(reason, f"{patterns.HINTS[reason]}: {_shorten(_cause(group))}")
    return None


def _find(pattern: re.Pattern[str], group: Sequence[Statement]) -> str | None:
    """Return the first statement that a pattern fits, as shown: its first line and that line."""
    for statement in sorted(group, key=lambda s: patterns.WRAPPERS.search(s.head) is not None):
        for line in statement.lines:
            if pattern.search(line):
                head = statement.head
                return _shorten(head if pattern.search(head) else f"{head} {line}")
    return None


def _by_exit_code(
    returncode: int, stated: Sequence[Statement], killed_by_kernel: bool
) -> EngineCrash | ExternalFailure | None:
    """Return what the exit code alone says; a shell and a container give signal n as 128 + n."""
    if returncode in patterns.NEVER_RAN:
        reason = patterns.NEVER_RAN[returncode]
        said = stated[0].head if stated else f"exit code {returncode}"
        return ExternalFailure(reason, f"{patterns.HINTS[reason]}: {_shorten(said)}")
    number = -returncode if returncode < 0 else returncode - 128
    if number == signal.SIGKILL:
        return _killed("killed by signal 9, as a kernel out of memory does", killed_by_kernel)
    if number in patterns.BY_SIGNAL:
        reason, detail = patterns.BY_SIGNAL[signal.Signals(number)]
        return ExternalFailure(reason, detail)
    return None


def _killed(detail: str, by_kernel: bool) -> EngineCrash | ExternalFailure:
    """Return the failure of an engine of which a process got signal 9."""
    if by_kernel:
        return EngineCrash(CrashReason.OUT_OF_MEMORY, detail)
    return ExternalFailure(
        ExternalReason.INTERRUPTED,
        "somebody killed the engine or one of its processes (signal 9): the kernel, which does so"
        " where memory runs out, says that it has not",
    )


def _errors(stated: Sequence[Statement]) -> list[Statement]:
    """Return the statements that are errors for certain, and not of being stopped."""
    return [
        s
        for s in stated
        if (s.strong or patterns.OUT_OF_MEMORY.search(s.text) or patterns.KILLED.search(s.text))
        and not patterns.OF_BEING_STOPPED.search(s.head)
    ]


def _unwrapped(statement: Statement) -> Statement:
    """Return the same statement without the words that wrap a worker's error."""
    text = patterns.WORKER_WRAPPER.sub(lambda match: match["cause"], statement.text)
    return Statement(tuple(text.splitlines()) or ("",), statement.strong)


def _crash_reason(log: str, errors: str, phase: Phase, tuned: Collection[str]) -> CrashReason:
    if phase is Phase.SERVING:
        return CrashReason.DIED_UNDER_LOAD
    if not patterns.CORE_STARTED.search(log) and names_any(errors, tuned):
        return CrashReason.KNOWN_CONSTRAINT
    return CrashReason.STARTUP_FAILED


def names_any(text: str, parameters: Collection[str]) -> bool:
    """Return whether a message names a parameter, by name, as an option or in words."""
    plain = re.sub(r"[-_ ]+", " ", text.lower())
    return any(
        re.search(rf"\b{re.sub(r'^(enable|disable|use)_', '', name).replace('_', ' ')}\b", plain)
        for name in parameters
    )


def _cause(group: Sequence[Statement]) -> str:
    """Return the first error that is not merely the echo of another one."""
    for unfit in ((patterns.WRAPPERS, patterns.ECHOES), (patterns.WRAPPERS,)):
        for statement in group:
            if not any(pattern.search(statement.text) for pattern in unfit):
                return statement.head
    return group[0].head if group else ""


def _last_line(log: str) -> str:
    return next((line for line in reversed(log.splitlines()) if line.strip()), "")


def _shorten(line: str) -> str:
    """Return one line without the tails that help nobody."""
    line = re.sub(r" \[type=\w+, input_value=.*", "", line).removeprefix("Value error, ")
    line = re.sub(r"\s+", " ", line).strip()
    return line if len(line) <= DETAIL_CHARACTERS else line[: DETAIL_CHARACTERS - 3] + "..."
