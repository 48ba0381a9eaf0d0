"""Hypervolume: the volume between a set of points and a reference point (paper, section IV-D2).

All objectives are minimised here; maximised ones are negated by the caller.

The sampler asks BoTorch, which gives the same to rounding.
Making a problem asks for the volume of one large front thousands of times, once for
each place of the reference point: with BoTorch that takes 7 to 20 seconds a problem, here 0.05.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


FloatArray = NDArray[np.float64]


def hypervolume(points: FloatArray, reference: FloatArray) -> float:
    """Volume that points dominate below a reference point.

    Args:
        points: Objective values, minimised, shape ``(n, m)``; dominated points and points that
            do not beat the reference add nothing.
        reference: The reference point, shape ``(m,)``.

    Returns:
        The volume, at least 0.
    """
    inside = points[np.all(points < reference, axis=1)]
    if not len(inside):
        return 0.0
    if inside.shape[1] == 1:
        return float(reference[0] - inside.min())
    if inside.shape[1] == 2:
        return _area(inside, reference)
    return _by_slices(inside, reference)


def _area(points: FloatArray, reference: FloatArray) -> float:
    """Two objectives: the rectangles under the staircase, from left to right."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    lowest = np.minimum.accumulate(ordered[:, 1])
    right = np.append(ordered[1:, 0], reference[0])
    return float(np.sum((right - ordered[:, 0]) * (reference[1] - lowest)))


def _by_slices(points: FloatArray, reference: FloatArray) -> float:
    """Three or more objectives: slices along the last one, each of one dimension less."""
    ordered = points[np.argsort(points[:, -1])]
    tops = np.append(ordered[1:, -1], reference[-1])
    volume = 0.0
    for index, top in enumerate(tops):
        height = float(top - ordered[index, -1])
        if height > 0:
            volume += height * hypervolume(ordered[: index + 1, :-1], reference[:-1])
    return volume


def non_dominated(points: FloatArray) -> FloatArray:
    """The points that no other point dominates, without duplicates.

    Args:
        points: Objective values, minimised, shape ``(n, m)``.

    Returns:
        Shape ``(k, m)``, in lexicographic order.
    """
    unique: FloatArray = np.unique(points, axis=0)
    keep = [
        not np.any(np.all(unique <= point, axis=1) & np.any(unique < point, axis=1))
        for point in unique
    ]
    return np.asarray(unique[np.array(keep, dtype=bool)])
