"""Rows of points: when two are the same, and which are left out."""

from __future__ import annotations

import numpy as np


def row_keys(x: np.ndarray) -> list[bytes]:
    """Return a hashable key of each snapped point (n, d), equal for equal points.

    Rounded, since a continuous value does not come back from its distribution to the last bit;
    adding zero turns -0.0 into 0.0.
    """
    return [row.tobytes() for row in np.round(np.ascontiguousarray(x, dtype=float), 10) + 0.0]


def without(x: np.ndarray, taken: set[bytes]) -> np.ndarray:
    """Drop the rows of x (n, d) whose key is taken, and repeated rows."""
    seen = set(taken)
    keep = []
    for i, key in enumerate(row_keys(x)):
        if key not in seen:
            seen.add(key)
            keep.append(i)
    return x[keep]
