"""The long search for a service's optimum: thousands of evaluations, no model, nothing assumed.

1.  For every combination of choices and flags that the known constraints allow, a few random
    configurations, so that no combination is overlooked.
2.  Evolution: a parent drawn from the best found so far (the Pareto front, or the best ten), one
    to three of its parameters changed, sometimes crossed with another parent; now and then a
    fresh random configuration.

The result is the Pareto front of *every* evaluation ever remembered of that service, those of the
samplers in comparisons included, so that a sampler which beats a search improves the next one.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution

from optuna_scoot.comparison.development.problems import TUNING_OPTIMA_FILE
from optuna_scoot.comparison.problems.fresh import FRESH_OPTIMA_FILE
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.problem import ProblemSet
from optuna_scoot.comparison.problems.random_draws import draw
from optuna_scoot.comparison.problems.random_draws import mutate
from optuna_scoot.comparison.problems.registry import family_of
from optuna_scoot.comparison.problems.registry import registry
from optuna_scoot.comparison.problems.services import OPTIMA_FILE
from optuna_scoot.comparison.problems.services import FoundOptimum
from optuna_scoot.comparison.problems.services import make_service
from optuna_scoot.comparison.problems.services import memo_of
from optuna_scoot.comparison.problems.services import service_version
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.pareto import is_non_dominated


Params = dict[str, Any]

OPTIMA_FILES = {
    ProblemSet.TUNING: TUNING_OPTIMA_FILE,
    ProblemSet.SEEN: OPTIMA_FILE,
    ProblemSet.FRESH: FRESH_OPTIMA_FILE,
}
"""Where the optima of each set's services are kept."""

N_PER_COMBINATION = 4
N_ELITE = 10
N_IDLE = 1000
P_FRESH = 0.05
P_CROSS = 0.3
MUTATION_SCALES = (0.01, 0.05, 0.2)
"""Standard deviations of a number's change, see ``mutate``."""


def services_among(problems: Iterable[str]) -> list[str]:
    """Return the services among problems.

    Raises:
        CompareError: If there is none.
    """
    services = [name for name in problems if family_of(name) is Family.SERVICE]
    if not services:
        raise CompareError("None of these problems is a service; try service.")
    return services


def write_optimum(name: str, found: FoundOptimum) -> None:
    """Add what a search found to the file of the service's set."""
    path = OPTIMA_FILES[registry()[name].problem_set]
    optima = {**json.loads(path.read_text()), name: asdict(found)}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(dict(sorted(optima.items())), indent=1) + "\n")
    temporary.replace(path)


def search(name: str, *, n_evaluations: int, seed: int = 0) -> FoundOptimum:
    """Search for a service's optimum.

    Args:
        name: The service.
        n_evaluations: Evaluations of different configurations, remembered or not.
        seed: Of the search.

    Returns:
        The Pareto front, or best point, over everything that was ever evaluated.
    """
    problem = make_service(name, ())
    signs = np.array([1.0 if d == "minimize" else -1.0 for d in problem.directions])
    evolution = Evolution(problem, signs, np.random.default_rng(seed))
    evolution.run(n_evaluations)
    memo = memo_of(name)
    everything = memo.values()
    values = signs * np.array([point for _, point in everything])
    unique, first = np.unique(values, axis=0, return_index=True)
    best = first[is_non_dominated(unique)]
    return FoundOptimum(
        version=service_version(name),
        evaluations=len(memo),
        front=tuple(everything[index][1] for index in best),
        configurations=tuple(everything[index][0] for index in best),
    )


class Evolution:
    """Random coverage and mutation of the best.

    Args:
        problem: What is searched.
        signs: 1 for an objective to minimise, -1 for one to maximise, shape ``(n_objectives,)``.
        rng: Draws everything.

    Attributes:
        elite: The best values, minimised, with their configurations.
    """

    def __init__(
        self, problem: Problem, signs: NDArray[np.float64], rng: np.random.Generator
    ) -> None:
        self._problem = problem
        self._signs = signs
        self._rng = rng
        self._known = KnownConstraints(problem.known_constraints)
        self.elite: list[tuple[NDArray[np.float64], Params]] = []

    def run(self, n_evaluations: int) -> None:
        """Evaluate that many configurations, each once."""
        source = self._distinct(self._configurations())
        for params in itertools.islice(source, n_evaluations):
            try:
                values = np.array(self._problem.evaluate(params).values)
            except Crash:
                continue
            self._add(self._signs * values, params)

    def _add(self, values: NDArray[np.float64], params: Params) -> None:
        """Keep what is among the best: the Pareto front, or the best ten of one objective."""
        if len(values) == 1:
            self.elite.append((values, params))
            self.elite.sort(key=lambda entry: float(entry[0][0]))
            del self.elite[N_ELITE:]
        elif not any(np.all(other <= values) for other, _ in self.elite):
            survivors = [entry for entry in self.elite if not np.all(values <= entry[0])]
            self.elite = [*survivors, (values, params)]

    def _configurations(self) -> Iterator[Params]:
        yield dict(self._problem.default)
        yield from self._coverage()
        while True:
            fresh = self._rng.uniform() < P_FRESH
            params = self._random({}) if fresh else self._child()
            if self._known.satisfied(params):
                yield params

    def _distinct(self, source: Iterator[Params]) -> Iterator[Params]:
        """Yield what was not yet drawn; end where nothing new comes for long."""
        seen: set[str] = set()
        idle = 0
        while idle < N_IDLE:
            params = next(source)
            text = json.dumps(params, sort_keys=True)
            idle = idle + 1 if text in seen else 0
            if text not in seen:
                seen.add(text)
                yield params

    def _coverage(self) -> Iterator[Params]:
        choices = {
            name: distribution.choices
            for name, distribution in self._problem.space.items()
            if isinstance(distribution, CategoricalDistribution)
        }
        for combination in itertools.product(*choices.values()):
            fixed = dict(zip(choices, combination, strict=True))
            drawn = (self._random(fixed) for _ in range(200 * N_PER_COMBINATION))
            valid = (params for params in drawn if self._known.satisfied(params))
            yield from itertools.islice(valid, N_PER_COMBINATION)

    def _random(self, fixed: Mapping[str, Any]) -> Params:
        return {
            name: fixed[name] if name in fixed else draw(distribution, self._rng)
            for name, distribution in self._problem.space.items()
        }

    def _child(self) -> Params:
        child = dict(self.elite[self._rng.integers(len(self.elite))][1])
        if self._rng.uniform() < P_CROSS:
            other = self.elite[self._rng.integers(len(self.elite))][1]
            child = {k: other[k] if self._rng.uniform() < 0.5 else child[k] for k in child}
        names = list(self._problem.space)
        scale = float(self._rng.choice(MUTATION_SCALES))
        for index in self._rng.choice(len(names), size=self._rng.integers(1, 4), replace=False):
            name = names[index]
            child[name] = mutate(self._problem.space[name], child[name], scale, self._rng)
        return child
