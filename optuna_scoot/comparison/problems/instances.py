"""Helpers that place an analytic problem: its optimum, its rules and its default configuration."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optuna_scoot.comparison.problems.axes import Axis
from optuna_scoot.comparison.problems.axes import FloatArray
from optuna_scoot.comparison.problems.axes import Region
from optuna_scoot.comparison.problems.axes import Value
from optuna_scoot.comparison.problems.axes import configuration
from optuna_scoot.comparison.problems.axes import make_axes
from optuna_scoot.comparison.problems.axes import random_configuration
from optuna_scoot.comparison.problems.axes import units
from optuna_scoot.comparison.problems.problem import KNOWN_CONSTRAINT
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.regions import hidden_region
from optuna_scoot.comparison.problems.regions import is_of_fair_size
from optuna_scoot.comparison.problems.regions import known_constraints
from optuna_scoot.constraints.known import KnownConstraints


N_DEFAULT_CANDIDATES = 64
"""Feasible configurations among which the middling one becomes the default."""

N_SHARE_SAMPLES = 200
"""Random configurations by which the size of a crash region is judged."""

N_REGION_DRAWS = 50
"""How often a crash region is drawn until its size is fair."""


@dataclass(frozen=True)
class Setting:
    """Where an instance lies.

    Attributes:
        axes: The parameters.
        best: The optimum's configuration.
        target: u*, the optimum's place, shape ``(d,)``.
        known: Known constraint expressions.
        regions: Hidden crash regions by name of their rule.
        rng: The instance's generator, for whatever else is random about it.
    """

    axes: tuple[Axis, ...]
    best: dict[str, Value]
    target: FloatArray
    known: tuple[str, ...]
    regions: tuple[tuple[str, Region], ...]
    rng: np.random.Generator

    def offset(self, params: dict[str, Value]) -> FloatArray:
        """Return v = u - u* of a configuration, shape ``(d,)``."""
        return units(self.axes, params) - self.target


def instance_rng(name: str, instance: int) -> np.random.Generator:
    """Return the generator of an instance: the same on every machine."""
    return np.random.default_rng([zlib.crc32(name.encode()), instance])


def make_setting(
    name: str,
    instance: int,
    *,
    kinds: str,
    known: Sequence[str] = (),
    hidden: Sequence[str] = (),
    spread: float = 0.3,
    region_axes: slice = slice(None),
) -> Setting:
    """Place an instance's optimum, known constraints and crash regions.

    Args:
        name: The problem's name, part of the seed.
        instance: The instance, the other part.
        kinds: Kinds of the parameters, see ``make_axes``.
        known: Known rules, see ``known_constraints``.
        hidden: Hidden rules, see ``hidden_region``.
        spread: How far from the middle of the unit interval the optimum may lie.
        region_axes: The axes that the crash regions are made of.

    Returns:
        The setting.
    """
    rng = instance_rng(name, instance)
    axes = make_axes(kinds, rng)
    while True:
        places = rng.uniform(0.5 - spread, 0.5 + spread, size=len(axes))
        for index, axis in enumerate(axes):
            if not axis.is_number:
                places[index] = rng.uniform()
        best = configuration(axes, places)
        expressions = known_constraints(known, axes, best)
        if expressions is not None:
            break
    target = units(axes, best)
    drawn = [units(axes, random_configuration(axes, rng)) for _ in range(N_SHARE_SAMPLES)]
    offsets = (np.array(drawn) - target)[:, region_axes]
    among, place = axes[region_axes], target[region_axes]
    regions = tuple((rule, _fair_region(rule, among, place, offsets, rng)) for rule in hidden)
    return Setting(axes, best, target, expressions, regions, rng)


def _fair_region(
    rule: str,
    axes: Sequence[Axis],
    target: FloatArray,
    offsets: FloatArray,
    rng: np.random.Generator,
) -> Region:
    """Return a region of a fair size, or the last one drawn where none of many is."""
    for _ in range(N_REGION_DRAWS):
        region = hidden_region(rule, axes, target, rng)
        if is_of_fair_size(region, offsets):
            break
    return region


def crash_check(
    setting: Setting, region_axes: slice = slice(None)
) -> Callable[[dict[str, Value]], None]:
    """Return a function that raises ``Crash`` for a configuration that does not run."""
    known = KnownConstraints(setting.known)

    def check(params: dict[str, Value]) -> None:
        if not known.satisfied(params):
            raise Crash(KNOWN_CONSTRAINT)
        offset = setting.offset(params)[region_axes]
        for name, region in setting.regions:
            if region(offset):
                raise Crash(name)

    return check


def middling_default(
    setting: Setting,
    check: Callable[[dict[str, Value]], None],
    merit: Callable[[dict[str, Value]], float],
) -> dict[str, Value]:
    """Return the default configuration: of some random ones that run, the one of median merit.

    Args:
        setting: The instance; its generator draws the candidates.
        check: Raises ``Crash`` for what does not run.
        merit: What is to be in the middle.

    Returns:
        The configuration.
    """
    candidates: list[tuple[float, dict[str, Value]]] = []
    while len(candidates) < N_DEFAULT_CANDIDATES:
        params = random_configuration(setting.axes, setting.rng)
        try:
            check(params)
        except Crash:
            continue
        candidates.append((merit(params), params))
    candidates.sort(key=lambda candidate: candidate[0])
    return candidates[len(candidates) // 2][1]
