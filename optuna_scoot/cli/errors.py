"""What the command says, and with which exit code it ends, when it cannot go on.

Exit codes: 0 done; 2 something in the command, its files or its surroundings has to be changed
first; 3 a trial failed for a reason that says nothing about its configuration; 130 interrupted.
Whatever the code, the finished trials are in the storage.
"""

from __future__ import annotations

import click


EXIT_BAD_INPUT = 2
EXIT_STOPPED = 3
EXIT_INTERRUPTED = 130


class InputError(click.ClickException):
    """Something the user gave cannot be used; the message says what and what to do."""

    exit_code = EXIT_BAD_INPUT


class StoppedError(click.ClickException):
    """The run had to stop although nothing is wrong with what the user gave."""

    exit_code = EXIT_STOPPED


def one_line(error: BaseException | str) -> str:
    """An error's text on one line, with the sentences of several lines joined by a blank."""
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    line = " ".join(text.split())
    return line if line else type(error).__name__
