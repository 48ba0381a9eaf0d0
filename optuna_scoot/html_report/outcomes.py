"""The trials of a study one after the other: what became of each, and the best so far."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import TrialState

from objectives.serving import CRASH_REASON
from objectives.serving import ENDED_EARLY
from optuna_scoot.pareto import hypervolume
from optuna_scoot.tuning.bookkeeping import counts
from optuna_scoot.tuning.bookkeeping import not_retried
from optuna_scoot.tuning.formats import changed_params
from optuna_scoot.tuning.formats import describe_missed
from optuna_scoot.tuning.formats import format_params
from optuna_scoot.tuning.report import gains
from optuna_scoot.tuning.report import is_allowed
from optuna_scoot.tuning.report import keeps_limits


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from optuna_scoot.constraints.known import KnownConstraints
    from optuna_scoot.tuning.report import Metric
    from optuna_scoot.tuning.report import Report


class Fate(StrEnum):
    """What became of a trial."""

    USABLE = "usable"
    """It completed, and keeps limits and known constraints."""
    MISSES = "misses limits"
    CRASHED = "crashed"
    CUT = "ended early"


@dataclass(frozen=True)
class Ended:
    """A trial that counts.

    Attributes:
        number: Its number.
        fate: What became of it.
        values: Of the objectives; empty where it has none.
        changed: The parameters in which it differs from the default, in words.
        why: Why it crashed, was ended early, or what it misses; empty where it is usable.
        seconds: How long it took, None where nobody knows.
    """

    number: int
    fate: Fate
    values: tuple[float, ...]
    changed: str
    why: str
    seconds: float | None


@dataclass(frozen=True)
class Convergence:
    """How good the best has become, trial by trial.

    Attributes:
        label: What is told: the objective, or with several the share of the final hypervolume.
        numbers: Of the trials.
        best: After each of them; None before the first that may be used.
        reference: The default configuration's value; None where it has none, or with several
            objectives, where the share counts from the default.
        maximise: Whether larger is better.
    """

    label: str
    numbers: tuple[int, ...]
    best: tuple[float | None, ...]
    reference: float | None
    maximise: bool


HYPERVOLUME = "share of the final gain over the default"
HYPERVOLUME_WITHOUT_DEFAULT = "share of the final hypervolume"


def ended_trials(study: Study, report: Report, known: KnownConstraints | None) -> list[Ended]:
    """Return the trials that count, by their numbers."""
    trials = [t for t in not_retried(study.get_trials(deepcopy=False)) if counts(t)]
    return [_ended(trial, report, known) for trial in sorted(trials, key=lambda t: t.number)]


def _ended(trial: FrozenTrial, report: Report, known: KnownConstraints | None) -> Ended:
    attrs = trial.user_attrs
    values: tuple[float, ...] = ()
    if trial.state == TrialState.COMPLETE:
        values = tuple(trial.values)
        usable = keeps_limits(trial) and is_allowed(trial, known)
        fate = Fate.USABLE if usable else Fate.MISSES
        missed = describe_missed(trial) or "a known constraint"
        why = "" if usable else f"misses {missed}"
    elif trial.state == TrialState.PRUNED:
        fate, why = Fate.CUT, str(attrs.get(ENDED_EARLY, ""))
    else:
        fate, why = Fate.CRASHED, str(attrs.get(CRASH_REASON, "unknown"))
    is_default = report.default is not None and trial.number == report.default.number
    changed = "" if is_default else format_params(changed_params(trial, report.default))
    seconds = None if trial.duration is None else trial.duration.total_seconds()
    return Ended(trial.number, fate, values, changed, why, seconds)


def convergence(ended: Sequence[Ended], report: Report) -> Convergence | None:
    """Return how the best became better; None where there is nothing that may be used.

    With several objectives it is the hypervolume over the default's values (paper, eq. 11 for one
    point), or where the default has none over the worst values seen.
    """
    usable = [one for one in ended if one.fate is Fate.USABLE and np.isfinite(one.values).all()]
    if not usable:
        return None
    numbers = tuple(one.number for one in ended)
    kept = {one.number for one in usable}
    if len(report.metrics) == 1:
        (metric,) = report.metrics
        reference = None if report.reference is None else report.reference[0]
        best = _best_values(ended, kept, metric)
        return Convergence(metric.name, numbers, best, reference, metric.maximise)
    shares = _hypervolume_shares(ended, kept, report)
    if shares is None:
        return None
    label = HYPERVOLUME if report.reference is not None else HYPERVOLUME_WITHOUT_DEFAULT
    return Convergence(label, numbers, shares, None, True)


def _best_values(
    ended: Sequence[Ended], kept: set[int], metric: Metric
) -> tuple[float | None, ...]:
    best: float | None = None
    series = []
    better = max if metric.maximise else min
    for one in ended:
        if one.number in kept:
            best = one.values[0] if best is None else better(best, one.values[0])
        series.append(best)
    return tuple(series)


def _hypervolume_shares(
    ended: Sequence[Ended], kept: set[int], report: Report
) -> tuple[float | None, ...] | None:
    """Return the share of the final hypervolume after each trial; None where that is nothing."""
    points = {
        one.number: -np.array(gains(one.values, report.metrics))
        for one in ended
        if one.number in kept
    }
    if report.reference is None:
        origin = np.max(list(points.values()), axis=0)
    else:
        origin = -np.array(gains(report.reference, report.metrics))
    seen: list[np.ndarray] = []
    series = [0.0]
    for one in ended:
        if one.number in kept and (points[one.number] < origin).all():
            seen.append(points[one.number])
            series.append(hypervolume(np.array(seen), origin))
        else:
            series.append(series[-1])
    final = series[-1]
    return tuple(value / final for value in series[1:]) if final > 0.0 else None
