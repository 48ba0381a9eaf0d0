"""The command ``optuna-scoot`` as it is started: nothing else loads before Ctrl-C is heeded."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from optuna_scoot.cli.signals import interrupt_ends_at_once
from optuna_scoot.cli.signals import interrupt_will_end_at_once


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: The words after ``optuna-scoot``; None takes them from ``sys.argv``.
    """
    with interrupt_ends_at_once():
        from optuna_scoot.cli.commands import run_command
    return run_command(arguments)


def main() -> NoReturn:
    """Run the installed command."""
    code = run()
    interrupt_will_end_at_once()
    sys.exit(code)
