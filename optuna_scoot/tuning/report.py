"""What a study found: its front or best next to the default configuration, and its crashes.

Only numbers here; the command shows them, and ``result_files.py`` writes them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import TrialState

from objectives.engines.stated_config import changed_flags
from objectives.serving import CRASH_REASON
from objectives.serving import is_external
from optuna_scoot.trials.measured import measured_constraints
from optuna_scoot.tuning.bookkeeping import counts
from optuna_scoot.tuning.bookkeeping import find_default
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.bookkeeping import not_retried


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from optuna_scoot.constraints.known import KnownConstraints


@dataclass(frozen=True)
class Metric:
    """One objective.

    Attributes:
        name: As the study names it, or "value 0" and so on where it does not.
        maximise: Whether larger is better.
    """

    name: str
    maximise: bool


@dataclass(frozen=True)
class Report:
    """The outcome of a study so far.

    Attributes:
        metrics: The objectives in the study's order.
        default: The trial of the default configuration, None before it ended.
        front: Of the trials that may be used, those that no other one dominates, by the first
            objective; with one objective the best trial alone. A trial may be used when it
            completed, keeps every limit that was measured, and the known constraints.
        best: The trial to use, see ``best_trade_off``; None while none may be used.
        limits: The limits that were measured, as in "p99 ttft <= 500 ms".
        kept: How many completed trials keep all of them.
        nearest: Where trials completed and none keeps the limits, the one that misses them least;
            None otherwise.
        counted: Trials that completed, crashed or were ended early.
        completed: Of these, trials that completed.
        cut: Of the counted, trials that were ended early because they were hopeless.
        crashes: Crashes by reason.
        external: Trials that failed for reasons outside their configuration.
        running: Trials running now, in any worker.
    """

    metrics: tuple[Metric, ...]
    default: FrozenTrial | None
    front: tuple[FrozenTrial, ...]
    best: FrozenTrial | None
    limits: tuple[str, ...]
    kept: int
    nearest: FrozenTrial | None
    counted: int
    completed: int
    cut: int
    crashes: Mapping[str, int]
    external: int
    running: int

    @property
    def reference(self) -> tuple[float, ...] | None:
        """Return the default configuration's values, None when it crashed or was never run."""
        if self.default is None or self.default.state != TrialState.COMPLETE:
            return None
        return tuple(self.default.values)

    @property
    def crashed(self) -> int:
        """Return how many configurations crashed."""
        return sum(self.crashes.values())


def make_report(study: Study, known: KnownConstraints | None = None) -> Report:
    """Return a summary of a study.

    Args:
        study: Any study; the default configuration is the trial with the user attribute
            ``default_configuration``.
        known: The known constraints that a configuration has to satisfy to be recommended.
    """
    trials = not_retried(study.get_trials(deepcopy=False))
    metrics = study_metrics(study)
    completed = [t for t in trials if t.state == TrialState.COMPLETE]
    default = find_default(trials)
    reference = None
    if default is not None and default.state == TrialState.COMPLETE:
        reference = default.values
    keeping = [t for t in completed if keeps_limits(t)]

    def may_be_used(trial: FrozenTrial) -> bool:
        return is_allowed(trial, known)

    # Of thousands of trials nearly all are dominated: the constraints need not be asked of them.
    front = pareto_front(keeping, metrics, may_be_used)
    reasons = Counter(
        str(t.user_attrs.get(CRASH_REASON, "unknown")) for t in trials if is_crash(t)
    )
    return Report(
        metrics=metrics,
        default=default,
        front=front,
        best=best_trade_off(
            front, lambda: filter(may_be_used, keeping), metrics, reference, default
        ),
        limits=tuple(sorted({name for t in completed for name in limits_of(t)})),
        kept=len(keeping),
        nearest=None
        if front
        else min(filter(may_be_used, completed), key=largest_excess, default=None),
        counted=sum(counts(t) for t in trials),
        completed=len(completed),
        cut=sum(t.state == TrialState.PRUNED for t in trials),
        crashes=dict(reasons.most_common()),
        external=sum(is_external(t) for t in trials),
        running=sum(t.state == TrialState.RUNNING for t in trials),
    )


def limits_of(trial: FrozenTrial) -> dict[str, float]:
    """Return each measured limit with the share by which it is missed, ≤ 0 where it is kept."""
    return measured_constraints(trial)


def keeps_limits(trial: FrozenTrial, distances: Mapping[str, float] | None = None) -> bool:
    """Return whether a completed trial keeps every limit that was measured.

    Args:
        trial: Completed.
        distances: By how much it has to keep a limit, as a share of the limit; 0 for any other.
    """
    distances = distances or {}
    return all(e <= -distances.get(name, 0.0) for name, e in limits_of(trial).items())


