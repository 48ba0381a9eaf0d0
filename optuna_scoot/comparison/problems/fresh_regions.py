"""Rules of what crashes for the fresh problems, of other kinds than those of ``regions``.

They are placed relative to the optimum in the same way: it runs, and crashes are near.

Symbols
    v   offset from the optimum on the unit intervals, shape ``(d,)``
    u*  the optimum's place, shape ``(d,)``
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import IntDistribution

from optuna_scoot.comparison.problems.axes import Axis
from optuna_scoot.comparison.problems.axes import FloatArray
from optuna_scoot.comparison.problems.axes import Region


def budget(axes: Sequence[Axis], best: Mapping[str, Any]) -> str:
    """Return a known rule: the product of a log int and another int is limited."""
    one = next(axis.name for axis in axes if axis.kind == "l")
    other = next(axis.name for axis in axes if axis.kind in "si")
    return f"{one} * {other} <= {round(1.5 * max(best[one], 16) * max(best[other], 4))}"


def _numbers(axes: Sequence[Axis]) -> list[int]:
    return [index for index, axis in enumerate(axes) if axis.is_number]


def _direction(numbers: Sequence[int], n_axes: int, rng: np.random.Generator) -> FloatArray:
    """Return a unit vector along the numbers, shape ``(n_axes,)``."""
    direction: FloatArray = np.zeros(n_axes)
    direction[list(numbers)] = rng.normal(size=len(numbers))
    direction /= np.linalg.norm(direction)
    return direction


def _product(axes: Sequence[Axis], target: FloatArray, rng: np.random.Generator) -> Region:
    """Crash where two numbers multiply to more than they do at the optimum, by a little."""
    pair = rng.choice(_numbers(axes), size=2, replace=False)
    falling = rng.integers(2, size=2).astype(bool)

    def places(v: FloatArray) -> FloatArray:
        place = (target + v)[pair]
        return np.asarray(np.where(falling, 1 - place, place))

    limit = float(np.prod(places(np.zeros(len(axes))))) + 0.04
    return lambda v: bool(np.prod(places(v)) > limit)


def _divisible(axes: Sequence[Axis], target: FloatArray, rng: np.random.Generator) -> Region:
    """Crash where a count's remainder is another than the optimum's, unless a number is small."""
    counts = [index for index, axis in enumerate(axes) if axis.kind in "is"]
    count = int(rng.choice(counts))
    distribution = axes[count].distribution
    assert isinstance(distribution, IntDistribution)
    n_steps = (distribution.high - distribution.low) // distribution.step
    divisor = int(rng.choice([2, 3]))
    guard = int(rng.choice([index for index in _numbers(axes) if index != count]))
    sign = float(rng.choice([-1.0, 1.0]))
    return lambda v: bool(
        round(float(v[count]) * n_steps) % divisor != 0 and sign * v[guard] > -0.1
    )


def _band(axes: Sequence[Axis], target: FloatArray, rng: np.random.Generator) -> Region:
    """Crash between two parallel oblique planes."""
    normal = _direction(_numbers(axes), len(axes), rng)
    width = float(rng.uniform(0.15, 0.35))
    return lambda v: bool(0.05 < normal @ v < 0.05 + width)


def _sphere(axes: Sequence[Axis], target: FloatArray, rng: np.random.Generator) -> Region:
    """Crash in a ball somewhere in the box."""
    numbers = _numbers(axes)
    centre = rng.uniform(size=len(numbers)) - target[numbers]
    radius = float(rng.uniform(0.2, 0.4)) * np.sqrt(len(numbers))
    radius = min(radius, float(np.linalg.norm(centre)) - 0.05)
    return lambda v: bool(np.linalg.norm(v[numbers] - centre) < radius)


def _shell(axes: Sequence[Axis], target: FloatArray, rng: np.random.Generator) -> Region:
    """Crash outside a ball that the optimum lies just within."""
    numbers = _numbers(axes)
    radius = float(rng.uniform(0.35, 0.45)) * np.sqrt(len(numbers))
    centre = (radius - 0.06) * _direction(range(len(numbers)), len(numbers), rng)
    return lambda v: bool(np.linalg.norm(v[numbers] - centre) > radius)


def _pair(axes: Sequence[Axis], target: FloatArray, rng: np.random.Generator) -> Region:
    """Crash under some combinations of the levels of two choices or flags, never the optimum's."""
    one, other = [index for index, axis in enumerate(axes) if not axis.is_number][:2]
    n_levels = [len(axes[index].levels) for index in (one, other)]
    crashes = rng.uniform(size=n_levels) < 0.25

    def combination(v: FloatArray) -> tuple[int, ...]:
        places = (target + v)[[one, other]]
        return tuple(round(float(p) * (n - 1)) for p, n in zip(places, n_levels, strict=True))

    crashes[combination(np.zeros(len(axes)))] = False
    return lambda v: bool(crashes[combination(v)])


FRESH_RULES: dict[str, Callable[[Sequence[Axis], FloatArray, np.random.Generator], Region]] = {
    "product": _product,
    "divisible": _divisible,
    "band": _band,
    "sphere": _sphere,
    "shell": _shell,
    "pair": _pair,
}
"""Hidden rules by name."""
