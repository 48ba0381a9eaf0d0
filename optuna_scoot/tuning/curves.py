"""Latency against request rate, as the trials that looked for a capacity measured it."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from objectives.capacity import CAPACITY


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from optuna_scoot.tuning.report import Report


@dataclass(frozen=True)
class Curve:
    """The loads of one trial.

    Attributes:
        name: "default" or "best", and the trial's number.
        rate: The highest rate that was kept, in requests a second; 0 where none was.
        missed_at: The lowest rate that was missed; None where none was.
        points: The loads by their rate, as ``Capacity.as_dict`` tells them.
    """

    name: str
    rate: float
    missed_at: float | None
    points: Sequence[Mapping[str, Any]]


def capacity_curves(report: Report) -> list[Curve]:
    """Return the curves of the default and the best; none where no capacity was looked for."""
    default, best = report.default, report.best or report.nearest
    named = [("default", default), ("best" if report.best is best else "nearest", best)]
    return [
        _curve(f"{name}, trial {trial.number}", trial)
        for i, (name, trial) in enumerate(named)
        if trial is not None and CAPACITY in trial.user_attrs and (i == 0 or trial is not default)
    ]


def _curve(name: str, trial: FrozenTrial) -> Curve:
    told = trial.user_attrs[CAPACITY]
    return Curve(name, told["rate"], told["missed_at"], told["curve"])
