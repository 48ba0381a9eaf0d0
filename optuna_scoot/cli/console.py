"""Where the commands print; light, as the first line needs it."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text

from optuna_scoot.tuning.durations import format_seconds


__all__ = ["format_seconds", "make_console", "print_line"]


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
