"""Hypervolume and dominance (paper, section IV-D2); all objectives are minimised."""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray


FloatArray = NDArray[np.float64]


def hypervolume(values: FloatArray, reference_point: FloatArray) -> float:
    """Return the volume between points and a reference point.

    Args:
        values: Objective values, shape ``(n, m)``; dominated points and points that do not beat
            the reference add nothing.
        reference_point: Shape ``(m,)``.

    Returns:
        The volume, at least 0.
    """
    return float(moocore.hypervolume(values, ref=reference_point))


def is_non_dominated(values: FloatArray) -> NDArray[np.bool_]:
    """Return which points no other point dominates, of equal ones the first alone.

    Args:
        values: Objective values, shape ``(n, m)``.

    Returns:
        Booleans of shape ``(n,)``.
    """
    return np.asarray(moocore.is_nondominated(values), dtype=bool)
