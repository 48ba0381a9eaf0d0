"""Two-objective analytic problems whose Pareto front is known by formula.

Symbols
    p   the position along the front, in [0, 1]: the first parameter's place
    g   the distance from the front, at least 1: made of the other parameters' offsets v
Every crash region leaves v = 0 alone at any p, so the front itself runs from end to end; the
regions begin a few hundredths of the unit interval away from it.

Shapes: ZDT1-3 of E. Zitzler, K. Deb and L. Thiele (2000), DTLZ2 of K. Deb et al. (2002), and two
bowls on a logarithmic scale, whose front is the image of the segment between their centres.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from optuna_scoot.comparison.problems.axes import FloatArray
from optuna_scoot.comparison.problems.axes import Region
from optuna_scoot.comparison.problems.axes import Value
from optuna_scoot.comparison.problems.axes import random_configuration
from optuna_scoot.comparison.problems.axes import units
from optuna_scoot.comparison.problems.fresh_shapes import FRESH_SHAPES
from optuna_scoot.comparison.problems.fresh_shapes import Pair
from optuna_scoot.comparison.problems.fresh_shapes import Shape
from optuna_scoot.comparison.problems.instances import N_REGION_DRAWS
from optuna_scoot.comparison.problems.instances import N_SHARE_SAMPLES
from optuna_scoot.comparison.problems.instances import Setting
from optuna_scoot.comparison.problems.instances import crash_check
from optuna_scoot.comparison.problems.instances import make_setting
from optuna_scoot.comparison.problems.instances import middling_default
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Direction
from optuna_scoot.comparison.problems.problem import Evaluation
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.problem import ProblemEntry
from optuna_scoot.comparison.problems.problem import ProblemSet
from optuna_scoot.comparison.problems.regions import is_of_fair_size
from optuna_scoot.pareto import hypervolume


N_FRONT_POINTS = 2001


def _zdt1(p: float, g: float) -> Pair:
    return p, g * (1 - np.sqrt(p / g))


def _zdt2(p: float, g: float) -> Pair:
    return p, g * (1 - (p / g) ** 2)


def _zdt3(p: float, g: float) -> Pair:
    return p, g * (1 - np.sqrt(p / g) - p / g * np.sin(10 * np.pi * p))


def _dtlz2(p: float, g: float) -> Pair:
    return g * np.cos(p * np.pi / 2), g * np.sin(p * np.pi / 2)


_SHAPES: dict[str, Shape] = {
    "zdt1": _zdt1,
    "zdt2": _zdt2,
    "zdt3": _zdt3,
    "dtlz2": _dtlz2,
    **FRESH_SHAPES,
}


@dataclass(frozen=True)
class MultiRecipe:
    """How a two-objective problem is made.

    Attributes:
        name: Its name.
        shape: A key of the shapes, or ``"bowls"``.
        kinds: Kinds of the parameters; the first is the position, except for bowls.
        known: Known rules.
        hidden: Hidden crash rules, made of all parameters but the position.
        flip: Whether the second objective is shown negated, to be maximised.
    """

    name: str
    shape: str
    kinds: str
    known: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    flip: bool = False

    @property
    def family(self) -> Family:
        """Return the family: crash-prone or plain."""
        return Family.CRASH_MULTI if self.known or self.hidden else Family.PLAIN

    @property
    def directions(self) -> tuple[Direction, Direction]:
        """Return the directions as shown."""
        return ("minimize", "maximize") if self.flip else ("minimize", "minimize")


RECIPES: tuple[MultiRecipe, ...] = (
    MultiRecipe("zdt2-crash", "zdt2", "ffffb", hidden=("slope",)),
    MultiRecipe("zdt3-crash", "zdt3", "ffiscb", (), ("pocket", "level"), flip=True),
    MultiRecipe("dtlz2-crash", "dtlz2", "fflib", ("imply",), ("slope",)),
    MultiRecipe(
        "bowls-server", "bowls", "fffcllbcb", ("order", "imply", "exclusive"), ("bowls", "level")
    ),
    MultiRecipe("zdt2-mixed", "zdt2", "fflib", flip=True),
)
"""The seen problems."""


def entries(
    recipes: Iterable[MultiRecipe] = RECIPES, problem_set: ProblemSet = ProblemSet.SEEN
) -> tuple[ProblemEntry, ...]:
    """Return the places of two-objective problems in the registry."""
    return tuple(
        ProblemEntry(recipe.name, recipe.family, problem_set, partial(build, recipe))
        for recipe in recipes
    )


def build(recipe: MultiRecipe, instance: int) -> Problem:
    """Build an instance of a recipe."""
    if recipe.shape == "bowls":
        return _build_bowls(recipe, instance)
    rest = slice(1, None)
    setting = make_setting(
        recipe.name,
        instance,
        kinds=recipe.kinds,
        known=recipe.known,
        hidden=recipe.hidden,
        region_axes=rest,
    )
    mirrored = bool(setting.rng.integers(2))
    weights = np.array([axis.reach for axis in setting.axes[1:]])
    shape = _SHAPES[recipe.shape]

    def position(places: FloatArray) -> float:
        return float(1 - places[0] if mirrored else places[0])

    def objectives(params: Mapping[str, Value]) -> Pair:
        places = units(setting.axes, params)
        offset = np.abs(places[1:] - setting.target[1:]) * weights
        g = 1 + 4 * float(np.mean(offset + offset**2))
        return shape(position(places), g)

    front = [shape(p, 1.0) for p in np.linspace(0.0, 1.0, N_FRONT_POINTS)]
    return _assemble(recipe, instance, setting, crash_check(setting, rest), objectives, front)


BOWL_SCALE = 6.0
"""Each bowl's value is exp(scale × squared distance): about three orders of magnitude."""


