"""Which configurations of a study are measured again before one is recommended."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from optuna.trial import TrialState

from optuna_scoot.tuning.bookkeeping import find_default
from optuna_scoot.tuning.bookkeeping import not_retried
from optuna_scoot.tuning.report import gains
from optuna_scoot.tuning.report import is_allowed
from optuna_scoot.tuning.report import keeps_limits
from optuna_scoot.tuning.report import pareto_front
from optuna_scoot.tuning.report import single_point_hypervolume
from optuna_scoot.tuning.report import study_metrics


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from optuna_scoot.constraints.known import KnownConstraints


def choose_finalists(
    study: Study,
    known: KnownConstraints | None,
    n_finalists: int | None,
    *,
    distances: Mapping[str, float] | None = None,
    fallen: Sequence[Mapping[str, Any]] = (),
) -> list[FrozenTrial]:
    """Return the configurations that may be the best, the best by one measurement first.

    With one objective they are the best trials, with several those of the front with the largest
    hypervolume of one point (paper, eq. 11). Each keeps the limits and the known constraints,
    differs from the others, and is better than the default in every objective where the default
    may be used itself; where it may not, the worst values of the usable trials take its place.

    Args:
        study: Tuned, with or without a default configuration.
        known: What a configuration has to satisfy to be recommended.
        n_finalists: The most to return; None for all.
        distances: By how much each limit has to be kept, as a share of it; by default just so.
        fallen: Parameters of configurations that are left out.
    """
    trials = not_retried(study.get_trials(deepcopy=False))
    metrics = study_metrics(study)
    default = find_default(trials)
    completed = [t for t in trials if t.state == TrialState.COMPLETE]
    usable = [t for t in completed if is_allowed(t, known) and keeps_limits(t)]
    if not usable:
        return []
    if default in usable:
        assert default is not None
        reference = tuple(default.values)
    else:
        columns = zip(*(gains(t.values, metrics) for t in usable), strict=True)
        reference = gains([min(column) for column in columns], metrics)
    others = [t for t in usable if default is None or t.params != default.params]
    others = [t for t in others if keeps_limits(t, distances) and not _is_among(t, fallen)]
    candidates = others if len(metrics) == 1 else list(pareto_front(others, metrics))

    def size(trial: FrozenTrial) -> float:
        return single_point_hypervolume(trial.values, reference, metrics)

    if default in usable:
        candidates = [t for t in candidates if size(t) > 0.0]
    chosen: list[FrozenTrial] = []
    for trial in sorted(candidates, key=lambda t: (-size(t), t.number)):
        if all(trial.params != other.params for other in chosen):
            chosen.append(trial)
    return chosen[:n_finalists]


def _is_among(trial: FrozenTrial, configurations: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a trial's parameters are those of a configuration, which may have more."""
    return any(trial.params.items() <= other.items() for other in configurations)
