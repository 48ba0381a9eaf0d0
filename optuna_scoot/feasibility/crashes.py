"""What runs and what crashes, learnt from trials, with the threshold Δ (paper, section IV-G)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optuna_scoot.feasibility.chances import hidden_levels
from optuna_scoot.feasibility.forest import FeasibilityForest
from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.feasibility.risk import CrashRisk
from optuna_scoot.feasibility.threshold import FeasibilityThreshold
from optuna_scoot.observations import Observations
from optuna_scoot.space.one_hot import OneHot
from optuna_scoot.space.search_space import SearchSpace


@dataclass(frozen=True)
class CrashModel:
    """Two models of what runs and what crashes.

    Attributes:
        forest: The probability of feasibility.
        risk: The probability of a crash, as another model sees it; None where crashes cost
            nothing, or where none is known.
        threshold: Δ.
        one_hot: What both see of features.
    """

    forest: FeasibilityForest
    risk: CrashRisk | None
    threshold: float
    one_hot: OneHot

    def pof(self, features: np.ndarray) -> np.ndarray:
        """Return the probability of feasibility of n configurations, features (n, d): (n,)."""
        return self.forest.probability(self.one_hot(features))

    def margin(self, pof: np.ndarray) -> np.ndarray:
        """Return POF - Δ, shape (n,): ≥ 0 where a point may be suggested (paper, eq. 3)."""
        return np.asarray(pof - self.threshold)


def learn_crashes(
    observations: Observations,
    ran: np.ndarray,
    crashed: np.ndarray,
    space: SearchSpace,
    threshold: FeasibilityThreshold,
    *,
    choice: ForestChoice,
    bold_every: int,
    lengthscales: np.ndarray | None,
    seed: int,
) -> CrashModel:
    """Return what trials teach of crashes (paper, figure 3, step 3).

    Args:
        observations: Of the study.
        ran: Points that ran, shape (n, d), n ≥ 1.
        crashed: Points that crashed, shape (k, d).
        space: Theirs.
        threshold: The numbers that move Δ.
        choice: How the forest is grown.
        bold_every: See :class:`~optuna_scoot.Method`.
        lengthscales: Of the risk's kernel, shape (d,); None where crashes cost nothing.
        seed: Of the forest; the risk of a crash has none.
    """
    features = space.features(np.concatenate([ran, crashed]))
    one_hot = OneHot(features, space.is_level)
    rows, owners = one_hot(features), one_hot.owners
    labels = np.arange(len(rows)) < len(ran)
    hidden = hidden_levels(observations, space, one_hot, bold_every)
    forest = FeasibilityForest(
        rows,
        labels,
        is_level=space.is_level[owners],
        ignored=hidden,
        choice=choice,
        seed=seed,
    )
    risk = None
    if lengthscales is not None and not labels.all():
        risk = CrashRisk(rows, labels, lengthscales=lengthscales[owners], ignored=hidden)
    return CrashModel(forest, risk, threshold.after(observations.outcomes), one_hot)
