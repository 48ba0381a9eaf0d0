"""The search of the paper: pymoo's NSGA-II under known constraints and POF ≥ Δ (section IV-E)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optuna_scoot.constraints.domain import Domain
from optuna_scoot.space.points import without


@dataclass(frozen=True)
class Nsga2:
    """How long NSGA-II searches; by default as in the paper's authors' code.

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
    """Search the points that no other beats in all functions (paper, section IV-E1).

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
    result = minimize(
        Acquisition(),
        NSGA2(pop_size=effort.population, sampling=first, repair=Snap()),
        ("n_gen", effort.generations),
        seed=seed,
        verbose=False,
    )
    if result.X is None:
        return np.empty((0, space.n_dimensions))
    front = space.snap(np.atleast_2d(result.X))
    return without(front[domain.valid(front) & (margin(front) >= 0.0)], set())
