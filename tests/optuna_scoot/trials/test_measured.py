"""Measured constraints are counted once, though optuna-dashboard needs a copy of them."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.samplers import GPSampler
from optuna.samplers import RandomSampler
from optuna.trial import TrialState
from optuna_dashboard._serializer import serialize_frozen_trial

from optuna_scoot import ScootSampler
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.trials.history import History
from optuna_scoot.trials.measured import copy_for_dashboard
from optuna_scoot.trials.measured import measured_constraints
from optuna_scoot.trials.reading import observe
from optuna_scoot.trials.spaces import infer_search_space


LIMITS = {"p99 ttft <= 5 ms": 0.5, "goodput >= 1 requests/s": -0.25}


def run(study: optuna.Study, limits: dict[str, float], *, copied: bool = True) -> None:
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    for name, value in limits.items():
        trial.set_constraint(name, value)
    if copied:
        copy_for_dashboard(study, trial)
    study.tell(trial, 1.0)


def shown(study: optuna.Study) -> list[list[float]]:
    """What optuna-dashboard takes for the constraints of each trial."""
    return [serialize_frozen_trial(0, trial, {})["constraints"] for trial in study.trials]


def new_study(sampler: BaseSampler | None = None) -> optuna.Study:
    return optuna.create_study(sampler=sampler or ScootSampler(seed=0))


def test_the_dashboard_is_shown_each_constraint_and_everybody_else_its_name_once() -> None:
    study = new_study()
    run(study, LIMITS)
    assert shown(study) == [[-0.25, 0.5]]
    assert measured_constraints(study.trials[0]) == LIMITS


def test_the_sampler_learns_each_constraint_once() -> None:
    study = new_study()
    for _ in range(3):
        run(study, LIMITS)
    trials = study.get_trials()
    seen = observe(History.of(trials), SearchSpace(infer_search_space(trials)), study.directions)
    assert np.array_equal(seen.constraints, [[-0.25, 0.5]] * 3)


def test_trials_tell_in_words_which_limits_they_miss() -> None:
    study = new_study()
    run(study, LIMITS)
    run(study, {"p99 ttft <= 5 ms": -0.5})
    run(study, {})
    told = [trial.user_attrs.get("limits") for trial in study.trials]
    assert told == ["misses p99 ttft <= 5 ms by 50 %", "kept", None]


def test_infinity_is_a_number_that_a_browser_can_read() -> None:
    study = new_study()
    run(study, {"a": math.inf, "b": -math.inf})
    assert shown(study) == [[1e9, -1e9]]
    assert measured_constraints(study.trials[0]) == {"a": math.inf, "b": -math.inf}


def test_a_study_of_an_earlier_version_stays_without_copies() -> None:
    study = new_study()
    run(study, LIMITS, copied=False)
    run(study, LIMITS)
    assert shown(study) == [[], []]
    assert study.trials[1].user_attrs["limits"].startswith("misses")


@pytest.mark.parametrize("first", [GPSampler(seed=0), RandomSampler(seed=0)])
def test_gp_sampler_finds_as_many_constraints_on_every_trial(first: BaseSampler) -> None:
    study = new_study(first)
    run(study, LIMITS)
    study.sampler = GPSampler(seed=0, n_startup_trials=1)
    for _ in range(2):
        run(study, LIMITS)  # raises where the numbers differ
    n = 2 if isinstance(first, GPSampler) else 4
    assert [len(trial.constraints) for trial in study.trials] == [n, n, n]


def test_constraints_in_the_form_before_optuna_5_are_no_copy() -> None:
    study = new_study()
    old = optuna.create_trial(value=1.0, system_attrs={"constraints": [0.5, -0.25]})
    study.add_trial(old)
    assert measured_constraints(study.trials[0]) == {"0": 0.5, "1": -0.25}
    assert study.trials[0].state == TrialState.COMPLETE
