"""The choices of the paper and of the default, value by value: each has its source beside it.

Where the paper is silent, its authors' code decides (they built on HEBO's MACE); where that is
silent too, the value is this project's, and stands here so that it does not change unseen.
"""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest

from optuna_scoot import FeasibilityThreshold
from optuna_scoot import Method
from optuna_scoot.acquisition import improvement as acquisition
from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.surrogate.kernel import KernelChoice


PAPER: dict[str, Any] = {
    # IV-A, step 2: Sobol points, as many as the search space has dimensions. Those that violate
    # a known constraint are left out (IV-E3), nothing else is chosen about them.
    "startup_share": 1.0,
    "startup_least": 1,
    "balanced_startup": False,
    "covering_startup": False,
    # A start-up point counts once it is given out.
    "startup_finished": 0.0,
    # IV-C: the objectives themselves are modelled.
    "log_outputs": False,
    # IV-E1: MACE for one objective. V-A: the solver is pymoo's.
    "single": "mace",
    "solver": "nsga2",
    # IV-D1, eq. 8 and 9: any improvement counts, beyond the ξ of EI and PI.
    "least_gain": 0.0,
    # IV-G: a forest, which only limits the search (eq. 3) ...
    "use_forest": True,
    "pof_weight": 0.0,
    "crash_cost": 0.0,
    "bold_every": 0,
    # ... to POF ≥ Δ, where Δ moves (algorithm 1).
    "fixed_threshold": False,
    # IV-E3: known constraints prune the space.
    "use_known_constraints": True,
    # The authors' code.
    "population": 100,
    "generations": 100,
}

PAPER_KERNEL: dict[str, Any] = {
    # IV-C: "Matern 3/2 kernel function with input wrapping", all parameters together, ...
    "nu": 1.5,
    "warp": True,
    "main_effects": False,
    # ... whose hyper-parameters are fitted, not averaged over.
    "n_draws": 0,
    # Silent from here on.
    "max_iterations": 100,
    "tolerance": 1e-4,
    "outputscale_prior": (0.4, 0.8),
    "noise_prior": (-5.0, 1.5),
    "lengthscale_median": 0.7,
    "level_lengthscale_median": 2.0,
    "lengthscale_spread": 0.8,
}

# IV-G and V-A: scikit-learn's random forest regression, as it comes.
PAPER_FOREST = {"n_trees": 100, "extra": False, "pairs": False, "max_features": 1.0}

# What docs/sampler.md says of the default, in the order of its table.
DEFAULT: dict[str, Any] = {
    "startup_share": 0.6,
    "startup_least": 4,
    "balanced_startup": True,
    "covering_startup": True,
    "log_outputs": True,
    "least_gain": 0.01,
    "single": "log_ei",
    "solver": "climb",
    "startup_finished": 0.5,
    "use_forest": True,
    "pof_weight": 2.0,
    "crash_cost": 0.1,
    "bold_every": 4,
    "level_chances": 2,
    "fixed_threshold": False,
    "use_known_constraints": True,
}

DEFAULT_KERNEL: dict[str, Any] = {
    "nu": 1.5,
    "main_effects": True,
    # Half of the signal to the main effects a priori: a logit of 0.
    "main_share_prior": (0.0, 1.5),
    "n_draws": 8,
    "warp": False,
    "lengthscale_median": 0.7,
    "level_lengthscale_median": 2.0,
    "lengthscale_spread": 0.8,
    "outputscale_prior": (0.4, 0.8),
    "noise_prior": (-5.0, 1.5),
}

DEFAULT_FOREST = {"n_trees": 50, "extra": True, "pairs": True, "max_features": 1.0}

# These change nothing where there are no bold suggestions, no main effects and no draws.
UNUSED_BY_THE_PAPER = {"level_chances", "main_share_prior", "n_steps", "n_burn_in"}


def _values(choice: Any, names: Any) -> dict[str, Any]:
    return {name: getattr(choice, name) for name in names}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Method.paper(), PAPER),
        (Method.paper().kernel, PAPER_KERNEL),
        (Method.paper().forest, PAPER_FOREST),
        (Method(), DEFAULT),
        (Method().kernel, DEFAULT_KERNEL),
        (Method().forest, DEFAULT_FOREST),
    ],
    ids=["paper", "paper's kernel", "paper's forest", "default", "its kernel", "its forest"],
)
def test_every_value_is_the_one_that_is_told(choice: Any, expected: dict[str, Any]) -> None:
    assert _values(choice, expected) == expected


@pytest.mark.parametrize(
    ("kind", "pinned"),
    [
        (Method, PAPER.keys() | {"kernel", "forest"}),
        (KernelChoice, PAPER_KERNEL.keys()),
        (ForestChoice, PAPER_FOREST.keys()),
    ],
    ids=["method", "kernel", "forest"],
)
def test_no_choice_of_the_papers_is_left_untold(kind: Any, pinned: Any) -> None:
    assert {f.name for f in fields(kind)} - UNUSED_BY_THE_PAPER == set(pinned)


def test_the_acquisitions_constants_are_the_papers_and_its_authors() -> None:
    defaults = inspect.signature(acquisition.kappa).parameters

    # IV-E1: ξ is 0.0001. The authors' code: ν = 0.5 and δ = 0.01, as HEBO's MACE has them.
    assert acquisition.XI == 1e-4
    assert (defaults["nu"].default, defaults["delta"].default) == (0.5, 0.01)


def test_the_threshold_is_algorithm_1s() -> None:
    threshold = FeasibilityThreshold()

    assert (threshold.initial, threshold.step, threshold.window) == (0.5, 0.05, 5)
    assert (threshold.minimum, threshold.maximum) == (0.25, 0.75)


def test_mace_has_no_other_solver_than_nsga2() -> None:
    with pytest.raises(ValueError, match="needs solver="):
        Method(single="mace")
    assert Method(single="mace", solver="nsga2").single == "mace"
    assert Method(single="log_ei", solver="nsga2").solver == "nsga2"
