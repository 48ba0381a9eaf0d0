"""Known constraints and hidden crash regions of the analytic problems.

Every rule is placed relative to the optimum so that the optimum itself runs and lies a few
hundredths of the unit interval inside the boundary: the good configurations are next to the
crashes, as with a server whose fastest settings are those that nearly run out of memory.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from optuna_scoot.comparison.problems.axes import Axis
from optuna_scoot.comparison.problems.axes import FloatArray
from optuna_scoot.comparison.problems.axes import Region
from optuna_scoot.comparison.problems.fresh_regions import FRESH_RULES
from optuna_scoot.comparison.problems.fresh_regions import budget


def known_constraints(
    rules: Sequence[str], axes: Sequence[Axis], best: Mapping[str, Any]
) -> tuple[str, ...] | None:
    """Return known constraints that the optimum satisfies.

    Args:
        rules: ``"order"`` (one log int at most the other), ``"imply"`` (without a flag, a log int
            must be large), ``"exclusive"`` (not two flags together), ``"sum"`` (two floats),
            ``"budget"`` (the product of two counts).
        axes: The problem's parameters.
        best: The optimum's parameters.

    Returns:
        One expression a rule, or None if this optimum cannot satisfy them.
    """
    expressions: list[str] = []
    for rule in rules:
        expression = _KNOWN_RULES[rule](axes, best)
        if expression is None:
            return None
        expressions.append(expression)
    return tuple(expressions)


def _of_kind(axes: Sequence[Axis], kind: str) -> list[Axis]:
    return [axis for axis in axes if axis.kind == kind]


def _order(axes: Sequence[Axis], best: Mapping[str, Any]) -> str | None:
    small, large = (axis.name for axis in _of_kind(axes, "l")[:2])
    if not best[small] <= best[large] <= 16 * best[small]:
        return None
    return f"{small} <= {large}"


def _imply(axes: Sequence[Axis], best: Mapping[str, Any]) -> str | None:
    flag = _of_kind(axes, "b")[0].name
    number = _of_kind(axes, "l")[-1]
    place = 0.7 if best[flag] else number.unit(best[number.name]) - 0.04
    if place < 0.4:
        return None
    return f"{flag} or {number.name} >= {number.value(place)}"


def _exclusive(axes: Sequence[Axis], best: Mapping[str, Any]) -> str | None:
    one, other = (axis.name for axis in _of_kind(axes, "b")[:2])
    if best[one] and best[other]:
        return None
    return f"not ({one} and {other})"


def _sum(axes: Sequence[Axis], best: Mapping[str, Any]) -> str | None:
    one, other = (axis.name for axis in _of_kind(axes, "f")[:2])
    limit = best[one] + best[other] + 0.05
    return f"{one} + {other} <= {limit:.4f}"


_KNOWN_RULES: dict[str, Callable[[Sequence[Axis], Mapping[str, Any]], str | None]] = {
    "order": _order,
    "imply": _imply,
    "exclusive": _exclusive,
    "sum": _sum,
    "budget": budget,
}


def hidden_region(
    rule: str, axes: Sequence[Axis], target: FloatArray, rng: np.random.Generator
) -> Region:
    """Return a crash region next to the optimum.

    Args:
        rule: ``"slope"`` (beyond an oblique plane), ``"corner"`` (two numbers large together,
            under one state of a flag if there is one), ``"pocket"`` (a ball), ``"level"`` (one
            level of a choice, unless a number is small), or one of the fresh problems' rules.
        axes: The problem's parameters.
        target: The optimum's place, shape ``(d,)``.
        rng: Places the region.

    Returns:
        The region; it never holds the optimum itself (v = 0).
    """
    if rule in FRESH_RULES:
        return FRESH_RULES[rule](axes, target, rng)
    return _HIDDEN_RULES[rule](axes, rng)


SHARE = (0.08, 0.5)
"""Smallest and largest share of the unit cube that one crash region takes."""


def is_of_fair_size(region: Region, offsets: FloatArray) -> bool:
    """Return whether a region takes a fair share of the space.

    Args:
        region: The region.
        offsets: Offsets v of configurations drawn evenly, shape ``(n, d)``.

    Returns:
        Whether the share of them in the region lies within ``SHARE``.
    """
    share = np.mean([region(offset) for offset in offsets])
    return bool(SHARE[0] <= share <= SHARE[1])


def _numbers(axes: Sequence[Axis]) -> list[int]:
    return [index for index, axis in enumerate(axes) if axis.is_number]


def _slope(axes: Sequence[Axis], rng: np.random.Generator) -> Region:
    normal = rng.normal(size=len(axes)) * [1.0 if axis.is_number else 0.4 for axis in axes]
    normal /= np.linalg.norm(normal)
    return lambda v: bool(normal @ v > 0.04)


def _corner(axes: Sequence[Axis], rng: np.random.Generator) -> Region:
    one, other = rng.choice(_numbers(axes), size=2, replace=False)
    signs = rng.choice([-1.0, 1.0], size=2)
    flags = [index for index, axis in enumerate(axes) if axis.kind == "b"]
    flag = flags[0] if flags else None
    # With the optimum's own state of the flag (offset 0) the margin is narrow.
    return lambda v: bool(
        signs @ v[[one, other]] > (0.05 if flag is None or abs(v[flag]) < 0.5 else 0.4)
    )


def _pocket(axes: Sequence[Axis], rng: np.random.Generator) -> Region:
    numbers = _numbers(axes)
    direction = rng.normal(size=len(numbers))
    radius = 0.35 * np.sqrt(len(numbers))
    centre = radius * direction / np.linalg.norm(direction)
    return lambda v: bool(np.linalg.norm(v[numbers] - centre) < radius - 0.03)


def _level(axes: Sequence[Axis], rng: np.random.Generator) -> Region:
    choice = next(index for index, axis in enumerate(axes) if axis.kind == "c")
    number = int(rng.choice(_numbers(axes)))
    sign = float(rng.choice([-1.0, 1.0]))
    # Levels one step away from the optimum's; a step of four levels is a third.
    return lambda v: bool(0.2 < abs(v[choice]) < 0.5 and sign * v[number] > -0.15)


_HIDDEN_RULES: dict[str, Callable[[Sequence[Axis], np.random.Generator], Region]] = {
    "slope": _slope,
    "corner": _corner,
    "pocket": _pocket,
    "level": _level,
}
