"""Random studies of every kind: none of them dies of the sampler, and none warns.

Spaces of levels alone, of numbers, conditional, with single values and huge integers; known
constraints; crashes, infinite and huge values; pruned, interrupted, enqueued and half-enqueued
trials; several objectives, workers, storages and samplers beside ours.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from optuna_scoot import ScootSampler
from tests.optuna_scoot.studies import QUICK_PAPER
from tests.optuna_scoot.studies import quick


N_TRIALS = 18

LEVELS: list[BaseDistribution] = [
    CategoricalDistribution([True, False]),
    CategoricalDistribution(["a", "b", "c", "d"]),
    CategoricalDistribution([None, 1, 2.5, "x"]),
    CategoricalDistribution([16, 32, 64]),
    CategoricalDistribution(["only"]),
]
NUMBERS: list[BaseDistribution] = [
    FloatDistribution(0.0, 1.0),
    FloatDistribution(1e-5, 1e5, log=True),
    FloatDistribution(-3.0, 3.0, step=0.25),
    IntDistribution(0, 9),
    IntDistribution(1, 4096, log=True),
    IntDistribution(-(2**62), 2**63, step=1),
    IntDistribution(7, 7),
]


def _space(rng: np.random.Generator) -> dict[str, BaseDistribution]:
    kind = rng.choice(["levels", "numbers", "both"])
    kinds = {"levels": LEVELS, "numbers": NUMBERS, "both": LEVELS + NUMBERS}[str(kind)]
    return {f"p{i}": kinds[rng.integers(len(kinds))] for i in range(rng.integers(1, 7))}


def _constraints(rng: np.random.Generator, space: dict[str, BaseDistribution]) -> list[Any]:
    """Give one or two that leave a good part of the space, if there is anything to constrain."""
    numbers = [n for n, d in space.items() if not isinstance(d, CategoricalDistribution)]
    levels = [n for n, d in space.items() if isinstance(d, CategoricalDistribution)]
    out: list[Any] = []
    if len(numbers) >= 2 and rng.random() < 0.4:
        a, b = numbers[:2]
        out.append(f"{a} <= {b} or {b} <= 3")
    if levels and rng.random() < 0.4:
        choices = space[levels[0]].choices  # type: ignore[attr-defined]
        out.append(f"{levels[0]} in [{', '.join(repr(c) for c in choices[:2])}]")
    if numbers and rng.random() < 0.3:
        out.append(lambda p, name=numbers[-1]: -float(p[name]) - 3.0 if p[name] < -3 else -1.0)
    return out


class _Objective:
    """A random objective: a value for every configuration, unless it crashes there."""

    def __init__(self, rng: np.random.Generator, space: dict[str, BaseDistribution], m: int):
        self.space = space
        self.m = m
        self.branches = len(space) > 2 and rng.random() < 0.4
        self.crashing = float(rng.choice([0.0, 0.2, 0.6, 0.95]))
        self.wild = bool(rng.random() < 0.2)
        self.prunes = m == 1 and rng.random() < 0.3
        self.constrained = bool(rng.random() < 0.2)
        self.rng = rng

    def __call__(self, trial: optuna.Trial) -> Any:
        names = list(self.space)
        values = [self._unit(trial, names[0])]
        for i, name in enumerate(names[1:]):
            if not self.branches or (values[0] > 0.5) == bool(i % 2):
                values.append(self._unit(trial, name))
        level = float(np.mean(values))
        if self.constrained:
            trial.set_constraint("level", level - 0.7)
        if self.prunes:
            if self.rng.random() < 0.2:
                raise optuna.TrialPruned
            for step in range(4):
                trial.report(level + 1.0 / (step + 1), step)
                if trial.should_prune():
                    raise optuna.TrialPruned
        if values[-1] < self.crashing and self.rng.random() < 0.9:
            raise MemoryError
        if self.wild:
            level = float(self.rng.choice([level, 1e30, -1e6, math.inf, math.nan]))
        return level if self.m == 1 else [level + j * self.rng.random() for j in range(self.m)]

    def _unit(self, trial: optuna.Trial, name: str) -> float:
        distribution = self.space[name]
        value = trial._suggest(name, distribution)
        low, high = (
            (0, max(len(distribution.choices) - 1, 1))
            if isinstance(distribution, CategoricalDistribution)
            else (distribution.low, distribution.high)  # type: ignore[attr-defined]
        )
        internal = distribution.to_internal_repr(value)
        return (internal - low) / (high - low) if high > low else 0.5


def _enqueue(
    rng: np.random.Generator, study: optuna.Study, space: dict[str, BaseDistribution]
) -> None:
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(int(rng.integers(999))))
    params = drawn.ask(space).params
    some = [name for name in params if rng.random() < 0.5]
    attrs = {"default_configuration": True} if rng.random() < 0.3 else {}
    study.enqueue_trial({name: params[name] for name in some}, user_attrs=attrs)


def _study(rng: np.random.Generator, seed: int, folder: Path, m: int, sampler: Any) -> Any:
    name = f"s{seed}"
    kind = str(rng.choice(["memory", "memory", "sqlite", "journal"]))
    storage: Any = optuna.storages.InMemoryStorage()
    if kind == "sqlite":
        storage = f"sqlite:///{folder}/{name}.db"
    elif kind == "journal":
        backend = optuna.storages.journal.JournalFileBackend(f"{folder}/{name}.log")
        storage = optuna.storages.JournalStorage(backend)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    directions = [str(rng.choice(["minimize", "maximize"])) for _ in range(m)]
    return optuna.create_study(
        storage=storage, study_name=name, sampler=sampler, pruner=pruner, directions=directions
    )


@pytest.mark.parametrize("seed", range(60))
def test_no_study_dies_of_the_sampler(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    space, m = _space(rng), int(rng.choice([1, 1, 2, 3]))
    constraints = _constraints(rng, space)
    given = space if rng.random() < 0.4 else None
    options: dict[str, Any] = {
        "known_constraints": constraints,
        "seed": seed,
        "warn_independent_sampling": False,
        "n_startup_trials": int(rng.integers(1, 5)),
    }
    paper = m == 1 and rng.random() < 0.15
    sampler = (
        ScootSampler(given, method=QUICK_PAPER, **options) if paper else quick(given, **options)
    )
    study = _study(rng, seed, tmp_path, m, sampler)
    objective = _Objective(rng, space, m)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Not ours: of torch about itself, of Optuna about what the user enqueued or the storage.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Choices for a categorical distribution")
        while len(study.trials) < N_TRIALS:
            if rng.random() < 0.2:
                _enqueue(rng, study, space)
            if rng.random() < 0.2:
                # A worker that was killed, and one that is slow.
                study.ask(space if constraints == [] and not objective.branches else None)
            study.optimize(objective, n_trials=int(rng.integers(1, 5)), catch=(MemoryError,))

    known = sampler._known
    completed = [t.number for t in study.trials if t.state == TrialState.COMPLETE]
    # Before that, parameters that a trial asks for later are unknown where no space is given.
    known_from = 0 if given else min(completed, default=N_TRIALS) + 1
    for trial in study.trials[known_from:]:
        # What the user enqueued whole is measured as it is; what was given up says so.
        given_up = trial.user_attrs.get("failure_is_external")
        if "fixed_params" not in trial.system_attrs and not given_up:
            assert known.violated(trial.params) == []
