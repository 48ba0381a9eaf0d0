"""The probability of feasibility (POF): a forest on what ran and what crashed (paper, IV-G).

A random forest learns from what ran (target 1) and what crashed (target 0) where a configuration
is likely to run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ForestChoice:
    """How the forest is grown.

    Attributes:
        n_trees: How many trees.
        extra: Extremely randomised trees (Geurts et al., 2006), whose cuts are drawn at random
            and vary smoothly with the distance to what crashed, instead of a random forest (the
            paper), whose cuts lie halfway between two observations.
        pairs: Whether the trees may also cut along the sum and the difference of two numbers.
            Memory and time are products of parameters: sums, on their logarithmic scales.
    """

    n_trees: int = 50
    extra: bool = True
    pairs: bool = True

    @classmethod
    def paper(cls) -> ForestChoice:
        """Return the paper's random forest with scikit-learn's defaults (section IV-G)."""
        return cls(n_trees=100, extra=False, pairs=False)


class FeasibilityForest:
    """Forest regression on ran (1) and crashed (0).

    Args:
        features: Features of the configurations, shape (n, f).
        ran: Whether each ran, Booleans of shape (n,).
        is_level: Which features are levels of a categorical, Booleans of shape (f,).
        ignored: Features that the forest does not see, Booleans of shape (f,).
        choice: How the forest is grown.
        seed: Of its random draws.
    """

    def __init__(
        self,
        features: np.ndarray,
        ran: np.ndarray,
        *,
        is_level: np.ndarray,
        ignored: np.ndarray,
        choice: ForestChoice,
        seed: int,
    ) -> None:
        self._numbers = np.flatnonzero(~is_level) if choice.pairs else np.empty(0, dtype=int)
        self._shown = ~ignored
        self._trees = []
        # A single class teaches nothing that its share does not say already, nor does a space of
        # levels alone whose forest does not see them.
        self._constant = 1.0 if len(ran) == 0 else float(np.mean(ran))
        rows = self._rows(features)
        if 0.0 < self._constant < 1.0 and rows.shape[1] > 0:
            # Slow to import.
            from sklearn.ensemble import ExtraTreesRegressor
            from sklearn.ensemble import RandomForestRegressor

            kind = ExtraTreesRegressor if choice.extra else RandomForestRegressor
            # All features are tried at every cut, as in the paper.
            forest = kind(choice.n_trees, max_features=1.0, random_state=seed, n_jobs=1)
            forest.fit(rows, ran.astype(float))
            self._trees = [estimator.tree_ for estimator in forest.estimators_]

    def probability(self, features: np.ndarray) -> np.ndarray:
        """Return the probability of feasibility of n configurations.

        Args:
            features: Of shape (n, f).

        Returns:
            Probabilities of shape (n,), each in [0, 1].
        """
        if not self._trees:
            return np.full(len(features), self._constant)
        # The mean over the trees without the thread pool that the forest's own predict sets up
        # at every call, which would take most of the time here.
        rows = self._rows(features)
        total = np.zeros(len(rows))
        for tree in self._trees:
            total += tree.predict(rows)[:, 0]
        return total / len(self._trees)

    def _rows(self, features: np.ndarray) -> np.ndarray:
        """Return the features (n, f) and the sums and differences of the numbers."""
        i, j = np.triu_indices(len(self._numbers), k=1)
        left, right = features[:, self._numbers[i]], features[:, self._numbers[j]]
        rows = np.concatenate([features[:, self._shown], left + right, left - right], axis=1)
        return np.ascontiguousarray(rows, dtype=np.float32)
