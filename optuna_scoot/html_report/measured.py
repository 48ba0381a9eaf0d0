"""The verdict of a study, with the measurements that it rests on, read back from the storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import optuna
from optuna.trial import TrialState

from optuna_scoot.tuning.bookkeeping import CONFIGURATION
from optuna_scoot.tuning.bookkeeping import ORDER
from optuna_scoot.tuning.bookkeeping import not_retried
from optuna_scoot.tuning.measurements import BASELINE
from optuna_scoot.tuning.measurements import DEFAULT
from optuna_scoot.tuning.measurements import VERDICT
from optuna_scoot.tuning.measurements import with_values
from optuna_scoot.tuning.report import limits_of
from optuna_scoot.tuning.report import study_metrics
from optuna_scoot.tuning.verdict import Measured


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from optuna_scoot.constraints.known import KnownConstraints
    from optuna_scoot.tuning.report import Metric


@dataclass(frozen=True)
class Judged:
    """Configurations under several arrival orders, and what followed from it.

    Attributes:
        sentence: The verdict.
        orders: How many arrival orders it rests on.
        metrics: The objectives.
        configurations: What was measured, the default configuration first.
        recommended: The one to use; None where none holds.
        n_later: Trials of the study that completed after the last measurement, and are not in it.
    """

    sentence: str
    orders: int
    metrics: tuple[Metric, ...]
    configurations: tuple[Measured, ...]
    recommended: Measured | None
    n_later: int

    @property
    def baseline(self) -> Measured | None:
        """Return what the others are compared with, None where it was not measured."""
        first = self.configurations[0]
        return first if first.name in (DEFAULT, BASELINE) else None


def read_verdict(study: Study, known: KnownConstraints | None) -> Judged | None:
    """Return a study's verdict, None where it has none.

    Args:
        study: The tuned study.
        known: The known constraints that a configuration has to satisfy to be recommended.
    """
    told = study.user_attrs.get(VERDICT)
    if not isinstance(told, dict):
        return None
    try:
        measurements = optuna.load_study(study_name=told["measurements"], storage=study._storage)
    except KeyError:  # somebody has deleted them
        return None
    by_name = _by_configuration(measurements)
    if not by_name:
        return None
    configurations = _measured(measurements, by_name, int(told["orders"]), known)
    named = {one.name: one for one in configurations}
    return Judged(
        sentence=str(told["sentence"]),
        orders=int(told["orders"]),
        metrics=study_metrics(measurements),
        configurations=configurations,
        recommended=named.get(str(told["recommended"])),
        n_later=_n_later(study, measurements),
    )


def _by_configuration(measurements: Study) -> dict[str, FrozenTrial]:
    """Return the first measurement of each configuration, that of the default first."""
    first: dict[str, FrozenTrial] = {}
    for trial in not_retried(measurements.get_trials(deepcopy=False)):
        name = trial.user_attrs.get(CONFIGURATION)
        if name is not None and ORDER in trial.user_attrs and trial.params:
            first.setdefault(str(name), trial)
    ordered = sorted(first, key=lambda name: name not in (DEFAULT, BASELINE))
    return {name: first[name] for name in ordered}


def _measured(
    measurements: Study,
    by_name: dict[str, FrozenTrial],
    orders: int,
    known: KnownConstraints | None,
) -> tuple[Measured, ...]:
    completed = measurements.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    limits = tuple(dict.fromkeys(name for t in completed for name in limits_of(t)))
    n_metrics = len(measurements.directions)

    def one(name: str, params: dict[str, Any]) -> Measured:
        allowed = known is None or known.satisfied(params)
        plain = Measured(name, params, limits=limits, allowed=allowed)
        return with_values(measurements, plain, orders, n_metrics)

    return tuple(one(name, trial.params) for name, trial in by_name.items())


def _n_later(study: Study, measurements: Study) -> int:
    ends = [t.datetime_complete for t in measurements.get_trials(deepcopy=False)]
    last = max((end for end in ends if end is not None), default=None)
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    later = [t for t in completed if last and t.datetime_complete and t.datetime_complete > last]
    return len(later)
