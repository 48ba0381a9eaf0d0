"""The simulated services as problems: the paper's applications, machines and models.

The optimum of a service is not known by formula. It comes from a long search
(`reference_search`) and is kept in ``reference/services.json`` beside this module;
``optuna-scoot compare --make-references`` makes it again.
"""

from __future__ import annotations

import hashlib
import json
import warnings
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


REFERENCE_FILE = Path(__file__).parent / "reference" / "services.json"

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
"""Services that may be looked at while a sampler is developed."""

HELD_OUT_SERVICES = (
    "sql-2xa10-13b",
    "sql-4xa100-7b",
    "bot-2xa10-7b",
    "bot-4xa100-13b",
    "cls-2xa100-7b",
    "cls-4xa10-13b",
    "rec-2xa10-13b",
    "rec-4xa100-7b",
)
"""Services for the figures that are reported."""

_SEARCH = "optuna-scoot compare --make-references 2000 --problems"

N_PROBES = 8
"""Configurations by which a version of a service is told from another."""


@dataclass(frozen=True)
class Reference:
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


def entries() -> tuple[ProblemEntry, ...]:
    """The services' places in the registry."""
    sets = ((ProblemSet.TUNING, TUNING_SERVICES), (ProblemSet.HELD_OUT, HELD_OUT_SERVICES))
    return tuple(
        ProblemEntry(name, Family.SERVICE, which, partial(_build, name), has_instances=False)
        for which, names in sets
        for name in names
    )


def _build(name: str, instance: int) -> Problem:
    return build(name)


@cache
def service_version(name: str) -> str:
    """Digest of what a service measures on some configurations, drawn by a fixed seed.

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
    """The remembered evaluations of a service."""
    return Memo(default_path(), service_version(name), name)


@cache
def _objective(name: str) -> ServingObjective:
    from objectives.simulated_services import make_objective

    return make_objective(name)


@cache
def build(name: str) -> Problem:
    """A service as a problem.

    Raises:
        CompareError: If its optimum has never been searched for.
    """
    reference = read_references().get(name)
    if reference is None:
        msg = f"The optimum of {name} is unknown; search for it: {_SEARCH} {name}"
        raise CompareError(msg)
    if reference.version != service_version(name):
        warnings.warn(
            f"The optimum of {name} was found with another version of the simulated engine; "
            f"search again: {_SEARCH} {name}",
            stacklevel=2,
        )
    return make_service(name, reference.front)


def make_service(name: str, front: tuple[tuple[float, ...], ...]) -> Problem:
    """A service as a problem with a given optimum."""
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
    """Metrics of a configuration that its objective optimises, over the requests that completed.

    A study takes the few that timed out, at most a twentieth, for the latest answers; published
    runs and optima go without them, and only stay comparable as long as this does.
    """
    from optuna.trial import FixedTrial

    from objectives.serving import METRICS
    from objectives.serving import TARGETS

    # A fixed trial has all that an objective asks of a trial; Optuna types them apart.
    trial = cast("optuna.Trial", FixedTrial(dict(params)))
    try:
        objective(trial)
    except EngineCrash as crash:
        raise Crash(str(crash.reason)) from crash
    metrics = trial.user_attrs[METRICS]
    return tuple(float(metrics[target.metric]) for target in TARGETS[objective.mode])


def read_references() -> dict[str, Reference]:
    """What the long searches found, by service."""
    if not REFERENCE_FILE.exists():
        return {}
    data = json.loads(REFERENCE_FILE.read_text())
    return {
        name: Reference(
            entry["version"],
            entry["evaluations"],
            tuple(tuple(point) for point in entry["front"]),
            tuple(entry["configurations"]),
        )
        for name, entry in data.items()
    }


def write_reference(name: str, reference: Reference) -> None:
    """Add what a search found to the file."""
    found = {**read_references(), name: reference}
    data = {
        key: {
            "version": entry.version,
            "evaluations": entry.evaluations,
            "front": entry.front,
            "configurations": entry.configurations,
        }
        for key, entry in sorted(found.items())
    }
    REFERENCE_FILE.parent.mkdir(exist_ok=True)
    temporary = REFERENCE_FILE.with_suffix(".tmp")
    temporary.write_text(json.dumps(data, indent=1) + "\n")
    temporary.replace(REFERENCE_FILE)
