"""What several arrival orders say of one configuration, and of two on the same orders.

Arrays in, numbers out. An array of values has one entry an arrival order, NaN where the
configuration failed under it or was not measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats


if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


CONFIDENCE = 0.95
LEAST_CHANGE = 0.01
"""A difference of less than this share is none that anybody would change flags for."""


@dataclass(frozen=True)
class Summary:
    """What one configuration reached in one metric under several arrival orders.

    Attributes:
        worst: The worst value: what can be promised (paper, section IV-H). NaN where it failed
            under an order or was not measured under it, as then nothing can.
        median: Of the orders under which it ran.
        spread: Largest less smallest value of these, in the metric's unit.
    """

    worst: float
    median: float
    spread: float


@dataclass(frozen=True)
class Change:
    """By how much one configuration's values differ from another's, paired by arrival order.

    Attributes:
        mean: Mean relative change; -0.3 is 30 % lower.
        low: Lower end of the 95 % interval.
        high: Its upper end.
    """

    mean: float
    low: float
    high: float

    def is_better(self, maximise: bool) -> bool:
        """Return whether an improvement is shown: beyond noise, and large enough to matter."""
        if maximise:
            return self.low > 0.0 and self.mean >= LEAST_CHANGE
        return self.high < 0.0 and self.mean <= -LEAST_CHANGE

    def is_worse(self, maximise: bool) -> bool:
        """Return whether a loss is shown: beyond noise, and large enough to matter."""
        return self.is_better(not maximise)


def summarise(values: Floats, maximise: bool) -> Summary:
    """Return what one configuration reached; all NaN where it never ran.

    Args:
        values: Shape (k,).
        maximise: Whether larger is better.
    """
    ran = values[~np.isnan(values)]
    if ran.size == 0:
        return Summary(math.nan, math.nan, math.nan)
    worst = ran.min() if maximise else ran.max()
    return Summary(
        float(worst) if ran.size == values.size else math.nan,
        float(np.median(ran)),
        float(ran.max() - ran.min()),
    )


def paired_change(values: Floats, baseline: Floats) -> Change | None:
    """Return the mean relative change over a baseline on the same orders, with its interval.

    The interval is Student's for the mean of log(value / baseline), turned back into a ratio. An
    order that is hard for one configuration is hard for the other, so a ratio within an order is
    free of what the orders differ in; latencies vary by factors, so it is the logarithm that is
    near normal. With three orders a bootstrap has ten different samples and covers far less than
    it says; Student's interval is wide then, as it should be.

    Args:
        values: Shape (k,).
        baseline: Shape (k,), of the same orders.

    Returns:
        None where fewer than two orders have positive values of both.
    """
    both = (values > 0.0) & (baseline > 0.0) & np.isfinite(values) & np.isfinite(baseline)
    ratios = np.log(values[both] / baseline[both])
    n = ratios.size
    if n < 2:
        return None
    mean = float(ratios.mean())
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1) * ratios.std(ddof=1) / math.sqrt(n))
    return Change(math.expm1(mean), math.expm1(mean - half), math.expm1(mean + half))


def centre(values: Floats) -> Floats:
    """Return each column's geometric mean, shape (m,); the mean where a value is not positive.

    Args:
        values: Shape (k, m), without NaN.
    """
    positive = np.all(values > 0.0, axis=0)
    logs = np.log(np.where(positive, values, 1.0)).mean(axis=0)
    centres: Floats = np.where(positive, np.exp(logs), values.mean(axis=0))
    return centres
