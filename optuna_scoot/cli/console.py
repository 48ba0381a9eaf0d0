"""Where the commands print, and how a duration reads; light, as the first line needs it."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text


PLAIN_WIDTH = 160


def make_console(stream: TextIO | None = None) -> Console:
    """Return a console for stdout; wide where no terminal sets a width, so that tables stay whole.

    Args:
        stream: Written to instead of stdout.
    """
    stream = sys.stdout if stream is None else stream
    width = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def print_line(console: Console, line: str) -> None:
    """Print a line as it is: on a terminal it breaks between words, elsewhere nowhere.

    Args:
        console: Where to.
        line: In words.
    """
    console.print(Text(line), soft_wrap=not console.is_terminal)


def format_seconds(seconds: float) -> str:
    """Return a duration for a person: "0.4 s", "41 s", "1 min 40 s", "12 min", "2 h 05 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    if round(seconds) < 600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