def flags_not_taken(trial: FrozenTrial) -> dict[str, Any]:
    """Return the parameters that the engine does not have as asked, with what it has instead."""
    return changed_flags(trial.user_attrs)


def is_allowed(trial: FrozenTrial, known: KnownConstraints | None) -> bool:
    """Return whether a trial satisfies the known constraints."""
    return known is None or known.satisfied(trial.params)


def largest_excess(trial: FrozenTrial) -> float:
    """Return by how much a trial misses the limit that it misses most, as a share of it."""
    return max(limits_of(trial).values(), default=0.0)


def study_metrics(study: Study) -> tuple[Metric, ...]:
    """Return the study's objectives with their names."""
    directions = study.directions
    names = study.metric_names or [f"value {i}" for i in range(len(directions))]
    return tuple(
        Metric(name, direction == StudyDirection.MAXIMIZE)
        for name, direction in zip(names, directions, strict=True)
    )


def pareto_front(
    trials: Sequence[FrozenTrial],
    metrics: Sequence[Metric],
    may_enter: Callable[[FrozenTrial], bool] = lambda trial: True,
) -> tuple[FrozenTrial, ...]:
    """Return the trials that no other dominates, best first objective first.

    Of equal ones the earliest.

    Args:
        trials: Completed trials.
        metrics: The objectives.
        may_enter: Whether a trial counts; asked of those alone that no earlier one dominates.
    """
    front: list[FrozenTrial] = []
    points = {t.number: gains(t.values, metrics) for t in trials}
    for trial in sorted(trials, key=lambda t: t.number):
        point = points[trial.number]
        if any(_covers(points[other.number], point) for other in front) or not may_enter(trial):
            continue
        front = [other for other in front if not _covers(point, points[other.number])]
        front.append(trial)
    return tuple(sorted(front, key=lambda t: points[t.number], reverse=True))


def gains(values: Sequence[float], metrics: Sequence[Metric]) -> tuple[float, ...]:
    """Return the values turned so that larger is better."""
    return tuple(v if m.maximise else -v for v, m in zip(values, metrics, strict=True))


def _covers(a: Sequence[float], b: Sequence[float]) -> bool:
    """Return whether ``a`` is at least as good as ``b`` everywhere (larger is better)."""
    return all(x >= y for x, y in zip(a, b, strict=True))


def single_point_hypervolume(
    values: Sequence[float], reference: Sequence[float], metrics: Sequence[Metric]
) -> float:
    """Return the HV of one point (paper, eq. 11): (TTFT_ref - TTFT)(TPOT_ref - TPOT).

    Zero where the point is not better than the reference in every objective.
    """
    point = gains(values, metrics)
    origin = gains(reference, metrics)
    sides = [max(0.0, p - o) for p, o in zip(point, origin, strict=True)]
    return math.prod(sides) if all(sides) else 0.0  # not inf * 0


def best_trade_off(
    front: Sequence[FrozenTrial],
    usable: Callable[[], Iterable[FrozenTrial]],
    metrics: Sequence[Metric],
    reference: Sequence[float] | None,
    default: FrozenTrial | None,
) -> FrozenTrial | None:
    """Return the trial to use: the best, or with several objectives the best trade-off (eq. 11).

    The reference point is the default configuration's values. Where none on the front is better
    than the default in every objective, the default stays the best trade-off, if it may be used.
    Where it may not, crashed or was never run, the worst values among the usable trials are the
    reference.

    Args:
        front: Of the usable trials.
        usable: Returns all of them; asked where the worst of them are needed.
        metrics: The objectives.
        reference: The default configuration's values, None where it has none.
        default: Its trial.
    """
    if not front:
        return None
    if len(metrics) == 1:
        return front[0]
    if reference is None or not any(trial is default for trial in usable()):
        columns = zip(*(gains(t.values, metrics) for t in usable()), strict=True)
        worst = gains([min(column) for column in columns], metrics)
        return max(front, key=lambda t: single_point_hypervolume(t.values, worst, metrics))
    best = max(front, key=lambda t: single_point_hypervolume(t.values, reference, metrics))
    if single_point_hypervolume(best.values, reference, metrics) > 0:
        return best
    return default


def relative_change(value: float, reference: float) -> float | None:
    """Return (value - reference) / reference, None where that has no meaning."""
    if reference == 0 or not math.isfinite(reference) or not math.isfinite(value):
        return None
    return (value - reference) / abs(reference)
