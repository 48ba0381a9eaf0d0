"""Parameters of the analytic problems, each with its map to the unit interval.

Symbols
    u   a parameter's place on the unit interval
    u*  the optimum's place
    v   u - u*, the offset from the optimum
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution


FloatArray = NDArray[np.float64]

Value = float | int | str | bool

Region = Callable[[FloatArray], bool]
"""Whether a configuration at offset v from the optimum, shape ``(d,)``, crashes."""


@dataclass(frozen=True)
class Axis:
    """One parameter of an analytic problem.

    Attributes:
        name: The parameter's name; its first letter is its kind.
        distribution: Its Optuna distribution.
        levels: For a categorical parameter, its choices in the order in which they lie evenly
            on the unit interval; empty for a number.
        reach: How much of the function's width the whole unit interval covers; smaller for
            choices, so that one of them does not drown everything else.
    """

    name: str
    distribution: BaseDistribution
    levels: tuple[Value, ...] = ()
    reach: float = 1.0

    @property
    def kind(self) -> str:
        """Return the letter of ``make_axes``."""
        return self.name[0]

    @property
    def is_number(self) -> bool:
        """Return whether the parameter is ordered."""
        return not self.levels

    def unit(self, value: Value) -> float:
        """Return the value's place on the unit interval."""
        if self.levels:
            return self.levels.index(value) / (len(self.levels) - 1)
        low, high = self._bounds()
        return (self._scale(float(value)) - low) / (high - low)

    def value(self, unit: float) -> Value:
        """Return the parameter's value nearest to a place on the unit interval."""
        if self.levels:
            return self.levels[round(unit * (len(self.levels) - 1))]
        low, high = self._bounds()
        scaled = low + unit * (high - low)
        number = float(np.exp(scaled)) if self._log else scaled
        distribution = self.distribution
        if isinstance(distribution, IntDistribution):
            steps = round((number - distribution.low) / distribution.step)
            return int(distribution.low + steps * distribution.step)
        assert isinstance(distribution, FloatDistribution)
        return float(np.clip(number, distribution.low, distribution.high))

    @property
    def _log(self) -> bool:
        return bool(getattr(self.distribution, "log", False))

    def _scale(self, number: float) -> float:
        return float(np.log(number)) if self._log else number

    def _bounds(self) -> tuple[float, float]:
        distribution = self.distribution
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        return self._scale(distribution.low), self._scale(distribution.high)


def make_axes(kinds: str, rng: np.random.Generator) -> tuple[Axis, ...]:
    """Return axes of the kinds asked for.

    Args:
        kinds: One letter an axis: ``f`` float, ``g`` log float, ``i`` int, ``l`` log int, ``s``
            stepped int, ``c`` categorical of four (levels in random order), ``b`` bool.
        rng: Orders the levels of choices.

    Returns:
        One axis a letter, named by the letter and its position.
    """
    return tuple(_make_axis(kind, index, rng) for index, kind in enumerate(kinds))


def _make_axis(kind: str, index: int, rng: np.random.Generator) -> Axis:
    name = f"{kind}{index}"
    if kind == "c":
        choices = ("amber", "blue", "coral", "dun")
        order = tuple(choices[i] for i in rng.permutation(len(choices)))
        return Axis(name, CategoricalDistribution(choices), order, reach=0.6)
    if kind == "b":
        first = bool(rng.integers(2))
        return Axis(name, CategoricalDistribution((False, True)), (first, not first), reach=0.4)
    numbers: dict[str, BaseDistribution] = {
        "f": FloatDistribution(0.0, 1.0),
        "g": FloatDistribution(1e-3, 10.0, log=True),
        "i": IntDistribution(0, 12),
        "l": IntDistribution(1, 4096, log=True),
        "s": IntDistribution(64, 1024, step=64),
    }
    return Axis(name, numbers[kind])


def units(axes: Sequence[Axis], params: Mapping[str, Any]) -> FloatArray:
    """Return the places of a configuration on the unit intervals, shape ``(len(axes),)``."""
    return np.array([axis.unit(params[axis.name]) for axis in axes])


def configuration(axes: Sequence[Axis], places: FloatArray) -> dict[str, Value]:
    """Return the configuration nearest to places on the unit intervals, shape ``(len(axes),)``."""
    return {axis.name: axis.value(float(place)) for axis, place in zip(axes, places, strict=True)}


def random_configuration(axes: Sequence[Axis], rng: np.random.Generator) -> dict[str, Value]:
    """Return a configuration drawn evenly from the unit cube."""
    return configuration(axes, rng.uniform(size=len(axes)))
