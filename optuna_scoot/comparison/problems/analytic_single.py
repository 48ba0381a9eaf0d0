"""Single-objective analytic problems with known optima: crash-prone ones and ordinary ones."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from optuna_scoot.comparison.problems.axes import FloatArray
from optuna_scoot.comparison.problems.axes import random_configuration
from optuna_scoot.comparison.problems.function import Function
from optuna_scoot.comparison.problems.functions import make_function
from optuna_scoot.comparison.problems.instances import Setting
from optuna_scoot.comparison.problems.instances import crash_check
from optuna_scoot.comparison.problems.instances import make_setting
from optuna_scoot.comparison.problems.instances import middling_default
from optuna_scoot.comparison.problems.problem import Evaluation
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.problem import ProblemEntry
from optuna_scoot.comparison.problems.problem import ProblemSet


@dataclass(frozen=True)
class SingleRecipe:
    """How a single-objective problem is made.

    Attributes:
        name: Its name.
        function: The function, see ``make_function``.
        dimension: The function's number of variables, the first of ``kinds``.
        kinds: Kinds of the parameters; those beyond the function's add a quadratic bowl each.
        known: Known rules.
        hidden: Hidden crash rules.
    """

    name: str
    function: str
    dimension: int
    kinds: str
    known: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def family(self) -> Family:
        """Return the family: crash-prone or plain."""
        return Family.CRASH_ANALYTIC if self.known or self.hidden else Family.PLAIN


# The nine parameters of dixon-server are of the kinds of an engine's: two choices, three counts,
# of which two are logarithmic, a float and three flags.
RECIPES: tuple[SingleRecipe, ...] = (
    SingleRecipe("camel-crash", "camel", 2, "ffc", hidden=("corner", "level")),
    SingleRecipe("rosenbrock-crash", "rosenbrock", 4, "ffli", ("sum",), ("pocket",)),
    SingleRecipe("styblinski-crash", "styblinski", 4, "fffcb", ("sum",), ("level",)),
    SingleRecipe("zakharov-crash", "zakharov", 5, "fgllb", ("order",), ("slope",)),
    SingleRecipe("hartmann3-crash", "hartmann", 3, "fflb", ("imply",), ("corner",)),
    SingleRecipe(
        "dixon-server", "dixon", 5, "lflscbcbb", ("order", "imply", "exclusive"), ("slope",)
    ),
    SingleRecipe("camel", "camel", 2, "ff"),
    SingleRecipe("rosenbrock", "rosenbrock", 4, "ffff"),
    SingleRecipe("levy-mixed", "levy", 6, "ffgscb"),
    SingleRecipe("styblinski-mixed", "styblinski", 4, "flib"),
)
"""The seen problems."""

N_SCALE_SAMPLES = 128
"""Random configurations from which a function's typical height is taken."""


def entries(
    recipes: Iterable[SingleRecipe] = RECIPES, problem_set: ProblemSet = ProblemSet.SEEN
) -> tuple[ProblemEntry, ...]:
    """Return the places of single-objective problems in the registry."""
    return tuple(
        ProblemEntry(recipe.name, recipe.family, problem_set, partial(build, recipe))
        for recipe in recipes
    )


class _ShiftedFunction:
    """A function moved, mirrored and permuted so that its minimiser lies at u*."""

    def __init__(self, function: Function, setting: Setting) -> None:
        rng = setting.rng
        n = function.dimension
        self._function = function
        self._setting = setting
        self._order = rng.permutation(n)
        reach = np.array([axis.reach for axis in setting.axes[:n]])
        # Axis i of the problem moves variable order[i] of the function.
        self._scale = rng.choice([-1.0, 1.0], size=n) * reach * function.width[self._order]
        self._extra_weights = np.zeros(len(setting.axes) - n)
        if len(self._extra_weights):
            self._extra_weights[:] = self._typical_height() / len(self._extra_weights)

    def _typical_height(self) -> float:
        """Return the median over the box of the function above its minimum."""
        rng = self._setting.rng
        drawn = [random_configuration(self._setting.axes, rng) for _ in range(N_SCALE_SAMPLES)]
        values = [self(params) - self._function.minimum for params in drawn]
        return float(np.median(values))

    def __call__(self, params: Mapping[str, Any]) -> float:
        """Return the value of a configuration."""
        offset = self._setting.offset(dict(params))
        n = self._function.dimension
        z: FloatArray = self._function.minimiser.copy()
        z[self._order] += self._scale * offset[:n]
        return self._function.value(z) + float(self._extra_weights @ offset[n:] ** 2)


def build(recipe: SingleRecipe, instance: int) -> Problem:
    """Build an instance of a recipe."""
    function = make_function(recipe.function, recipe.dimension)
    setting = make_setting(
        recipe.name,
        instance,
        kinds=recipe.kinds,
        known=recipe.known,
        hidden=recipe.hidden,
        spread=function.spread,
    )
    value = _ShiftedFunction(function, setting)
    check = crash_check(setting)

    def evaluate(params: Mapping[str, Any]) -> Evaluation:
        check(dict(params))
        return Evaluation((value(params),))

    return Problem(
        name=f"{recipe.name}#{instance}",
        family=recipe.family,
        space={axis.name: axis.distribution for axis in setting.axes},
        default=middling_default(setting, check, value),
        directions=("minimize",),
        evaluate=evaluate,
        front=((function.minimum,),),
        known_constraints=setting.known,
        optimal=setting.best,
    )
