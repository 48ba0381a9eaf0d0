"""What the analytic problems have to know of a test function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Function:
    """A function to minimise whose global minimiser is known.

    Attributes:
        value: Maps a point of shape ``(d,)`` to its value.
        minimiser: One global minimiser, shape ``(d,)``.
        minimum: ``value(minimiser)``.
        width: Extent of the box that a problem shows, per axis, shape ``(d,)``.
        spread: How far from the middle of its box the minimiser may lie, as a share of the
            width, in [0, 0.5]. Small where the function is flat away from its minimiser.
    """

    value: Callable[[FloatArray], float]
    minimiser: FloatArray
    minimum: float
    width: FloatArray
    spread: float = 0.3

    @property
    def dimension(self) -> int:
        """Return the number of variables."""
        return len(self.minimiser)


def with_equal_widths(
    value: Callable[[FloatArray], float],
    minimiser: FloatArray,
    width: float,
    spread: float = 0.3,
) -> Function:
    """Return a function with equal widths, its minimum taken at the minimiser."""
    widths = np.full(len(minimiser), float(width))
    return Function(value, minimiser, value(minimiser), widths, spread)


def from_botorch(
    name: str, minimiser: FloatArray, width: float, spread: float = 0.3, **sizes: int
) -> Function:
    """Return a test function of BoTorch's, defined on the whole space."""
    import torch
    from botorch.test_functions import synthetic

    everywhere = [(-np.inf, np.inf)] * len(minimiser)
    test = getattr(synthetic, name)(bounds=everywhere, dtype=torch.double, **sizes)
    return with_equal_widths(
        lambda z: float(test.evaluate_true(torch.from_numpy(z))), minimiser, width, spread
    )
