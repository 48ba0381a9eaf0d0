"""The search of the paper: pymoo's NSGA-II under known constraints and POF ≥ Δ (section IV-E)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from optuna_scoot.constraints.domain import Domain
from optuna_scoot.space.points import without


@dataclass(frozen=True)
class Nsga2:
    """How long NSGA-II searches; by default as in the paper's authors' code for one objective.

    Attributes:
        population: Points a generation.
        generations: How many.
    """

    population: int = 100
    generations: int = 100


def search_front(
    functions: Callable[[np.ndarray], np.ndarray],
    domain: Domain,
    margin: Callable[[np.ndarray], np.ndarray],
    starts: np.ndarray,
    effort: Nsga2,
    seed: int,
) -> np.ndarray:
    """Search the points that no other beats in all of several functions (paper, section IV-E1).

    Args:
        functions: Snapped points (q, d) to k values each, shape (q, k), larger is better.
        domain: Space and known constraints.
        margin: Snapped points (q, d) to numbers (q,), ≥ 0 where a point may be suggested.
        starts: Points that join the first population, shape (s, d).
        effort: How long.
        seed: Of the algorithm.

    Returns:
        Valid points that may be suggested, distinct, shape (p, d); p may be 0.
    """
    result = _minimised(functions, domain, margin, starts, effort, seed)
    front = np.empty((0, domain.space.n_dimensions)) if result.X is None else result.X
    return _admissible(np.atleast_2d(front), domain, margin)


def search_best(
    function: Callable[[np.ndarray], np.ndarray],
    domain: Domain,
    margin: Callable[[np.ndarray], np.ndarray],
    starts: np.ndarray,
    effort: Nsga2,
    seed: int,
) -> np.ndarray:
    """Search the points at which one function is largest (paper, sections IV-E2 and IV-F).

    The front of one function is a single point: the others are the rest of the last population.

    Args:
        function: Snapped points (q, d) to values (q,), larger is better.
        domain: Space and known constraints.
        margin: Snapped points (q, d) to numbers (q,), ≥ 0 where a point may be suggested.
        starts: Points that join the first population, shape (s, d).
        effort: How long.
        seed: Of the algorithm.

    Returns:
        Valid points that may be suggested, distinct, the best first, shape (p, d); p may be 0.
    """

    def column(x: np.ndarray) -> np.ndarray:
        # NSGA-II subtracts values: it wants finite ones.
        return np.asarray(np.maximum(function(x), -1e9)[:, np.newaxis])

    result = _minimised(column, domain, margin, starts, effort, seed)
    points = _admissible(result.pop.get("X"), domain, margin)
    if len(points) == 0:
        return points
    return np.asarray(points[np.argsort(-column(points)[:, 0], kind="stable")])


def _admissible(
    x: np.ndarray, domain: Domain, margin: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    points = domain.space.snap(x)
    return without(points[domain.valid(points) & (margin(points) >= 0.0)], set())


def _minimised(
    functions: Callable[[np.ndarray], np.ndarray],
    domain: Domain,
    margin: Callable[[np.ndarray], np.ndarray],
    starts: np.ndarray,
    effort: Nsga2,
    seed: int,
) -> Any:
    """Return pymoo's result; what it minimises are the functions' negatives."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.core.repair import Repair
    from pymoo.optimize import minimize

    space = domain.space

    class Acquisition(Problem):  # type: ignore[misc]
        def __init__(self) -> None:
            n_functions = functions(starts[:1]).shape[1]
            super().__init__(
                n_var=space.n_dimensions, n_obj=n_functions, n_ieq_constr=2, xl=0.0, xu=1.0
            )

        def _evaluate(self, x: np.ndarray, out: dict[str, np.ndarray], *_: object) -> None:
            out["F"] = -functions(x)
            out["G"] = np.stack([1.0 - domain.valid(x), -margin(x)], axis=1)

    rng = np.random.default_rng(seed)

    class Snap(Repair):  # type: ignore[misc]
        def _do(self, problem: object, x: np.ndarray, **_: object) -> np.ndarray:
            snapped = space.snap(x)
            return domain.repaired_steps(snapped, snapped, rng)

    first = np.concatenate([starts, domain.sobol(effort.population, seed)])[: effort.population]
    return minimize(
        Acquisition(),
        NSGA2(pop_size=effort.population, sampling=first, repair=Snap()),
        ("n_gen", effort.generations),
        seed=seed,
        verbose=False,
    )
