"""Levels that crashed in their first trials: when they get the benefit of the doubt.

The forest rules out for good a level of a categorical that crashed in its first trials, although
these may have crashed for other reasons. Once the rest of the space has little left to give, a
suggestion now and then is made by a forest that sees the numbers alone, and the levels that have
had their chances.
"""

from __future__ import annotations

import numpy as np

from optuna_scoot.observations import Observations
from optuna_scoot.pareto import hypervolume
from optuna_scoot.pareto import reference_point
from optuna_scoot.space.one_hot import OneHot
from optuna_scoot.space.search_space import SearchSpace


_LEAST_PROGRESS = 0.02  # share of the hypervolume (one objective: of the gain over the median)
_LEVEL_CHANCES = 2  # crashes of the model's suggestions after which a level is given up


def hidden_levels(
    observations: Observations, space: SearchSpace, one_hot: OneHot, every: int
) -> np.ndarray:
    """Return which columns the next suggestion's models of crashes do not see.

    Args:
        observations: Of the study.
        space: Theirs.
        one_hot: What the models see of features.
        every: Of so many suggestions that gained nothing the last one is bold; 0 for never.

    Returns:
        Booleans of shape (f,), True for levels alone.
    """
    is_level = space.is_level[one_hot.owners]
    if not is_level.any() or not is_stagnant(observations, every):
        return np.zeros_like(is_level)
    return np.asarray(is_level & ~given_up(observations, space, one_hot))


def is_stagnant(observations: Observations, n: int) -> bool:
    """Return whether the last n suggestions of the model gained next to nothing.

    The question is asked once in n suggestions, those of a batch counted one by one.

    Args:
        observations: Of the study.
        n: How many; 0 says no.
    """
    o = observations
    if n == 0 or len(o.outcomes) < n or (len(o.outcomes) + len(o.pending) + 1) % n != 0:
        return False
    earlier = o.completed_before[-n]
    if earlier < 1:
        return False
    reference = (
        reference_point(o.values, o.reference_point)
        if o.values.shape[1] > 1
        else np.median(o.values, axis=0)
    )
    before = hypervolume(o.values[:earlier][o.satisfied[:earlier]], reference)
    now = hypervolume(o.values[o.satisfied], reference)
    return now - before <= _LEAST_PROGRESS * now


def given_up(observations: Observations, space: SearchSpace, one_hot: OneHot) -> np.ndarray:
    """Return which columns show a level that has had its chances, Booleans of shape (f,).

    A crash of a start-up point blames its numbers as much as its levels. The model's suggestions
    have numbers that it considers good: where these crash too, again and again, and no trial with
    the level ever ran, the level is to blame.
    """
    o = observations
    ran = one_hot(space.features(np.concatenate([o.x, o.pruned]))) > 0.0
    crashed = one_hot(space.features(o.crashed[o.crashed_by_model])) > 0.0
    has_had_them = ~ran.any(axis=0) & (crashed.sum(axis=0) >= _LEVEL_CHANCES)
    return np.asarray(space.is_level[one_hot.owners] & has_had_them)
