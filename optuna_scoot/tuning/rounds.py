"""What is measured next for a verdict, and which finalists give way to others.

A round takes one arrival order through all configurations, so that a machine that drifts is as
slow for one as for another, and each round begins with another of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from optuna_scoot.tuning.bookkeeping import ORDER
from optuna_scoot.tuning.bookkeeping import counts
from optuna_scoot.tuning.bookkeeping import not_retried
from optuna_scoot.tuning.finalists import choose_finalists
from optuna_scoot.tuning.report import keeps_limits
from optuna_scoot.tuning.report import largest_excess
from optuna_scoot.tuning.report import limits_of


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from optuna_scoot.constraints.known import KnownConstraints
    from optuna_scoot.tuning.verdict import Measured


class Rounds:
    """The measurements of a baseline and finalists under several arrival orders.

    A finalist that failed or missed a limit under one order cannot be recommended any more, and is
    left out of the later rounds. Once all have fallen, what this saves goes to others: the next
    best of those that kept each limit, while tuning, by as much as it was approached further since
    by those that have fallen, or else the one that kept the limits by most. All of this follows
    from the trials of both studies: it goes on where it ended.

    Args:
        study: The tuned one.
        measurements: Holds a trial for each measurement.
        known: What a configuration has to satisfy to be recommended.
        plan: The configurations by their names, the baseline first.
        orders: How many arrival orders.

    Attributes:
        measurements: As given.
        configurations: The plan's, and those that have taken their places since.
    """

    def __init__(
        self,
        study: Study,
        measurements: Study,
        known: KnownConstraints,
        plan: Mapping[str, Measured],
        orders: int,
    ) -> None:
        self._study = study
        self._known = known
        self._orders = orders
        self._most = len(plan) * orders
        self.measurements = measurements
        self.configurations = dict(plan)

    @property
    def n_left(self) -> int:
        """Return how many measurements follow at most."""
        if self.next() is None:
            return 0
        return len(self._missing()) if self._standing() else self._most - self._n_measured()

    def next(self, note: Callable[[str], None] = lambda _: None) -> tuple[Measured, int] | None:
        """Return the next configuration and order to measure, None where all is done.

        Args:
            note: Told when a configuration takes the place of those that have fallen.
        """
        while (reserve := self._reserve()) is not None:
            self.configurations[reserve.name] = reserve
            note(f"no finalist is left: {reserve.name} takes their place")
        return next(iter(self._missing()), None)

    def _missing(self) -> list[tuple[Measured, int]]:
        """Return what is to be measured yet, in order."""
        baseline, *finalists = self.configurations.values()
        going = [baseline, *(one for one in finalists if not self._has_fallen(one))]
        missing = []
        for order in range(1, self._orders + 1):
            first = (order - 1) % len(going)
            for one in (*going[first:], *going[:first]):
                if find_measurement(self.measurements, one, order) is None:
                    missing.append((one, order))
        return missing

    def _measured(self, one: Measured) -> list[FrozenTrial]:
        """Return the measurements of a configuration."""
        orders = range(1, self._orders + 1)
        found = (find_measurement(self.measurements, one, order) for order in orders)
        return [trial for trial in found if trial is not None]

    def _n_measured(self) -> int:
        return sum(len(self._measured(one)) for one in self.configurations.values())

    def _has_fallen(self, one: Measured) -> bool:
        return any(
            trial.state != TrialState.COMPLETE or not keeps_limits(trial)
            for trial in self._measured(one)
        )

    def _standing(self) -> list[Measured]:
        """Return the finalists that have not fallen."""
        _, *finalists = self.configurations.values()
        return [one for one in finalists if not self._has_fallen(one)]

    def _reserve(self) -> Measured | None:
        """Return what takes the place of the finalists, None where nothing can or need do so."""
        baseline, *finalists = self.configurations.values()
        if not finalists or self._standing():
            return None
        if self._n_measured() + len(self._missing()) + self._orders > self._most:
            return None
        fallen = [one.params for one in finalists]
        far_enough = choose_finalists(
            self._study, self._known, 1, distances=self._rises(finalists), fallen=fallen
        )
        rest = choose_finalists(self._study, self._known, None, fallen=fallen)
        chosen = next(iter(far_enough), min(rest, key=largest_excess, default=None))
        if chosen is None:
            return None
        params = {**baseline.params, **chosen.params}
        name = f"trial {chosen.number}"
        return replace(finalists[0], name=name, params=params, number=chosen.number)

    def _rises(self, finalists: list[Measured]) -> dict[str, float]:
        """Return the most by which each limit was approached further than while tuning, ≥ 0."""
        rises: dict[str, float] = {}
        tuned = {t.number: limits_of(t) for t in self._study.get_trials(deepcopy=False)}
        for one in finalists:
            if one.number is None:
                continue
            for trial in self._measured(one):
                for name, excess in limits_of(trial).items():
                    rise = excess - tuned[one.number].get(name, excess)
                    rises[name] = max(rises.get(name, 0.0), rise)
        return rises


def find_measurement(measurements: Study, one: Measured, order: int) -> FrozenTrial | None:
    """Return the trial that measured a configuration under an order, None while there is none.

    Args:
        measurements: Holds a trial for each measurement.
        one: The configuration.
        order: Its number from 1.
    """
    for trial in not_retried(measurements.get_trials(deepcopy=False)):
        if counts(trial) and trial.user_attrs.get(ORDER) == order and trial.params == one.params:
            return trial
    return None
