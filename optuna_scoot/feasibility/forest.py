"""The probability of feasibility (POF): a forest on what ran and what crashed (paper, IV-G).

A random forest learns from what ran (target 1) and what crashed (target 0) where a configuration
is likely to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from itertools import product
from math import comb

import numpy as np

from optuna_scoot.space.one_hot import OneHot


_MOST_SUMS = 400  # that the trees may cut along: of many parameters' a random part


@dataclass(frozen=True)
class ForestChoice:
    """How the forest is grown.

    Attributes:
        n_trees: How many trees.
        extra: Extremely randomised trees (Geurts et al., 2006), whose cuts are drawn at random
            and vary smoothly with the distance to what crashed, instead of a random forest (the
            paper), whose cuts lie halfway between two observations.
        most_terms: Of sums and differences of numbers along which the trees may cut as well; 1 for
            none (the paper). Memory and time are products of parameters, and a divisor is a
            quotient: sums and differences on logarithmic scales.
    """

    n_trees: int = 50
    extra: bool = True
    most_terms: int = 3

    @classmethod
    def paper(cls) -> ForestChoice:
        """Return the paper's random forest with scikit-learn's defaults (section IV-G)."""
        return cls(n_trees=100, extra=False, most_terms=1)


class FeasibilityForest:
    """Forest regression on ran (1) and crashed (0).

    Args:
        features: Features of the configurations, shape (n, d).
        ran: Whether each ran, Booleans of shape (n,).
        is_level: Which features are levels of a categorical, Booleans of shape (d,).
        choice: How the forest is grown.
        seed: Of its random draws.
    """

    def __init__(
        self,
        features: np.ndarray,
        ran: np.ndarray,
        *,
        is_level: np.ndarray,
        choice: ForestChoice,
        seed: int,
    ) -> None:
        self._one_hot = OneHot(features, is_level)
        self._numbers = np.flatnonzero(~is_level)
        rng = np.random.default_rng(seed)
        self._signs = _signs_of_sums(len(self._numbers), choice.most_terms, rng)
        self._trees = []
        # A single class teaches nothing that its share does not say already.
        self._constant = 1.0 if len(ran) == 0 else float(np.mean(ran))
        if 0.0 < self._constant < 1.0:
            # Slow to import.
            from sklearn.ensemble import ExtraTreesRegressor
            from sklearn.ensemble import RandomForestRegressor

            kind = ExtraTreesRegressor if choice.extra else RandomForestRegressor
            # All features are tried at every cut, as in the paper.
            forest = kind(choice.n_trees, max_features=1.0, random_state=seed, n_jobs=1)
            forest.fit(self._rows(features), ran.astype(float))
            self._trees = [estimator.tree_ for estimator in forest.estimators_]

    def probability(self, features: np.ndarray) -> np.ndarray:
        """Return the probability of feasibility of n configurations.

        Args:
            features: Of shape (n, d).

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
        """Return what the trees see of features (n, d): levels as columns, and the sums."""
        sums = features[:, self._numbers] @ self._signs.T
        return np.concatenate([self._one_hot(features), sums], axis=1).astype(np.float32)


def _signs_of_sums(n_numbers: int, most_terms: int, rng: np.random.Generator) -> np.ndarray:
    """Return sums and differences of two numbers and more, those of two first.

    Returns:
        -1, 0 or 1 for each sum and number, shape (s, n_numbers); the first that is not 0 is 1.
    """
    found: dict[bytes, np.ndarray] = {}
    for size in range(2, min(most_terms, n_numbers) + 1):
        n_all = comb(n_numbers, size) * 2 ** (size - 1)
        wanted = min(len(found) + n_all, _MOST_SUMS)
        chosen = _at_random(n_numbers, size, rng)
        if len(found) + n_all <= _MOST_SUMS:
            every = combinations(range(n_numbers), size)
            chosen = product(every, product((1, -1), repeat=size - 1))
        while len(found) < wanted:
            numbers, signs = next(chosen)
            row = np.zeros(n_numbers)
            row[list(numbers)] = (1, *signs)
            found.setdefault(row.tobytes(), row)
    return np.array(list(found.values())).reshape(len(found), n_numbers)


def _at_random(
    n_numbers: int, size: int, rng: np.random.Generator
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield numbers, in order, and the signs of all but the first."""
    while True:
        numbers = np.sort(rng.choice(n_numbers, size=size, replace=False))
        yield tuple(numbers.tolist()), tuple(rng.choice((1, -1), size=size - 1).tolist())
