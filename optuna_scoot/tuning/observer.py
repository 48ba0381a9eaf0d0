"""What a run tells while it goes on. The library itself prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from optuna_scoot.constraints.known import KnownConstraints


_logger = optuna.logging.get_logger(f"optuna.{__name__}")


class Observer:
    """Told of a run's trials; override what is of interest. This one logs the notes alone."""

    def run_began(self, study: Study, n_trials: int, known: KnownConstraints) -> None:
        """Take note that everything was checked and trials follow.

        Args:
            study: Holds the trials of earlier runs, and those of this one as they end.
            n_trials: The study's total of observations.
            known: What every configuration that is recommended has to satisfy.
        """

    def trial_began(self, number: int) -> None:
        """Take note that a trial runs now.

        Args:
            number: The trial's number in its study.
        """

    def trial_ended(self, trial: FrozenTrial) -> None:
        """Take note of a trial's end.

        Args:
            trial: As stored, in a finished state.
        """

    def note(self, line: str) -> None:
        """Take note of something that a person should know, such as a trial that is retried."""
        _logger.warning(line)

    def should_stop(self) -> bool:
        """Return whether the run should end before its next trial, as Ctrl-C would end it."""
        return False
