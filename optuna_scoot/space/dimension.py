"""One parameter as a side of the unit cube: Optuna's distributions to intervals, values and back.

Every representable value of a discrete parameter owns a cell of the same width (in log scale, of
its own log width), the first and the last one included, so that rounding is fair at the ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from typing import Protocol

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution


_EXACT = 2**53  # integers up to here are floats as well


class Dimension(Protocol):
    """One parameter as an interval: internal values to and from [0, 1]."""

    n_levels: float

    def decode(self, unit: np.ndarray) -> np.ndarray:
        """Return the nearest representable internal values of unit coordinates (n,)."""

    def encode(self, internal: np.ndarray) -> np.ndarray:
        """Return the unit coordinates (n,) of internal values (n,)."""


class Continuous:
    """A range of floats.

    Args:
        low: The lowest value.
        high: The highest value.
        log: Whether they are spread evenly on a logarithmic scale.
    """

    def __init__(self, low: float, high: float, log: bool) -> None:
        self.n_levels = math.inf
        self._low, self._high, self._log = low, high, log
        self._bounds = (math.log(low), math.log(high)) if log else (low, high)

    def decode(self, unit: np.ndarray) -> np.ndarray:
        """Return the nearest representable values of unit coordinates (n,)."""
        lo, hi = self._bounds
        # A convex combination: high - low may overflow for the widest of ranges.
        value = lo * (1.0 - unit) + hi * unit
        return np.clip(np.exp(value) if self._log else value, self._low, self._high)

    def encode(self, internal: np.ndarray) -> np.ndarray:
        """Return the unit coordinates (n,) of values (n,)."""
        lo, hi = self._bounds
        value = np.log(internal) if self._log else np.asarray(internal, dtype=float)
        half = hi / 2 - lo / 2
        return np.clip((value / 2 - lo / 2) / half, 0.0, 1.0)


class Stepped:
    """Values low, low + step, …, high.

    Args:
        low: The lowest value.
        high: The highest value.
        step: Between two of them.
        n_levels: How many there are.
        log: Whether they are integers of log-uniform weight.
    """

    def __init__(self, low: float, high: float, step: float, n_levels: int, log: bool) -> None:
        self.n_levels = float(n_levels)
        self._low, self._high, self._step, self._log = low, high, step, log
        top = low + step * (n_levels - 1)
        if log:
            self._bounds = (math.log(low - step / 2), math.log(top + step / 2))
        else:
            self._bounds = (-0.5, n_levels - 0.5)

    def decode(self, unit: np.ndarray) -> np.ndarray:
        """Return the nearest representable values of unit coordinates (n,)."""
        lo, hi = self._bounds
        position = lo + (hi - lo) * unit
        if self._log:
            position = (np.exp(position) - self._low) / self._step
        index = np.clip(np.rint(position), 0, self.n_levels - 1)
        # As Optuna does: the sum may stick out by a rounding error.
        return np.clip(self._low + self._step * index, self._low, self._high)

    def encode(self, internal: np.ndarray) -> np.ndarray:
        """Return the unit coordinates (n,) of values (n,)."""
        lo, hi = self._bounds
        index = np.rint((np.asarray(internal, dtype=float) - self._low) / self._step)
        position = np.log(self._low + self._step * index) if self._log else index
        return np.clip((position - lo) / (hi - lo), 0.0, 1.0)

    def all_units(self) -> np.ndarray:
        """Return the unit coordinate of every level, shape (n_levels,)."""
        return self.encode(self._low + self._step * np.arange(int(self.n_levels)))


def dimension_of(distribution: BaseDistribution) -> Dimension:
    """Return the interval that a distribution is.

    Raises:
        NotImplementedError: When it is not one of Optuna's three.
    """
    if isinstance(distribution, CategoricalDistribution):
        n = len(distribution.choices)
        return Stepped(0.0, n - 1.0, 1.0, n, log=False)
    if isinstance(distribution, IntDistribution):
        n = (distribution.high - distribution.low) // distribution.step + 1
        low, high = _floats_within(distribution.low, distribution.high)
        return Stepped(low, high, float(distribution.step), n, distribution.log)
    if isinstance(distribution, FloatDistribution):
        if distribution.step is None:
            return Continuous(distribution.low, distribution.high, distribution.log)
        n = round((distribution.high - distribution.low) / distribution.step) + 1
        return Stepped(distribution.low, distribution.high, distribution.step, n, log=False)
    raise NotImplementedError(f"The distribution {distribution} is not supported.")


def _floats_within(low: int, high: int) -> tuple[float, float]:
    """Return the bounds as floats that do not stick out: beyond 2^53 integers are rounded."""
    lowest, highest = float(low), float(high)
    if lowest < low:
        lowest = math.nextafter(lowest, math.inf)
    if highest > high:
        highest = math.nextafter(highest, -math.inf)
    return lowest, highest


def is_ordered(distribution: BaseDistribution) -> bool:
    """Return whether neighbouring levels are alike: all but categoricals of non-numbers."""
    if not isinstance(distribution, CategoricalDistribution):
        return True
    choices = [plain(choice) for choice in distribution.choices]
    numeric = all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in choices)
    return len(choices) <= 2 or (numeric and choices == sorted(choices))


def column_values(distribution: BaseDistribution, internal: np.ndarray) -> np.ndarray:
    """Return the values (n,) that internal ones (n,) stand for, as an array.

    Integers that do not fit into 64 bits come as Python's.
    """
    if isinstance(distribution, CategoricalDistribution):
        return np.asarray(_choices_array(distribution.choices)[internal.astype(int)])
    if isinstance(distribution, IntDistribution):
        if max(-distribution.low, distribution.high) > _EXACT:
            return _integers(distribution, internal)
        return np.asarray(np.rint(internal).astype(np.int64))
    return internal


def _choices_array(choices: Sequence[Any]) -> np.ndarray:
    """Return choices in an array, without NumPy turning mixed kinds into strings."""
    choices = [plain(choice) for choice in choices]
    if all(isinstance(c, bool) for c in choices):
        return np.array(choices)
    if all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in choices):
        return np.array(choices)
    out = np.empty(len(choices), dtype=object)
    out[:] = choices
    return out


def _integers(distribution: IntDistribution, internal: np.ndarray) -> np.ndarray:
    """Return integers (n,) of any size: of 64 bits where the whole range fits, else as objects."""
    low, step = distribution.low, distribution.step
    # In whole numbers, as one configuration's.
    whole = np.frompyfunc(int, 1, 1)(np.rint(internal))
    values = low + step * ((whole - low + step // 2) // step)
    bounds = np.iinfo(np.int64)
    fit = bounds.min <= low and distribution.high <= bounds.max
    return np.asarray(values.astype(np.int64) if fit else values)


def external_value(distribution: BaseDistribution, internal: float) -> Any:
    """Return the value that an internal one stands for, as Optuna has it."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(internal)]
    if isinstance(distribution, IntDistribution):
        # In whole numbers: the float of a large one need not lie on the grid.
        steps = (round(internal) - distribution.low + distribution.step // 2) // distribution.step
        return distribution.low + distribution.step * steps
    return float(internal)


def plain(value: Any) -> Any:
    """Return NumPy's kinds of numbers, Booleans and strings as Python's."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.size == 1):
        return value.item()
    return value
