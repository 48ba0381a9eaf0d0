"""The fresh problems: nothing of the sampler was chosen on them, and none is to be.

They are of the families of the others, with other functions, other rules of what crashes and
other services. A problem on which a choice has been made moves to another set.
"""

from __future__ import annotations

from pathlib import Path

from optuna_scoot.comparison.problems import analytic_multi
from optuna_scoot.comparison.problems import analytic_single
from optuna_scoot.comparison.problems import services
from optuna_scoot.comparison.problems.analytic_multi import MultiRecipe
from optuna_scoot.comparison.problems.analytic_single import SingleRecipe
from optuna_scoot.comparison.problems.problem import ProblemEntry
from optuna_scoot.comparison.problems.problem import ProblemSet


FRESH_SERVICES = (
    "sql-2xa10-7b",
    "sql-4xa100-13b",
    "bot-2xa10-13b",
    "bot-4xa100-7b",
    "cls-2xa100-13b",
    "cls-4xa10-7b",
    "rec-2xa100-13b",
    "rec-4xa10-7b",
)

FRESH_OPTIMA_FILE = Path(__file__).with_name("fresh_optima.json")
"""What the searches for the fresh services' optima found."""

# The fourteen parameters of perm-server are of the kinds of an engine's.
SINGLE_RECIPES: tuple[SingleRecipe, ...] = (
    SingleRecipe("rastrigin-crash", "rastrigin", 3, "ffgcb", (), ("band", "pair")),
    SingleRecipe("salomon-crash", "salomon", 4, "fflib", ("imply",), ("product",)),
    SingleRecipe("alpine-crash", "alpine", 5, "fgislcb", ("budget",), ("divisible", "sphere")),
    SingleRecipe("powell-crash", "powell", 4, "ffll", ("order",), ("shell",)),
    SingleRecipe("trid-crash", "trid", 6, "ffsilsccb", ("budget",), ("product", "pair")),
    SingleRecipe("beale-crash", "beale", 2, "ffcc", (), ("band", "pair")),
    SingleRecipe("colville-crash", "colville", 4, "fflib", ("imply",), ("divisible",)),
    SingleRecipe("shekel-crash", "shekel", 4, "fffgs", (), ("sphere", "product")),
    SingleRecipe("michalewicz-crash", "michalewicz", 5, "ffgfscb", (), ("shell", "divisible")),
    SingleRecipe(
        "perm-server",
        "perm",
        4,
        "lflsfgiscbcbbb",
        ("order", "imply", "exclusive"),
        ("product", "pair", "divisible"),
    ),
    SingleRecipe("goldstein-mixed", "goldstein", 2, "ffib"),
    SingleRecipe("schwefel", "schwefel", 4, "ffff"),
    SingleRecipe("michalewicz", "michalewicz", 6, "ffffff"),
    SingleRecipe("rastrigin-mixed", "rastrigin", 4, "flgsciib"),
)

MULTI_RECIPES: tuple[MultiRecipe, ...] = (
    MultiRecipe("zdt6-crash", "zdt6", "ffgcb", (), ("band", "pair")),
    MultiRecipe("dtlz7-crash", "dtlz7", "fflsib", ("imply",), ("divisible",), flip=True),
    MultiRecipe("wfg1-crash", "wfg1", "fflscb", ("budget",), ("product",)),
    MultiRecipe(
        "fonseca-server",
        "fonseca",
        "fflslicbcbb",
        ("order", "imply", "exclusive"),
        ("shell", "pair"),
    ),
    MultiRecipe("schaffer-mixed", "schaffer", "fflcb"),
)


def fresh_entries() -> tuple[ProblemEntry, ...]:
    """Return the fresh problems' places in the registry."""
    which = ProblemSet.FRESH
    return (
        *services.entries(FRESH_SERVICES, which, FRESH_OPTIMA_FILE),
        *analytic_single.entries(SINGLE_RECIPES, which),
        *analytic_multi.entries(MULTI_RECIPES, which),
    )
