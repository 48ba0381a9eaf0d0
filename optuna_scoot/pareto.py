"""Pareto fronts and hypervolume (paper, sections II and IV-D2); every objective is minimised.

moocore counts dominated volume and finds what no other value dominates; BoTorch cuts what is not
dominated into boxes.
"""

from __future__ import annotations

import numpy as np


_MOST_EXACT = 4  # objectives; at six, 30 values take 2,500 boxes and 40 seconds to find them
_SMALLEST = 1e-3  # share of the volume below which, with more objectives, boxes are left out
_REACH = 3.0  # times the better half's span, beyond the median, up to which values differ


def hypervolume(values: np.ndarray, reference_point: np.ndarray) -> float:
    """Return the volume between the reference point (m,) and n values, shape (n, m)."""
    import moocore

    return float(moocore.hypervolume(np.asarray(values, dtype=float), ref=reference_point))


def is_non_dominated(values: np.ndarray) -> np.ndarray:
    """Return which of n values, shape (n, m), no other dominates: Booleans of shape (n,)."""
    import moocore

    return np.asarray(moocore.is_nondominated(np.asarray(values, dtype=float), keep_weakly=True))


def non_dominated_boxes(
    values: np.ndarray, reference_point: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is better than the reference point and dominated by no value, as boxes.

    All of it with up to four objectives, its large parts with more.

    Args:
        values: Observed values, minimised, shape (n, m).
        reference_point: Shape (m,).

    Returns:
        Lower and upper corners of disjoint boxes, each of shape (b, m).
    """
    import torch
    from botorch.utils.multi_objective.box_decompositions.non_dominated import (
        FastNondominatedPartitioning,
    )
    from botorch.utils.multi_objective.box_decompositions.non_dominated import (
        NondominatedPartitioning,
    )

    better = values[np.all(values < reference_point, axis=1)]
    if len(better) == 0:
        return np.full((1, len(reference_point)), -np.inf), reference_point[np.newaxis, :]
    # BoTorch maximises.
    front = {"ref_point": torch.from_numpy(-reference_point), "Y": torch.from_numpy(-better)}
    if len(reference_point) <= _MOST_EXACT:
        partitioning = FastNondominatedPartitioning(**front)
    else:
        partitioning = NondominatedPartitioning(**front, alpha=_SMALLEST)
    corners = partitioning.get_hypercell_bounds().numpy()
    return -corners[1], -corners[0]


def worst_that_matters(values: np.ndarray) -> np.ndarray:
    """Return the level of each objective beyond which a value is simply bad, shape (m,).

    A configuration that is overloaded, or a penalty of a million, must not set the scale by which
    all others are seen: what counts is what the better half spans, and what the front reaches.

    Args:
        values: Minimised, shape (n, m), n ≥ 1.
    """
    median = np.median(values, axis=0)
    front = values[is_non_dominated(values)].max(axis=0)
    return np.asarray(np.maximum(median + _REACH * (median - values.min(axis=0)), front))


def reference_point(values: np.ndarray, default: np.ndarray | None) -> np.ndarray:
    """Return the reference point of the hypervolume (paper, section IV-E2), shape (m,).

    Args:
        values: Seen so far, shape (n, m), n ≥ 1.
        default: The default configuration's values, shape (m,): the reference point where they
            are known. None: a little beyond the worst values seen.
    """
    if default is not None:
        return default
    # The worst of all, not of the front: the front of a few trials hardly spans the trade-off, and
    # what lies outside of its own box would never be looked at.
    worst = np.minimum(values.max(axis=0), worst_that_matters(values))
    width = worst - values.min(axis=0)
    return np.asarray(worst + 0.1 * np.where(width > 0.0, width, 1.0))
