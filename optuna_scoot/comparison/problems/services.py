"""The simulated services as problems: the paper's applications, machines and models.

The optimum of a service is not known by formula. It comes from a long search and is kept in
``optima.json`` next to this module. In a checkout
``python -m optuna_scoot.comparison.development references`` searches again.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import cast

import numpy as np

from objectives.engines.base import EngineCrash
from objectives.serving import ServingObjective
from optuna_scoot.comparison.problems.memo import Memo
from optuna_scoot.comparison.problems.memo import default_path
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Direction
from optuna_scoot.comparison.problems.problem import Evaluation
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.problem import ProblemEntry
from optuna_scoot.comparison.problems.problem import ProblemSet
from optuna_scoot.comparison.problems.random_draws import draw
from optuna_scoot.constraints.known import KnownConstraints


if TYPE_CHECKING:
    import optuna


OPTIMA_FILE = Path(__file__).with_name("optima.json")
"""What the searches for the seen services' optima found."""

SEEN_SERVICES = (
    "sql-2xa10-13b",
    "sql-4xa100-7b",
    "bot-2xa10-7b",
    "bot-4xa100-13b",
    "cls-2xa100-7b",
    "cls-4xa10-13b",
    "rec-2xa10-13b",
    "rec-4xa100-7b",
)
"""Services on whose results choices were made."""

_SEARCH = "python -m optuna_scoot.comparison.development references"

N_PROBES = 8
"""Configurations by which a version of a service is told from another."""


@dataclass(frozen=True)
class FoundOptimum:
    """What a long search found.

    Attributes:
        version: Digest of the program that measured it.
        evaluations: How many evaluations the search had.
        front: The best values, one point a row.
        configurations: The configurations that gave them.
    """

    version: str
    evaluations: int
    front: tuple[tuple[float, ...], ...]
    configurations: tuple[dict[str, Any], ...]


def entries(
    names: Iterable[str] = SEEN_SERVICES,
    problem_set: ProblemSet = ProblemSet.SEEN,
    optima_file: Path = OPTIMA_FILE,
) -> tuple[ProblemEntry, ...]:
    """Return the places of services in the registry.

    Args:
        names: The services.
        problem_set: The set that they belong to.
        optima_file: Where their optima are kept.
    """
    return tuple(
        ProblemEntry(
            name,
            Family.SERVICE,
            problem_set,
            partial(_build, name, optima_file),
            has_instances=False,
        )
        for name in names
    )


def _build(name: str, optima_file: Path, instance: int) -> Problem:
    return build(name, optima_file)


@cache
def service_version(name: str) -> str:
    """Return a digest of what a service measures on configurations drawn by a fixed seed.

    Whatever changes in the simulated engine, a trace or a metric changes it; renaming or
    rewriting what computes the same does not.
    """
    objective = _objective(name)
    rng = np.random.default_rng(0)
    axes = [(key, objective.space.parameters[key]) for key in sorted(objective.space.parameters)]
    known = KnownConstraints(objective.space.known_constraints)
    configurations = [dict(objective.space.default)]
    while len(configurations) < N_PROBES:
        params = {key: draw(distribution, rng) for key, distribution in axes}
        if known.satisfied(params):
            configurations.append(params)
    digest = hashlib.sha256()
    for params in configurations:
        try:
            outcome = " ".join(f"{value:.9g}" for value in _measure(objective, params))
        except Crash as crash:
            outcome = crash.reason
        digest.update(f"{outcome}\n".encode())
    return digest.hexdigest()[:16]


@cache
def memo_of(name: str) -> Memo:
    """Return the remembered evaluations of a service."""
    return Memo(default_path(), service_version(name), name)


@cache
def _objective(name: str) -> ServingObjective:
    from objectives.simulated_services import make_objective

    return make_objective(name)


@cache
def build(name: str, optima_file: Path = OPTIMA_FILE) -> Problem:
    """Build a service as a problem.

    Args:
        name: The service.
        optima_file: Where its optimum is kept.

    Raises:
        CompareError: If its optimum has never been searched for.
    """
    found = read_optima(optima_file).get(name)
    if found is None:
        msg = f"The optimum of {name} is unknown; search for it in a checkout: {_SEARCH} {name}"
        raise CompareError(msg)
    if found.version != service_version(name):
        warnings.warn(
            f"The optimum of {name} was found with another version of the simulated engine; "
            f"search again in a checkout: {_SEARCH} {name}",
            stacklevel=2,
        )
    return make_service(name, found.front)


def make_service(name: str, front: tuple[tuple[float, ...], ...]) -> Problem:
    """Return a service as a problem with a given optimum."""
    objective = _objective(name)
    memo = memo_of(name)
    directions: tuple[Direction, ...] = tuple(
        "maximize" if direction == "maximize" else "minimize" for direction in objective.directions
    )

    def evaluate(params: Mapping[str, Any]) -> Evaluation:
        return Evaluation(memo.get(params, partial(_measure, objective)))

    return Problem(
        name=name,
        family=Family.SERVICE,
        space=objective.space.parameters,
        default=objective.space.default,
        directions=directions,
        evaluate=evaluate,
        front=front,
        known_constraints=objective.space.known_constraints,
    )


def _measure(objective: ServingObjective, params: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the metrics that an objective optimises, over the requests that completed.

    A study takes the few that timed out, at most a twentieth, for the latest answers; published
    runs and optima go without them, and only stay comparable as long as this does.
    """
    from optuna.trial import FixedTrial

    from objectives.trial_metrics import metrics_of

    # A fixed trial has all that an objective asks of a trial; Optuna types them apart.
    trial = cast("optuna.Trial", FixedTrial(dict(params)))
    try:
        objective(trial)
    except EngineCrash as crash:
        raise Crash(str(crash.reason)) from crash
    metrics = metrics_of(trial)
    return tuple(float(metrics[goal.metric.flat]) for goal in objective.goals)


@cache
def read_optima(path: Path) -> dict[str, FoundOptimum]:
    """Return what the searches found, by service.

    Args:
        path: The file of optima.
    """
    return {
        name: FoundOptimum(
            entry["version"],
            entry["evaluations"],
            tuple(tuple(point) for point in entry["front"]),
            tuple(entry["configurations"]),
        )
        for name, entry in json.loads(path.read_text()).items()
    }
