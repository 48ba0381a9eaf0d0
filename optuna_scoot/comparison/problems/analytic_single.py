"""Single-objective analytic problems with known optima: crash-prone ones and ordinary ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from optuna.distributions import IntDistribution

from optuna_scoot.comparison.problems.axes import FloatArray
from optuna_scoot.comparison.problems.axes import random_configuration
from optuna_scoot.comparison.problems.functions import Function
from optuna_scoot.comparison.problems.functions import make_function
from optuna_scoot.comparison.problems.instances import Setting
from optuna_scoot.comparison.problems.instances import crash_check
from optuna_scoot.comparison.problems.instances import make_setting
from optuna_scoot.comparison.problems.instances import middling_default
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Evaluation
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.problem import ProblemEntry
from optuna_scoot.comparison.problems.problem import ProblemSet


@dataclass(frozen=True)
class Recipe:
    """How a single-objective problem is made.

    Attributes:
        name: Its name.
        function: The function, see `make_function`.
        dimension: The function's number of variables, the first of `kinds`.
        kinds: Kinds of the parameters; those beyond the function's add a quadratic bowl each.
        problem_set: For development or held out.
        known: Known rules.
        hidden: Hidden crash rules.
    """

    name: str
    function: str
    dimension: int
    kinds: str
    problem_set: ProblemSet
    known: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def family(self) -> Family:
        """Crash-prone or plain."""
        return Family.CRASH_ANALYTIC if self.known or self.hidden else Family.PLAIN


_TUNING = ProblemSet.TUNING
_HELD_OUT = ProblemSet.HELD_OUT

# The nine parameters of the *-server problems are of the kinds of an engine's: two choices, three
# logarithmic counts, a float and three flags.
RECIPES: tuple[Recipe, ...] = (
    Recipe("branin-crash", "branin", 2, "ffb", _TUNING, hidden=("slope",)),
    Recipe("hartmann-crash", "hartmann", 6, "ffffff", _TUNING, hidden=("slope",)),
    Recipe("ackley-crash", "ackley", 5, "flicb", _TUNING, ("imply",), ("corner", "level")),
    Recipe("levy-crash", "levy", 5, "ffllb", _TUNING, ("order",), ("corner", "pocket")),
    Recipe(
        "ellipsoid-server",
        "ellipsoid",
        6,
        "clflsbcbb",
        _TUNING,
        ("order", "imply", "exclusive"),
        ("corner", "level"),
    ),
    Recipe("griewank-crash", "griewank", 6, "fliscb", _TUNING, ("imply",), ("slope",)),
    Recipe("branin-mixed-crash", "branin", 2, "flcb", _TUNING, hidden=("corner",)),
    Recipe("hartmann-mixed-crash", "hartmann", 6, "fffllib", _TUNING, ("imply",), ("corner",)),
    Recipe("ackley-order-crash", "ackley", 4, "fgllb", _TUNING, ("order",), ("slope",)),
    Recipe("levy-level-crash", "levy", 4, "fficb", _TUNING, hidden=("slope", "level")),
    Recipe("ellipsoid-crash", "ellipsoid", 5, "ffllbcb", _TUNING, ("order",), ("pocket",)),
    Recipe("camel-crash", "camel", 2, "ffc", _HELD_OUT, hidden=("corner", "level")),
    Recipe("rosenbrock-crash", "rosenbrock", 4, "ffli", _HELD_OUT, ("sum",), ("pocket",)),
    Recipe("styblinski-crash", "styblinski", 4, "fffcb", _HELD_OUT, ("sum",), ("level",)),
    Recipe("zakharov-crash", "zakharov", 5, "fgllb", _HELD_OUT, ("order",), ("slope",)),
    Recipe("hartmann3-crash", "hartmann", 3, "fflb", _HELD_OUT, ("imply",), ("corner",)),
    Recipe(
        "dixon-server",
        "dixon",
        5,
        "lflscbcbb",
        _HELD_OUT,
        ("order", "imply", "exclusive"),
        ("slope",),
    ),
    Recipe("branin", "branin", 2, "ff", _TUNING),
    Recipe("hartmann", "hartmann", 6, "ffffff", _TUNING),
    Recipe("ackley-mixed", "ackley", 5, "flicb", _TUNING),
    Recipe("camel", "camel", 2, "ff", _HELD_OUT),
    Recipe("rosenbrock", "rosenbrock", 4, "ffff", _HELD_OUT),
    Recipe("levy-mixed", "levy", 6, "ffgscb", _HELD_OUT),
    Recipe("styblinski-mixed", "styblinski", 4, "flib", _HELD_OUT),
)

N_SCALE_SAMPLES = 128
"""Random configurations from which a function's typical height is taken."""


def entries() -> tuple[ProblemEntry, ...]:
    """The single-objective problems' places in the registry."""
    toy = ProblemEntry(
        "toy-crash", Family.CRASH_ANALYTIC, _TUNING, lambda _: toy_crash(), has_instances=False
    )
    made = tuple(
        ProblemEntry(recipe.name, recipe.family, recipe.problem_set, partial(build, recipe))
        for recipe in RECIPES
    )
    return (toy, *made)


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
        """Median of the function above its minimum over the box."""
        rng = self._setting.rng
        drawn = [random_configuration(self._setting.axes, rng) for _ in range(N_SCALE_SAMPLES)]
        values = [self(params) - self._function.minimum for params in drawn]
        return float(np.median(values))

    def __call__(self, params: Mapping[str, Any]) -> float:
        """Value of a configuration."""
        offset = self._setting.offset(dict(params))
        n = self._function.dimension
        z: FloatArray = self._function.minimiser.copy()
        z[self._order] += self._scale * offset[:n]
        return self._function.value(z) + float(self._extra_weights @ offset[n:] ** 2)


def build(recipe: Recipe, instance: int) -> Problem:
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


def toy_crash() -> Problem:
    """Maximise x + y over 0..9; it crashes when x + y > 10. The optimum is 10."""

    def evaluate(params: Mapping[str, Any]) -> Evaluation:
        total = params["x"] + params["y"]
        if total > 10:
            raise Crash("sum")
        return Evaluation((float(total),))

    return Problem(
        name="toy-crash",
        family=Family.CRASH_ANALYTIC,
        space={"x": IntDistribution(0, 9), "y": IntDistribution(0, 9)},
        default={"x": 0, "y": 0},
        directions=("maximize",),
        evaluate=evaluate,
        front=((10.0,),),
        optimal={"x": 4, "y": 6},
    )
