"""Levels of categoricals as columns, for trees, which compare numbers."""

from __future__ import annotations

import numpy as np


class OneHot:
    """One column for each level that was seen, of each categorical; numbers stay as they are.

    What was never seen has none of the columns.

    Args:
        features: What was seen, shape (n, d); of a categorical its levels' indices.
        is_level: Which features are levels of a categorical, Booleans of shape (d,).
    """

    def __init__(self, features: np.ndarray, is_level: np.ndarray) -> None:
        self._levels = [
            np.unique(column) if is_one else None
            for column, is_one in zip(features.T, is_level, strict=True)
        ]
        widths = [1 if levels is None else len(levels) for levels in self._levels]
        self.owners = np.repeat(np.arange(len(widths)), widths)
        """The feature of each of the f columns, indices of shape (f,)."""

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the columns (q, f) of features (q, d)."""
        columns = [
            column[:, np.newaxis] if levels is None else column[:, np.newaxis] == levels
            for column, levels in zip(features.T, self._levels, strict=True)
        ]
        return np.concatenate(columns, axis=1, dtype=float)
