"""The sampler as OptunaHub loads it."""

from __future__ import annotations

from pathlib import Path

import optuna
import optunahub
import pytest
from optuna.trial import TrialState


module = optunahub.load_local_module(
    package="samplers/scoot", registry_root=str(Path(__file__).parents[3])
)


def crashing(trial: optuna.Trial) -> float:
    """Grow with x + y, and crash above 10."""
    x = trial.suggest_int("x", 0, 9)
    y = trial.suggest_int("y", 0, 9)
    if x + y > 10:
        raise MemoryError
    return float(x + y)


def test_crashes_are_learnt_from() -> None:
    study = optuna.create_study(direction="maximize", sampler=module.ScootSampler(seed=0))
    study.optimize(crashing, n_trials=16, catch=(MemoryError,))
    assert study.best_value == 10.0
    crashed = [t for t in study.trials if t.state == TrialState.FAIL]
    assert len({tuple(t.params.values()) for t in crashed}) == len(crashed) <= 8


def test_known_constraints_hold_in_every_trial() -> None:
    space = dict.fromkeys("xy", optuna.distributions.IntDistribution(0, 9))
    sampler = module.ScootSampler(space, known_constraints=["x <= y", "x + y <= 10"], seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(crashing, n_trials=8)
    assert all(t.params["x"] <= t.params["y"] for t in study.trials)


def test_a_constraint_that_is_no_expression_is_refused() -> None:
    with pytest.raises(module.ConstraintError):
        module.ScootSampler(known_constraints=["x <="])


def test_several_objectives() -> None:
    study = optuna.create_study(
        directions=["minimize", "maximize"], sampler=module.ScootSampler(seed=0)
    )
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), t.params["x"] ** 2), n_trials=10)
    assert len(study.best_trials) > 1
