"""The highest rate that keeps some limits, between a rate that does and one that does not.

A pure search: what a load at a rate is, and how it is measured, is ``objectives.capacity``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


RESOLUTION = 0.05
"""How far apart a rate that is kept and one that is missed may be at the end, as a share."""
COARSE = 4.0
"""So many times coarser is a bracket whose upper end is no better than the best one known."""
MOST_LOADS = 14
_DOUBLING = 2.0
_NEAR = 1.25  # the first step away from a rate that is near what others bear


@dataclass(frozen=True, slots=True)
class Bracket:
    """What is known of a capacity.

    Attributes:
        low: The highest rate that was kept, below every one that was missed; 0 where none was.
        high: The lowest rate that was missed; infinity where none was.
        n_loads: How many loads were tried.
    """

    low: float
    high: float
    n_loads: int


def find_capacity(
    keeps: Callable[[float], bool],
    start: float,
    *,
    least: float,
    best: float = 0.0,
    resolution: float = RESOLUTION,
    most_loads: int = MOST_LOADS,
) -> Bracket:
    """Search for the highest rate that is kept: doubling (or halving), then bisection.

    Every rate that is tried lies between the highest that was kept and the lowest that was
    missed so far, so that the answer is a bracket of measured rates even where ``keeps`` is noisy
    or not monotone. Bisection takes the geometric mean, which halves the ratio on a log scale.

    A lucky load must not win a study: what would be higher than ``best`` is tried once more in the
    end. Where the second load is missed, the rate was missed, and the search goes on below it.

    With ``best`` known, the search begins there and steps away by 1.25, then 1.25², up to 2. What
    lies wholly at or below it is not worth the loads of a fine bracket: its resolution is
    ``COARSE`` times coarser. Its lower end is a rate that was kept all the same.

    Args:
        keeps: Whether a load at a rate is kept; each call may cost minutes.
        start: The first rate, > 0, where ``best`` is 0. Raised to ``least`` where it is lower.
        least: The lowest rate that is worth a load, > 0.
        best: The highest rate that is known to be kept by something else; 0: nothing is known.
        resolution: Where ``high <= (1 + resolution) * low`` the search ends, > 0.
        most_loads: The most calls of ``keeps``, >= 1.

    Returns:
        The bracket. It is wider than the resolution where the loads did not suffice, and its
        lower end is 0 where even ``least`` was missed.
    """
    low, high, confirmed = 0.0, math.inf, 0.0
    kept: list[float] = []
    step = _NEAR if best > 0.0 else _DOUBLING
    rate = max(least, best or start)
    n_loads = 0
    while n_loads < most_loads:
        n_loads += 1
        if keeps(rate):
            confirmed = rate if rate in kept else confirmed
            kept.append(rate)
        else:
            high = rate
        low = max((each for each in kept if each < high), default=0.0)
        wanted = resolution if high > best else COARSE * resolution
        if low > 0.0 and high <= (1.0 + wanted) * low:
            if low <= max(best, confirmed):
                break
            rate = low
        elif low > 0.0 and not math.isinf(high):
            rate = math.sqrt(low * high)
        elif high <= least:
            break
        else:
            rate = low * step if low > 0.0 else max(least, high / step)
            step = min(step * step, _DOUBLING)
    return Bracket(low, high, n_loads)
