"""The choices of the paper and of the default, value by value: each has its source beside it.

Where the paper is silent, its authors' code decides (they built on HEBO's MACE); where that is
silent too, the value is this project's, and stands here so that it does not change unseen.
"""

from __future__ import annotations

import functools
import inspect
import math
from dataclasses import fields
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution

from optuna_scoot import FeasibilityThreshold
from optuna_scoot import Method
from optuna_scoot import ScootSampler
from optuna_scoot.acquisition import improvement
from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.search.nsga2 import Nsga2
from optuna_scoot.startup import StartupChoice
from optuna_scoot.surrogate.fitting import find_hyperparameters
from optuna_scoot.surrogate.kernel import KernelChoice
from optuna_scoot.surrogate.kernel import Priors
from tests.optuna_scoot.studies import QUICK


PAPER: dict[str, Any] = {
    # IV-C: the objectives themselves are modelled.
    "log_outputs": False,
    # V-A: the solver is pymoo's, which searches MACE's front (IV-E1) or EHVI (IV-E2); population
    # and generations are the authors' code's.
    "nsga2": Nsga2(population=100, generations=100),
    # IV-G: a forest, which only limits the search to POF ≥ Δ (eq. 3).
    "caution": 0.0,
}

# IV-A, step 2: Sobol points, as many as the search space has dimensions. Those that violate a
# known constraint are left out (IV-E3), nothing else is chosen about them, whatever crashed; a
# start-up point counts once it is given out.
PAPER_STARTUP = {
    "covering": False,
    "share": 1.0,
    "least": 1,
    "most": math.inf,
    "own": 1.0,
    "finished": 0.0,
}

PAPER_KERNEL: dict[str, Any] = {
    # IV-C: "Matern 3/2 kernel function with input wrapping", all parameters together, whose
    # hyper-parameters are fitted, not averaged over.
    "main_effects": False,
    "warped": True,
    "n_draws": 0,
}

# IV-G and V-A: scikit-learn's random forest regression, as it comes.
PAPER_FOREST = {"n_trees": 100, "extra": False, "most_terms": 1}

# What docs/paper.md says of the default, in the order of its table.
DEFAULT: dict[str, Any] = {
    "log_outputs": True,
    "nsga2": None,
    "caution": 2.0,
}

DEFAULT_STARTUP = {
    "covering": True,
    "share": 0.6,
    "least": 4,
    "most": 8,
    "own": 0.5,
    "finished": 0.5,
}

DEFAULT_KERNEL: dict[str, Any] = {"main_effects": True, "warped": False, "n_draws": 8}

DEFAULT_FOREST = {"n_trees": 50, "extra": True, "most_terms": 3}

# Of both, for the paper is silent on them. Half of the signal goes to the main effects a priori: a
# logit of 0.
PRIORS: dict[str, Any] = {
    "lengthscale_median": 0.7,
    "level_lengthscale_median": 2.0,
    "lengthscale_spread": 0.8,
    "outputscale": (0.4, 0.8),
    "noise": (-5.0, 1.5),
    "main_share": (0.0, 1.5),
}


def _values(choice: Any, names: Any) -> dict[str, Any]:
    return {name: getattr(choice, name) for name in names}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Method.paper(), PAPER),
        (Method.paper().startup, PAPER_STARTUP),
        (Method.paper().kernel, PAPER_KERNEL),
        (Method.paper().kernel.priors, PRIORS),
        (Method.paper().forest, PAPER_FOREST),
        (Method(), DEFAULT),
        (Method().startup, DEFAULT_STARTUP),
        (Method().kernel, DEFAULT_KERNEL),
        (Method().kernel.priors, PRIORS),
        (Method().forest, DEFAULT_FOREST),
    ],
    ids=[
        f"{whose} {what}"
        for whose in ("paper's", "default's")
        for what in ("method", "startup", "kernel", "priors", "forest")
    ],
)
def test_every_value_is_the_one_that_is_told(choice: Any, expected: dict[str, Any]) -> None:
    assert _values(choice, expected) == expected


