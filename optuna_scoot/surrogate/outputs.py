"""Output transforms: between the values a user measures and those a Gaussian process models.

Latencies span orders of magnitude: one bad configuration of 50 seconds among others of 300 ms
would flatten all differences that matter. A shifted logarithm, z = log(y + s), makes such values
look Gaussian; the shift runs from "pure logarithm" to "nearly linear" and the data choose it.
Improvements are still counted in the units of y, in closed form (``acquisition``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


# The logarithm has a floor at -s, below which it holds every value for impossible. It must lie
# well below what was seen: by so many distances between the minimum and the median.
_FLOORS = (1.0, 3.0)

# The logarithm of the values themselves asks that the least is a latency like the others. Where it
# is next to nothing compared with the median, the logarithm would spread out differences among
# numbers that are all as good as zero.
_LEAST_FOR_PURE_LOGARITHM = 0.1


@dataclass(frozen=True)
class OutputTransform:
    """One objective's way to standardised values: u = (t(y) - location) / scale.

    Args:
        shift: s of t(y) = log(y + s); None for t(y) = y.
        location: Mean of the transformed values.
        scale: Their standard deviation, > 0.
    """

    shift: float | None
    location: float
    scale: float

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Return standardised values of measured ones, any shape."""
        return (self._transform(values) - self.location) / self.scale

    def backward(self, standardised: np.ndarray) -> np.ndarray:
        """Return measured values of standardised ones (of a mean: the median)."""
        transformed = standardised * self.scale + self.location
        return transformed if self.shift is None else np.exp(transformed) - self.shift

    def _transform(self, values: np.ndarray) -> np.ndarray:
        if self.shift is None:
            return np.asarray(values, dtype=float)
        return np.log(np.maximum(values + self.shift, 1e-300))


def fit_output_transform(values: np.ndarray, *, logarithm: bool) -> OutputTransform:
    """Choose the transform under which n values look most like a normal sample.

    The score is the profile log-likelihood of Box and Cox (1964) with their power family replaced
    by shifted logarithms.

    Args:
        values: Finite, minimised, shape (n,), n ≥ 1.
        logarithm: Whether logarithms are tried at all.
    """
    shifts: list[float | None] = [None]
    low = float(np.min(values))
    width = float(np.median(values)) - low
    if logarithm and len(values) >= 4 and width > 0.0:
        shifts += [distance * width - low for distance in _FLOORS]
        if low > _LEAST_FOR_PURE_LOGARITHM * (low + width):
            shifts.append(0.0)
    best = max(shifts, key=lambda shift: _profile_log_likelihood(values, shift))
    raw = OutputTransform(best, 0.0, 1.0).forward(values)
    scale = float(np.std(raw))
    if not (math.isfinite(scale) and scale > 1e-12 * max(1.0, float(np.max(np.abs(raw))))):
        scale = 1.0
    return OutputTransform(best, float(np.mean(raw)), scale)


def _profile_log_likelihood(values: np.ndarray, shift: float | None) -> float:
    transformed = OutputTransform(shift, 0.0, 1.0).forward(values)
    variance = float(np.var(transformed))
    if variance <= 0.0:
        return -math.inf if shift is not None else 0.0
    log_jacobian = 0.0 if shift is None else -float(np.sum(transformed))
    return -0.5 * len(values) * math.log(variance) + log_jacobian
