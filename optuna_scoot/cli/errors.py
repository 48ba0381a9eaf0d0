"""What the command says, and with which exit code it ends, when it cannot go on.

Exit codes: 0 done; 2 something in the command, its files or its surroundings has to be changed
first; 3 a trial failed for a reason that says nothing about its configuration; 4 all trials were
made and no configuration keeps the limits; 5 no configuration completed; 130 interrupted.
Whatever the code, the finished trials are in the storage.
"""

from __future__ import annotations

import click


EXIT_BAD_INPUT = 2
EXIT_STOPPED = 3
EXIT_LIMITS_MISSED = 4
EXIT_NOTHING_COMPLETED = 5


class BadInput(click.ClickException):
    """Something in the command, its files or its surroundings has to be changed first."""

    exit_code = EXIT_BAD_INPUT


class Stopped(click.ClickException):
    """The run had to stop although nothing is wrong with what the user gave."""

    exit_code = EXIT_STOPPED


def one_line(error: click.ClickException) -> str:
    """Return an error's text on one line that a terminal takes for nothing but text.

    Several lines are joined by a blank, and characters that steer a terminal are replaced.
    """
    line = " ".join(error.format_message().split())
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return shown if shown else type(error).__name__