def _build_bowls(recipe: MultiRecipe, instance: int) -> Problem:
    """Build two bowls with centres at v = ±a along the floats; choices and counts add to both.

    The crash region lies beyond a plane parallel to the segment between the centres.
    """
    setting = make_setting(
        recipe.name,
        instance,
        kinds=recipe.kinds,
        known=recipe.known,
        hidden=tuple(rule for rule in recipe.hidden if rule != "bowls"),
        spread=0.15,
    )
    floats = np.array([axis.kind == "f" for axis in setting.axes])
    reach = np.array([axis.reach for axis in setting.axes])
    centre = np.zeros(len(floats))
    centre[floats] = setting.rng.normal(size=int(floats.sum()))
    centre *= 0.25 / np.linalg.norm(centre)
    beyond = _along_segment(setting, centre, reach)
    inner_check = crash_check(setting)

    def check(params: dict[str, Value]) -> None:
        inner_check(params)
        if beyond(setting.offset(params)):
            raise Crash("bowls")

    def objectives(params: Mapping[str, Value]) -> Pair:
        offset = setting.offset(dict(params))
        distances = [np.sum((reach * (offset - sign * centre)) ** 2) for sign in (1, -1)]
        return float(np.exp(BOWL_SCALE * distances[0])), float(np.exp(BOWL_SCALE * distances[1]))

    steps = np.linspace(-1.0, 1.0, N_FRONT_POINTS)
    radius = float(centre @ centre)
    front = [
        (np.exp(BOWL_SCALE * radius * (1 - t) ** 2), np.exp(BOWL_SCALE * radius * (1 + t) ** 2))
        for t in steps
    ]
    return _assemble(recipe, instance, setting, check, objectives, front)


def _along_segment(setting: Setting, centre: FloatArray, reach: FloatArray) -> Region:
    """Return a fair-sized region beyond a plane parallel to the segment between the centres ±a."""
    rng = setting.rng
    drawn = [random_configuration(setting.axes, rng) for _ in range(N_SHARE_SAMPLES)]
    offsets = np.array([setting.offset(params) for params in drawn])
    for _ in range(N_REGION_DRAWS):
        normal = rng.normal(size=len(centre)) * reach
        normal -= (normal @ centre) / (centre @ centre) * centre
        region = partial(_is_beyond, normal / np.linalg.norm(normal))
        if is_of_fair_size(region, offsets):
            break
    return region


def _is_beyond(normal: FloatArray, offset: FloatArray) -> bool:
    return bool(normal @ offset > 0.03)


def _assemble(
    recipe: MultiRecipe,
    instance: int,
    setting: Setting,
    check: Callable[[dict[str, Value]], None],
    objectives: Callable[[Mapping[str, Value]], Pair],
    front: list[Pair],
) -> Problem:
    """Build a problem from its parts, with the default of median attainable hypervolume."""
    sign = -1.0 if recipe.flip else 1.0
    front_points = np.array(front)

    def attainable(params: dict[str, Value]) -> float:
        return hypervolume(front_points, np.array(objectives(params)))

    def evaluate(params: Mapping[str, Any]) -> Evaluation:
        check(dict(params))
        first, second = objectives(params)
        return Evaluation((float(first), sign * float(second)))

    return Problem(
        name=f"{recipe.name}#{instance}",
        family=recipe.family,
        space={axis.name: axis.distribution for axis in setting.axes},
        default=middling_default(setting, check, attainable),
        directions=recipe.directions,
        evaluate=evaluate,
        front=tuple((float(first), sign * float(second)) for first, second in front),
        known_constraints=setting.known,
        optimal=setting.best,
    )