@pytest.mark.parametrize(
    ("kind", "pinned"),
    [
        (Method, PAPER.keys() | {"startup", "kernel", "forest"}),
        (StartupChoice, PAPER_STARTUP.keys()),
        (KernelChoice, PAPER_KERNEL.keys() | {"priors"}),
        (Priors, PRIORS.keys()),
        (ForestChoice, PAPER_FOREST.keys()),
    ],
    ids=["method", "startup", "kernel", "priors", "forest"],
)
def test_no_choice_of_the_papers_is_left_untold(kind: Any, pinned: Any) -> None:
    assert {f.name for f in fields(kind)} == set(pinned)


def test_the_acquisitions_constants_are_the_papers_and_its_authors() -> None:
    defaults = inspect.signature(improvement.kappa).parameters

    # IV-E1: ξ is 0.0001. The authors' code: ν = 0.5 and δ = 0.01, as HEBO's MACE has them.
    assert improvement.XI == 1e-4
    assert (defaults["nu"].default, defaults["delta"].default) == (0.5, 0.01)


def test_the_search_for_the_mode_has_its_limits() -> None:
    # Silent.
    defaults = inspect.signature(find_hyperparameters).parameters

    assert (defaults["max_iterations"].default, defaults["tolerance"].default) == (100, 1e-4)


def test_the_threshold_is_algorithm_1s() -> None:
    threshold = FeasibilityThreshold()

    assert (threshold.initial, threshold.step, threshold.window) == (0.5, 0.05, 5)
    assert (threshold.minimum, threshold.maximum) == (0.25, 0.75)


SPACE: dict[str, BaseDistribution] = {
    "flag": CategoricalDistribution([False, True]),
    "x": FloatDistribution(0.0, 1.0),
    "y": FloatDistribution(0.0, 1.0),
}


def _study(method: Method) -> list[dict[str, Any]]:
    """Run 20 trials of which some crash."""

    def objective(trial: optuna.Trial) -> float:
        flag = trial.suggest_categorical("flag", [False, True])
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        if flag or x + y > 1.3:
            raise MemoryError
        return float(np.exp(4.0 * abs(x - 0.3)) + y)

    study = optuna.create_study(sampler=ScootSampler(SPACE, method=method, seed=1))
    study.optimize(objective, n_trials=20, catch=(MemoryError,))
    return [trial.params for trial in study.trials]


@functools.cache
def _usual() -> list[dict[str, Any]]:
    return _study(QUICK)


@pytest.mark.parametrize(
    "change",
    [
        {"startup": StartupChoice(covering=False)},
        {"startup": StartupChoice(share=3.0)},
        {"startup": StartupChoice(least=6)},
        {"startup": StartupChoice(finished=2.0)},
        {"startup": StartupChoice(most=3)},
        {"startup": StartupChoice(own=1.0)},
        {"kernel": KernelChoice(main_effects=False)},
        {"kernel": KernelChoice(warped=True)},
        {"kernel": KernelChoice(priors=Priors(main_share=(3.0, 0.5)))},
        {"forest": replace(QUICK.forest, n_trees=11)},
        {"forest": replace(QUICK.forest, extra=False)},
        {"forest": replace(QUICK.forest, most_terms=1)},
        {"log_outputs": False},
        {"nsga2": Nsga2(population=8, generations=3)},
        {"caution": 0.5},
    ],
    ids=str,
)
def test_every_choice_makes_a_difference(change: dict[str, Any]) -> None:
    assert _study(replace(QUICK, **change)) != _usual()


def test_the_number_of_draws_makes_a_difference_with_two_objectives() -> None:
    def study(kernel: KernelChoice) -> list[dict[str, Any]]:
        sampler = ScootSampler(SPACE, method=replace(QUICK, kernel=kernel), seed=1)
        study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        study.optimize(_two_values, n_trials=12)
        return [trial.params for trial in study.trials]

    assert study(KernelChoice(n_draws=2)) != study(KernelChoice())


def _two_values(trial: optuna.Trial) -> tuple[float, float]:
    x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
    return (x - 0.3) ** 2 + y, abs(x - 0.7) - y
