"""Paired statistics of two samplers' runs on the same cases (problem and seed)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from optuna_scoot.comparison.reporting.summary import Entry


FloatArray = NDArray[np.float64]

CONFIDENCE_Z = 1.959963984540054
"""Normal quantile of a two-sided 95 % interval."""

TIE = 1e-9
"""Scores closer than this are equal."""

N_RESAMPLES = 10_000
MAX_DRAWS_AT_A_TIME = 2_000_000
"""Bounds the memory of a bootstrap."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_mean(
    samples: FloatArray, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval:
    """Return a mean with its percentile bootstrap interval.

    Args:
        samples: Independent samples, shape ``(n,)``, n at least 1.
        n_resamples: Number of resamples.
        seed: Of the resampling.

    Returns:
        The mean and the 2.5th and 97.5th percentiles of the resamples' means.
    """
    mean = float(samples.mean())
    if len(samples) == 1:
        return Interval(mean, mean, mean)
    found = bootstrap(
        (samples,),
        np.mean,
        n_resamples=n_resamples,
        batch=max(1, MAX_DRAWS_AT_A_TIME // len(samples)),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


def wilson(successes: float, n: int) -> Interval:
    """Return a share with its Wilson score interval (E. Wilson, 1927).

    Args:
        successes: Number of successes; halves (ties) are allowed.
        n: Number of trials, at least 1.

    Returns:
        The share and its interval.
    """
    z2 = CONFIDENCE_Z**2
    share = successes / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = CONFIDENCE_Z / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return Interval(share, max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def win_rate(ours: FloatArray, theirs: FloatArray) -> Interval:
    """Return the share of the pairs that the first wins; a tie counts half to each.

    Args:
        ours: Scores, shape ``(n,)``.
        theirs: Scores on the same cases, shape ``(n,)``.
    """
    difference = ours - theirs
    wins = np.sum(difference > TIE) + 0.5 * np.sum(np.abs(difference) <= TIE)
    return wilson(float(wins), len(difference))


def trials_to_reach(curves: FloatArray, targets: FloatArray) -> FloatArray:
    """Return the first trial, counted from 1, at which each run reaches its target.

    Args:
        curves: Score after each trial, shape ``(n, n_trials)``.
        targets: Scores to reach, shape ``(n,)``.

    Returns:
        Trials, shape ``(n,)``; infinity where the target is never reached.
    """
    reached = curves >= targets[:, None] - TIE
    first = reached.argmax(axis=1) + 1.0
    return np.where(reached.any(axis=1), first, np.inf)


@dataclass(frozen=True)
class Paired:
    """One sampler against another on their common cases.

    Attributes:
        ours: Our entry.
        theirs: Theirs.
        n_cases: Number of common cases.
        difference: Of the scores after the last trial, ours less theirs.
        ratio: Of the mean scores after the last trial, ours over theirs; NaN where theirs is not
            above zero.
        wins: Share of the cases that we win.
        median_trial: Median trial at which we reach their last score on the same case.
        curve_trial: Trial at which our mean curve reaches their last mean score.
        at_cost: Of the scores at the equal cost, ours less theirs; None without costs.
    """

    ours: Entry
    theirs: Entry
    n_cases: int
    difference: Interval
    ratio: float
    wins: Interval
    median_trial: float
    curve_trial: float
    at_cost: Interval | None = None


def paired(ours: Entry, theirs: Entry) -> Paired | None:
    """Compare two entries on the cases that both have; return None if there is no common case."""
    rows = {case: index for index, case in enumerate(theirs.cases)}
    common = [(index, rows[case]) for index, case in enumerate(ours.cases) if case in rows]
    if not common:
        return None
    our_rows, their_rows = (list(side) for side in zip(*common, strict=True))
    our_curves, their_curves = ours.curves[our_rows], theirs.curves[their_rows]
    our_last, their_last = our_curves[:, -1], their_curves[:, -1]
    reached = trials_to_reach(our_curves, their_last)
    mean_reached = trials_to_reach(our_curves.mean(axis=0)[None], their_last.mean()[None])
    at_cost = None
    if ours.at_cost is not None and theirs.at_cost is not None:
        gained = ours.at_cost[our_rows] - theirs.at_cost[their_rows]
        at_cost = bootstrap_mean(gained)
    return Paired(
        ours=ours,
        theirs=theirs,
        n_cases=len(common),
        difference=bootstrap_mean(our_last - their_last),
        ratio=float(our_last.mean() / their_last.mean()) if their_last.mean() > 0 else math.nan,
        wins=win_rate(our_last, their_last),
        median_trial=float(np.median(reached)),
        curve_trial=float(mean_reached[0]),
        at_cost=at_cost,
    )
