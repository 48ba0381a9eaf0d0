"""Which trials count, which were lost, and what is tried first."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from objectives.serving import FAILURE_IS_EXTERNAL
from objectives.serving import is_external
from optuna_scoot.trials.outcomes import EXTERNAL_FAILURE_ATTR
from optuna_scoot.tuning.bookkeeping import claim
from optuna_scoot.tuning.bookkeeping import enqueue_wanted
from optuna_scoot.tuning.bookkeeping import fail_own_trials
from optuna_scoot.tuning.bookkeeping import find_default
from optuna_scoot.tuning.bookkeeping import has_run
from optuna_scoot.tuning.bookkeeping import n_taken
from optuna_scoot.tuning.storage import open_storage
from tests.optuna_scoot.tuning.studies import DEFAULT_PARAMS
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import tuned_study
from tests.optuna_scoot.tuning.studies import two_objective_study


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/scoot.db"


def test_completed_crashed_and_running_trials_take_budget_and_external_failures_do_not() -> None:
    study = tuned_study()
    study.ask()
    assert n_taken(study.trials) == 5 + 2 + 1


def test_the_sampler_reads_the_attribute_that_objectives_write() -> None:
    assert EXTERNAL_FAILURE_ATTR == FAILURE_IS_EXTERNAL


def test_completed_default_is_preferred_to_a_crashed_one() -> None:
    study = two_objective_study()
    add_default(study, None)
    add_default(study, (2.0, 2.0))
    found = find_default(study.trials)
    assert found is not None
    assert found.number == 1


def test_wanted_configurations_are_tried_once_and_as_given() -> None:
    study = two_objective_study()
    wanted = [{"max_num_seqs": 7}, {"max_num_seqs": 8, "block_size": 8}]
    enqueue_wanted(study, wanted, DEFAULT_PARAMS)
    enqueue_wanted(study, wanted, DEFAULT_PARAMS)
    assert len(study.trials) == 2
    trial = study.ask()
    assert trial.suggest_int("max_num_seqs", 1, 1024) == 7
    assert trial.suggest_categorical("block_size", [8, 16, 32]) == DEFAULT_PARAMS["block_size"]
    study.tell(trial, state=TrialState.FAIL)
    enqueue_wanted(study, wanted, DEFAULT_PARAMS)
    assert len(study.trials) == 2


def test_own_running_trials_are_failed_and_those_of_others_left(url: str) -> None:
    study = optuna.create_study(storage=open_storage(url), study_name="s")
    claim(study.ask())
    study.ask().set_user_attr("worker", "another-host:1:1")
    fail_own_trials(study)
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.RUNNING]
    assert is_external(study.trials[0])


def test_a_trial_that_was_cut_has_run_and_one_that_was_refused_has_not() -> None:
    cut = optuna.create_trial(state=TrialState.PRUNED, intermediate_values={0: 1.0})
    refused = optuna.create_trial(state=TrialState.PRUNED)
    done = optuna.create_trial(state=TrialState.COMPLETE, value=1.0)
    crashed = optuna.create_trial(state=TrialState.FAIL)
    assert [has_run(t) for t in (cut, refused, done, crashed)] == [True, False, True, False]
