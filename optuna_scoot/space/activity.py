"""Conditional spaces: which parameters an objective asks for, learnt from what its trials asked.

Define-by-run objectives ask for a parameter on one branch alone: the width of a third layer where
there are three. A parameter that a configuration does not ask for is *inactive* there. When it is
asked for depends on other parameters, levels of categoricals as a rule; decision trees find the
simplest dependence that all trials so far bear out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optuna_scoot.space.one_hot import OneHot


if TYPE_CHECKING:
    from sklearn.tree._tree import Tree


_UNASKED = -1.0  # stands for the value of an inactive parameter, where trees look at it


class Activity:
    """Which of d parameters are active at a point.

    Args:
        features: What the trees may look at of n trials, shape (n, d), n ≥ 1.
        is_level: Which features are levels of a categorical, Booleans of shape (d,).
        asked: Which parameters each trial asked for, Booleans of shape (n, d).
    """

    def __init__(self, features: np.ndarray, is_level: np.ndarray, asked: np.ndarray) -> None:
        self._columns = OneHot(features, is_level)
        self._owner = self._columns.owners
        self._is_level = is_level[self._owner]
        share = asked.mean(axis=0)
        self._always = share == 1.0
        self.typical_size = int(np.ceil(asked.sum(axis=1).mean()))
        """How many parameters a trial asks for, on average and rounded up."""
        self._trees: dict[int, tuple[np.ndarray, Tree | None]] = {}
        known = self._always.copy()
        # A parameter of few trials may depend on one of many, as the third layer's on the second.
        for j in (int(j) for j in np.argsort(-share, kind="stable") if 0.0 < share[j] < 1.0):
            self._trees[j] = self._grown(self._columns(features), asked, known, j)
            known[j] = self._trees[j][1] is not None

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return which parameters are active at q points: from features (q, d) to Booleans (q, d).

        A parameter that no trial has asked for is active nowhere.
        """
        active = np.repeat(self._always[np.newaxis, :], len(features), axis=0)
        seen = self._columns(features)
        for j, (columns, tree) in self._trees.items():
            rows = np.where(active[:, self._owner], seen, _UNASKED)[:, columns]
            active[:, j] = True if tree is None else _is_asked(tree, rows)
        return active

    def _grown(
        self, seen: np.ndarray, asked: np.ndarray, known: np.ndarray, j: int
    ) -> tuple[np.ndarray, Tree | None]:
        """Grow the tree of parameter j on columns of parameters whose activity is known.

        Levels are tried first: among a few trials some number always tells the branches apart by
        chance. Where there is nothing to depend on there is no tree.
        """
        from sklearn.tree import DecisionTreeRegressor

        usable = known[self._owner]
        rows = np.where(asked[:, self._owner], seen, _UNASKED)
        columns, tree = np.empty(0, dtype=int), None
        for looked_at in (usable & self._is_level, usable):
            if not looked_at.any():
                continue
            columns = np.flatnonzero(looked_at)
            # On 0 and 1 its cuts are a classifier's.
            grown = DecisionTreeRegressor(random_state=0)
            tree = grown.fit(rows[:, columns], asked[:, j].astype(float)).tree_
            if np.array_equal(_is_asked(tree, rows[:, columns]), asked[:, j]):
                break
        return columns, tree


def _is_asked(tree: Tree, rows: np.ndarray) -> np.ndarray:
    # Without the checks of scikit-learn's own predict, which take most of the time here.
    return np.asarray(tree.predict(np.ascontiguousarray(rows, dtype=np.float32))[:, 0] > 0.5)
