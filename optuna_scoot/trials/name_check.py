"""Names that no trial knows: of known constraints, and of the search space."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from optuna_scoot.constraints.known import KnownConstraints


# Below Optuna's own logger, so that its verbosity holds.
_logger = optuna.logging.get_logger(f"optuna.{__name__}")


class NameCheck:
    """What was found out about names in this process; a worker that lacks it finds it again.

    Args:
        known: The known constraints.
        are_known: Whether their names have been checked already.

    Attributes:
        are_known: Whether nothing is left to check.
    """

    def __init__(self, known: KnownConstraints, *, are_known: bool) -> None:
        self.are_known = are_known or not known
        self._known = known
        self._doubted = False
        self._unasked: set[str] = set()

    def check(self, completed: Sequence[FrozenTrial]) -> None:
        """Refuse a known constraint over a name that no parameter of the study has.

        Args:
            completed: The trials that have completed.

        Raises:
            ConstraintError: With the name; where another branch of the objective may have it, a
                warning says so instead.
        """
        distributions = {name: d for t in completed for name, d in t.distributions.items()}
        doubt = self._known.check_against([t.params for t in completed], distributions)
        self.are_known = bool(completed) and not doubt
        if doubt and not self._doubted:
            self._doubted = True
            _logger.warning(doubt)

    def warn_of_unasked(
        self, trials: Sequence[FrozenTrial], search_space: Mapping[str, BaseDistribution]
    ) -> None:
        """Warn once of each parameter of the space that no trial has asked for."""
        asked = {name for trial in trials if trial.state.is_finished() for name in trial.params}
        unasked = sorted(search_space.keys() - asked - self._unasked)
        if unasked:
            self._unasked.update(unasked)
            _logger.warning(
                f"The search space names {', '.join(unasked)}, which no trial has asked for: "
                "left out of account. Take out what the objective does not suggest."
            )
