"""How a tuning run ends when it cannot go on. What was measured is kept in every case.

A message names arguments of this library in single backticks; the command shows its own option
there, as in ``--study`` for ``study_name``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from optuna_scoot.tuning.report import Report


class TuningError(Exception):
    """A run that did not begin, or ended before its last trial.

    Args:
        message: One line that says what happened and what to do.
        result: What the study holds so far.

    Attributes:
        result: What the study holds so far, a ``TuningResult``; None where no trial was begun, or
            the storage failed.
    """

    def __init__(self, message: str, result: Report | None = None) -> None:
        super().__init__(message)
        self.result = result


class InputError(TuningError, ValueError):
    """Something that the user gave, or its surroundings, has to be changed first."""


class StoppedError(TuningError, RuntimeError):
    """The run had to stop although nothing is wrong with what the user gave."""


class TuningInterrupted(KeyboardInterrupt):
    """Somebody stopped the run, as with Ctrl-C; the same call again goes on.

    Args:
        result: What the study holds so far; None where it was ``verify`` that was stopped.
    """

    def __init__(self, result: Report | None) -> None:
        super().__init__()
        self.result = result
