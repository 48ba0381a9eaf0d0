"""Random values of Optuna distributions, and small changes to values."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution


def draw(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    """Return a value drawn evenly, a number on its (logarithmic) scale."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    return _number(distribution, rng.uniform())


def mutate(
    distribution: BaseDistribution, value: Any, scale: float, rng: np.random.Generator
) -> Any:
    """Change one value a little.

    Args:
        distribution: Of the parameter.
        value: Its value.
        scale: Standard deviation of a number's change, as a share of its (logarithmic) range.
        rng: Draws the change.

    Returns:
        A choice drawn again; a number moved by a normal step, an int at least to its neighbour.
    """
    if isinstance(distribution, CategoricalDistribution):
        return draw(distribution, rng)
    place = _place(distribution, value)
    moved = _number(distribution, float(np.clip(place + scale * rng.normal(), 0.0, 1.0)))
    if moved == value and isinstance(distribution, IntDistribution):
        step = distribution.step * int(rng.choice([-1, 1]))
        moved = int(np.clip(value + step, distribution.low, distribution.high))
    return moved


def _place(distribution: BaseDistribution, value: float) -> float:
    """Return a number's place between its bounds, in [0, 1]."""
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        return float(np.log(value / low) / np.log(high / low))
    return (value - low) / (high - low)


def _number(distribution: BaseDistribution, place: float) -> float | int:
    """Return the number at a place between the bounds, on the distribution's grid."""
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = float(distribution.low), float(distribution.high)
    number = low * (high / low) ** place if distribution.log else low + place * (high - low)
    if distribution.step is not None:
        number = low + round((number - low) / distribution.step) * distribution.step
    number = float(np.clip(number, low, high))
    return int(number) if isinstance(distribution, IntDistribution) else number
