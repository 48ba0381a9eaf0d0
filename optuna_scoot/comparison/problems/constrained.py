"""Problems with measured constraints (``trial.set_constraint``), alone and with crashes.

Townsend: A. Townsend, Constrained optimization in Chebfun (2014), in its shifted form.
Gramacy: R. Gramacy et al., Modeling an augmented Lagrangian for blackbox constrained optimization
(2016).

An instance mirrors and swaps the two variables and adds two more, an int and a choice, each of
which adds a bowl with its own optimum; optimal value and constraints stay as published.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_scoot.comparison.problems.axes import FloatArray
from optuna_scoot.comparison.problems.instances import N_DEFAULT_CANDIDATES
from optuna_scoot.comparison.problems.instances import N_REGION_DRAWS
from optuna_scoot.comparison.problems.instances import N_SHARE_SAMPLES
from optuna_scoot.comparison.problems.instances import instance_rng
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Evaluation
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.problem import ProblemEntry
from optuna_scoot.comparison.problems.problem import ProblemSet
from optuna_scoot.comparison.problems.regions import SHARE


@dataclass(frozen=True)
class ConstrainedFunction:
    """A published constrained function of two variables.

    Attributes:
        name: Its name.
        value: Objective at z, shape ``(2,)``, minimised.
        constraints: Constraint values at z; positive is violated.
        low: Lower bounds, shape ``(2,)``.
        high: Upper bounds, shape ``(2,)``.
        minimiser: The best feasible point, shape ``(2,)``.
        height: Typical height of the objective, of which the added bowls are made.
    """

    name: str
    value: Callable[[FloatArray], float]
    constraints: Callable[[FloatArray], tuple[float, ...]]
    low: FloatArray
    high: FloatArray
    minimiser: FloatArray
    height: float


def _townsend_limit(z: FloatArray) -> float:
    t = np.arctan2(z[0], z[1])
    across = 2 * np.cos(t) - np.cos(2 * t) / 2 - np.cos(3 * t) / 4 - np.cos(4 * t) / 8
    return float(z @ z - across**2 - (2 * np.sin(t)) ** 2)


def _gramacy_limits(z: FloatArray) -> tuple[float, float]:
    wave = 1.5 - z[0] - 2 * z[1] - 0.5 * np.sin(2 * np.pi * (z[0] ** 2 - 2 * z[1]))
    return float(wave), float(z @ z - 1.5)


CONSTRAINED_FUNCTIONS: tuple[ConstrainedFunction, ...] = (
    ConstrainedFunction(
        name="townsend",
        value=lambda z: float(
            -(np.cos((z[0] - 0.1) * z[1]) ** 2) - z[0] * np.sin(3 * z[0] + z[1])
        ),
        constraints=lambda z: (_townsend_limit(z),),
        low=np.array([-2.25, -2.5]),
        high=np.array([2.5, 1.75]),
        minimiser=np.array([2.0052938, 1.1944509]),
        height=2.0,
    ),
    ConstrainedFunction(
        name="gramacy",
        value=lambda z: float(z.sum()),
        constraints=_gramacy_limits,
        low=np.array([0.0, 0.0]),
        high=np.array([1.0, 1.0]),
        minimiser=np.array([0.1954, 0.4044]),
        height=0.5,
    ),
)
"""The seen ones."""

_CHOICES = ("amber", "blue", "coral")
_SPACE: dict[str, BaseDistribution] = {
    "x": FloatDistribution(0.0, 1.0),
    "y": FloatDistribution(0.0, 1.0),
    "count": IntDistribution(0, 10),
    "colour": CategoricalDistribution(_CHOICES),
}


def entries(
    functions: Iterable[ConstrainedFunction] = CONSTRAINED_FUNCTIONS,
    problem_set: ProblemSet = ProblemSet.SEEN,
) -> tuple[ProblemEntry, ...]:
    """Return the places in the registry of each function's two problems, one with crashes."""
    return tuple(
        ProblemEntry(
            f"{function.name}-constrained" + ("-crash" if crashes else ""),
            Family.CONSTRAINED,
            problem_set,
            partial(build, function, crashes=crashes),
        )
        for function in functions
        for crashes in (False, True)
    )


def build(function: ConstrainedFunction, instance: int, *, crashes: bool) -> Problem:
    """Build an instance of a constrained problem.

    Args:
        function: The function with its constraints.
        instance: The instance.
        crashes: Whether part of the space next to the optimum crashes.

    Returns:
        The problem.
    """
    rng = instance_rng(f"{function.name}-constrained", instance)
    swapped, *mirrored = (bool(coin) for coin in rng.integers(2, size=3))
    best_count, best_colour = int(rng.integers(2, 9)), _CHOICES[rng.integers(3)]
    normal = _fair_normal(function, rng)

    def point(params: Mapping[str, Any]) -> FloatArray:
        places = np.array([params["y"], params["x"]] if swapped else [params["x"], params["y"]])
        places = np.where(mirrored, 1 - places, places)
        return np.asarray(function.low + places * (function.high - function.low))

    def evaluate(params: Mapping[str, Any]) -> Evaluation:
        z = point(params)
        offset = (z - function.minimiser) / (function.high - function.low)
        if crashes and normal @ offset > 0.04 + 0.02 * abs(params["count"] - best_count):
            raise Crash("slope")
        away = ((params["count"] - best_count) / 10) ** 2 + 0.3 * (params["colour"] != best_colour)
        names = [f"limit{index}" for index in range(len(function.constraints(z)))]
        limits = dict(zip(names, function.constraints(z), strict=True))
        return Evaluation((function.value(z) + function.height * away,), limits)

    places = (function.minimiser - function.low) / (function.high - function.low)
    places = np.where(mirrored, 1 - places, places)[:: -1 if swapped else 1]
    optimal: dict[str, Any] = {"x": float(places[0]), "y": float(places[1])}
    optimal |= {"count": best_count, "colour": best_colour}
    suffix = "-crash" if crashes else ""
    return Problem(
        name=f"{function.name}-constrained{suffix}#{instance}",
        family=Family.CONSTRAINED,
        space=_SPACE,
        default=_default(evaluate, rng),
        directions=("minimize",),
        evaluate=evaluate,
        front=((function.value(function.minimiser),),),
        optimal=optimal,
    )


def _fair_normal(function: ConstrainedFunction, rng: np.random.Generator) -> FloatArray:
    """Return a direction, shape ``(2,)``, such that the region beyond it is of a fair size."""
    target = (function.minimiser - function.low) / (function.high - function.low)
    offsets = rng.uniform(size=(N_SHARE_SAMPLES, 2)) - target
    for _ in range(N_REGION_DRAWS):
        normal = rng.normal(size=2)
        normal /= np.linalg.norm(normal)
        if SHARE[0] <= np.mean(offsets @ normal > 0.1) <= SHARE[1]:
            break
    return normal


def _default(
    evaluate: Callable[[Mapping[str, Any]], Evaluation], rng: np.random.Generator
) -> dict[str, Any]:
    """Return, of some random configurations within every limit, the one of median value."""
    found: list[tuple[float, dict[str, Any]]] = []
    while len(found) < N_DEFAULT_CANDIDATES:
        params = {
            "x": float(rng.uniform()),
            "y": float(rng.uniform()),
            "count": int(rng.integers(11)),
            "colour": _CHOICES[rng.integers(3)],
        }
        try:
            evaluation = evaluate(params)
        except Crash:
            continue
        if evaluation.feasible:
            found.append((evaluation.values[0], params))
    found.sort(key=lambda entry: entry[0])
    return found[len(found) // 2][1]
