"""The end of an engine's log as a trial keeps it: a few lines, without secrets, for any eyes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from objectives.engines.failures import read_log
from objectives.engines.log_lines import without_colours


LOG_TAIL = "log_tail"
"""What a trial calls it."""
LINES = 40
CHARACTERS = 300
"""The most of a line."""


def log_tail(path: Path, clean: Callable[[str], str]) -> list[str]:
    """Return the last lines of a log; none where it cannot be read.

    Args:
        path: The log.
        clean: Takes the secrets out of a text.
    """
    try:
        text = read_log(path)
    except OSError:
        return []
    # Of a line that was drawn over itself, as a bar of progress is, its last state.
    drawn = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    lines = without_colours(drawn).expandtabs(4).splitlines()
    tail = [line for line in lines if line.strip()][-LINES:]
    # Before lines are cut: a part of a secret would not be found.
    return [_cut(line) for line in clean("\n".join(tail)).splitlines()]


def _cut(line: str) -> str:
    return line if len(line) <= CHARACTERS else f"{line[:CHARACTERS]}…"
