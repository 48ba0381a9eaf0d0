"""When a study is done before its total: the model expects next to nothing of what it suggests.

``ScootSampler`` writes down with each suggestion what it expects of it. The gain that this lets
expect, over what has been reached, is compared with the gain over the default so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from optuna.trial import TrialState

from optuna_scoot.tuning.report import gains
from optuna_scoot.tuning.report import keeps_limits


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.trial import FrozenTrial

    from optuna_scoot.tuning.report import Metric


LEAST_SHARE = 0.01
"""A suggestion is worth its time from this share of the gain so far on."""
IN_A_ROW = 5
"""The last suggestions, all of which have to be worth less."""
_DRAWS = 2000


def has_converged(
    trials: Sequence[FrozenTrial], metrics: Sequence[Metric], reference: Sequence[float] | None
) -> bool:
    """Return whether little further gain is to be expected.

    That is where the model expected of each of the last five suggestions to add less than 1 % to
    the gain over the default, which with several objectives is the one-point hypervolume (paper,
    eq. 11).

    Args:
        trials: Of the study, without those that were retried.
        metrics: Its objectives.
        reference: The default's values, None where it has none: then nothing is told.
    """
    if reference is None:
        return False
    suggested = [t for t in trials if "scoot:predicted_mean" in t.user_attrs]
    latest = sorted(suggested, key=lambda t: t.number)[-IN_A_ROW:]
    if len(latest) < IN_A_ROW:
        return False
    return all(
        _expected_share(trial, _best_before(trial, trials, metrics, reference), metrics, reference)
        < LEAST_SHARE
        for trial in latest
    )


def _expected_share(
    trial: FrozenTrial, best: float, metrics: Sequence[Metric], reference: Sequence[float]
) -> float:
    """Return the expected improvement of a suggestion as a share of the best gain before it."""
    if best <= 0.0:
        return np.inf
    attrs: dict[str, Any] = trial.user_attrs
    mean, std = np.array(attrs["scoot:predicted_mean"]), np.array(attrs["scoot:predicted_std"])
    rng = np.random.default_rng(0)  # the same study, the same answer
    values = mean + std * rng.standard_normal((_DRAWS, len(metrics)))
    improvement = np.maximum(_gain(values, metrics, reference) - best, 0.0).mean()
    return float(improvement) * float(attrs["scoot:pof"]) / best


def _best_before(
    trial: FrozenTrial,
    trials: Sequence[FrozenTrial],
    metrics: Sequence[Metric],
    reference: Sequence[float],
) -> float:
    """Return the best gain of the trials that completed before one, by their numbers."""
    before = [
        t.values
        for t in trials
        if t.number < trial.number and t.state == TrialState.COMPLETE and keeps_limits(t)
    ]
    return float(_gain(np.array(before), metrics, reference).max(initial=0.0)) if before else 0.0


def _gain(values: np.ndarray, metrics: Sequence[Metric], reference: Sequence[float]) -> np.ndarray:
    """Return the gains of values (n, m) over a reference: the product of their sides, (n,)."""
    signs = np.array(gains([1.0] * len(metrics), metrics))
    sides = np.maximum(signs * (values - np.array(reference)), 0.0)
    return np.asarray(np.prod(sides, axis=1))
