"""The tuning problems: what may be looked at while a sampler is developed.

Gardner: J. Gardner et al., Bayesian optimization with inequality constraints (2014), second
simulation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import IntDistribution

from optuna_scoot.comparison.problems import analytic_multi
from optuna_scoot.comparison.problems import analytic_single
from optuna_scoot.comparison.problems import constrained
from optuna_scoot.comparison.problems import services
from optuna_scoot.comparison.problems.analytic_multi import MultiRecipe
from optuna_scoot.comparison.problems.analytic_single import SingleRecipe
from optuna_scoot.comparison.problems.constrained import ConstrainedFunction
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Evaluation
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.problem import ProblemEntry
from optuna_scoot.comparison.problems.problem import ProblemSet


TUNING_SERVICES = (
    "sql-2xa100-7b",
    "sql-4xa10-13b",
    "bot-2xa100-13b",
    "bot-4xa10-7b",
    "cls-2xa10-7b",
    "cls-4xa100-13b",
    "rec-2xa100-7b",
    "rec-4xa10-13b",
)

TUNING_OPTIMA_FILE = Path(__file__).with_name("optima.json")
"""What the searches for the tuning services' optima found."""

# The nine parameters of ellipsoid-server are of the kinds of an engine's: two choices, three
# counts, of which two are logarithmic, a float and three flags.
SINGLE_RECIPES: tuple[SingleRecipe, ...] = (
    SingleRecipe("branin-crash", "branin", 2, "ffb", hidden=("slope",)),
    SingleRecipe("hartmann-crash", "hartmann", 6, "ffffff", hidden=("slope",)),
    SingleRecipe("ackley-crash", "ackley", 5, "flicb", ("imply",), ("corner", "level")),
    SingleRecipe("levy-crash", "levy", 5, "ffllb", ("order",), ("corner", "pocket")),
    SingleRecipe(
        "ellipsoid-server",
        "ellipsoid",
        6,
        "clflsbcbb",
        ("order", "imply", "exclusive"),
        ("corner", "level"),
    ),
    SingleRecipe("griewank-crash", "griewank", 6, "fliscb", ("imply",), ("slope",)),
    SingleRecipe("branin-mixed-crash", "branin", 2, "flcb", hidden=("corner",)),
    SingleRecipe("hartmann-mixed-crash", "hartmann", 6, "fffllib", ("imply",), ("corner",)),
    SingleRecipe("ackley-order-crash", "ackley", 4, "fgllb", ("order",), ("slope",)),
    SingleRecipe("levy-level-crash", "levy", 4, "fficb", hidden=("slope", "level")),
    SingleRecipe("ellipsoid-crash", "ellipsoid", 5, "ffllbcb", ("order",), ("pocket",)),
    SingleRecipe("branin", "branin", 2, "ff"),
    SingleRecipe("hartmann", "hartmann", 6, "ffffff"),
    SingleRecipe("ackley-mixed", "ackley", 5, "flicb"),
)

MULTI_RECIPES: tuple[MultiRecipe, ...] = (
    MultiRecipe("zdt1-crash", "zdt1", "fflicb", ("imply",), ("corner", "level")),
    MultiRecipe("bowls-crash", "bowls", "fffcb", hidden=("bowls",)),
    MultiRecipe("zdt1-slope-crash", "zdt1", "ffslbcb", hidden=("slope",)),
    MultiRecipe("zdt2-mixed-crash", "zdt2", "fflib", ("imply",), ("corner",)),
    MultiRecipe("zdt3-slope-crash", "zdt3", "fffl", hidden=("slope",), flip=True),
    MultiRecipe("dtlz2-level-crash", "dtlz2", "fffcb", hidden=("pocket", "level")),
    MultiRecipe("bowls-level-crash", "bowls", "ffflcb", hidden=("bowls", "level")),
    MultiRecipe("zdt1", "zdt1", "ffff"),
    MultiRecipe("dtlz2-mixed", "dtlz2", "fflib", flip=True),
)

GARDNER = ConstrainedFunction(
    name="gardner",
    value=lambda z: float(np.sin(z[0]) + z[1]),
    constraints=lambda z: (float(np.sin(z[0]) * np.sin(z[1]) + 0.95),),
    low=np.array([0.0, 0.0]),
    high=np.array([6.0, 6.0]),
    minimiser=np.array([1.5 * np.pi, np.arcsin(0.95)]),
    height=3.0,
)


def tuning_entries() -> tuple[ProblemEntry, ...]:
    """Return the tuning problems' places in the registry."""
    which = ProblemSet.TUNING
    toy = ProblemEntry(
        "toy-crash", Family.CRASH_ANALYTIC, which, lambda _: toy_crash(), has_instances=False
    )
    return (
        *services.entries(TUNING_SERVICES, which, TUNING_OPTIMA_FILE),
        toy,
        *analytic_single.entries(SINGLE_RECIPES, which),
        *analytic_multi.entries(MULTI_RECIPES, which),
        *constrained.entries([GARDNER], which),
    )


def toy_crash() -> Problem:
    """Return x + y to maximise over 0..9, which crashes when x + y > 10. The optimum is 10."""

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
