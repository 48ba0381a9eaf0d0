"""Which parameters the values follow, as far as so few trials can tell.

A forest on twenty trials finds some parameter important in any case. So what it finds is held
against what it finds where there is nothing: the same trials with their values in another order
(Altmann et al., 2010), nineteen times. A parameter stands out only beyond what the most important
one reaches there, which by chance one study in twenty has. How far a few of the trials decide it
shows in the trials drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optuna_scoot.space.one_hot import OneHot


if TYPE_CHECKING:
    from optuna_scoot.space.search_space import SearchSpace


LEAST_TRIALS = 10
"""With fewer completed trials nothing is told."""
MOST_TRIALS = 500
"""Of more the latest."""
_N_TREES = 10
_N_PERMUTATIONS = 19
_N_RESAMPLES = 12
_INTERVAL = (0.1, 0.9)


@dataclass(frozen=True)
class Importance:
    """Shares of what a forest explains, by parameter; they add up to 1.

    Attributes:
        names: Of the d parameters, the most important first.
        share: Of each, shape (d,).
        low: Where a tenth of the resampled studies lie below, shape (d,).
        high: Where a tenth of them lie above, shape (d,).
        chance: What the most important parameter reaches in 19 of 20 cases where the values
            follow none.
        n_trials: Completed trials that it rests on.
    """

    names: tuple[str, ...]
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: float
    n_trials: int

    @property
    def standing_out(self) -> tuple[str, ...]:
        """Return the parameters that stand out from chance."""
        return tuple(n for n, s in zip(self.names, self.share, strict=True) if s > self.chance)


def learn_importance(
    space: SearchSpace, x: np.ndarray, values: np.ndarray, seed: int = 0
) -> Importance | None:
    """Return the parameters' importance for one objective.

    Args:
        space: Of d parameters.
        x: Points of completed trials, shape (n, d).
        values: What they reached, shape (n,); their order alone counts.
        seed: Of the forests, permutations and resamples.

    Returns:
        None where n is below ``LEAST_TRIALS``, there are fewer than two parameters, or all values
        are the same.
    """
    x, values = x[-MOST_TRIALS:], values[-MOST_TRIALS:]
    if len(x) < LEAST_TRIALS or space.n_dimensions < 2 or len(np.unique(values)) < 2:
        return None
    from scipy.stats import rankdata

    rng = np.random.default_rng(seed)
    seen = space.features(x)
    one_hot = OneHot(seen, space.is_level)
    features, owners = one_hot(seen), one_hot.owners
    ranks = rankdata(values)  # one overloaded configuration must not be all that is explained

    def shares(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return _shares(features[rows], targets, owners, space.n_dimensions, rng)

    n = len(x)
    all_rows = np.arange(n)
    share = np.mean([shares(all_rows, ranks) for _ in range(3)], axis=0)
    null = [shares(all_rows, rng.permutation(ranks)).max() for _ in range(_N_PERMUTATIONS)]
    drawn = [rng.integers(n, size=n) for _ in range(_N_RESAMPLES)]
    resampled = [shares(rows, ranks[rows]) for rows in drawn]
    low, high = np.quantile(resampled, _INTERVAL, axis=0)
    order = np.argsort(-share, kind="stable")
    return Importance(
        names=tuple(space.names[j] for j in order),
        share=share[order],
        low=np.minimum(low, share)[order],
        high=np.maximum(high, share)[order],
        chance=float(np.max(null)),  # that the study itself lies above 19 others: 1 in 20
        n_trials=n,
    )


def _shares(
    features: np.ndarray, targets: np.ndarray, owners: np.ndarray, d: int, rng: np.random.Generator
) -> np.ndarray:
    """Return each parameter's share of what a forest explains, shape (d,)."""
    from sklearn.ensemble import ExtraTreesRegressor

    forest = ExtraTreesRegressor(
        _N_TREES, max_features=1.0, random_state=int(rng.integers(2**31)), n_jobs=1
    )
    forest.fit(features, targets)
    return np.bincount(owners, weights=forest.feature_importances_, minlength=d)
