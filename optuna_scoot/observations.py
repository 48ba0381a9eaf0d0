"""What a study has seen, as arrays: all that a suggestion is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Observations:
    """What a study has seen, in the unit cube of d parameters; every objective is minimised.

    Attributes:
        x: Completed trials, shape (n, d).
        values: Their objective values, signs turned so that less is better, shape (n, m).
        constraints: Their measured constraints, satisfied where ≤ 0, shape (n, c); c may be 0.
        crashed: Points that crashed, shape (k, d).
        pruned: Points that ran without a final value, shape (p, d).
        pending: Points that run now, shape (r, d).
        outcomes: For each finished suggestion of the model, in order, whether it ran.
        reference_point: Of the hypervolume, signs turned alike, shape (m,), None when unknown.
        pruned_values: What pruned points would have reached by their reports, shape (p, m), NaN
            where they tell nothing; None where nothing was reported at all.
        pruned_constraints: The constraints that pruned points told before they were cut, shape
            (p, c), NaN where they told none; None where nothing was told at all.
    """

    x: np.ndarray
    values: np.ndarray
    constraints: np.ndarray
    crashed: np.ndarray
    pruned: np.ndarray
    pending: np.ndarray
    outcomes: tuple[bool, ...]
    reference_point: np.ndarray | None
    pruned_values: np.ndarray | None = None
    pruned_constraints: np.ndarray | None = None

    @property
    def satisfied(self) -> np.ndarray:
        """Return whether each completed trial satisfied every measured constraint, shape (n,)."""
        return np.asarray(np.all(self.constraints <= 0.0, axis=1))

    @property
    def all_points(self) -> np.ndarray:
        """Return all points that were evaluated, crashed or run now, shape (n, d)."""
        return np.concatenate([self.finished_points, self.pending])

    @property
    def finished_points(self) -> np.ndarray:
        """Return all points that were evaluated or crashed, shape (n, d)."""
        return np.concatenate([self.x, self.crashed, self.pruned])
