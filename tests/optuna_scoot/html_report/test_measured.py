"""What is read back of a verdict is what ``verify`` returned."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from optuna_scoot.html_report.measured import read_verdict
from optuna_scoot.tuning import Load
from optuna_scoot.tuning import Verification
from optuna_scoot.tuning import simulated_task
from optuna_scoot.tuning import tune
from optuna_scoot.tuning import verify
from optuna_scoot.tuning.provenance import known_constraints
from tests.optuna_scoot.tuning.notes import Notes
from tests.optuna_scoot.tuning.studies import tuned_study


@pytest.fixture(scope="module")
def verified() -> Verification:
    task = simulated_task("sql-2xa10-7b", Load(duration=5), slo=["p99 ttft <= 500 ms"])
    study = tune(task, n_trials=6, sampler="random", seed=1, observer=Notes()).study
    return verify(task, study, orders=3, finalists=2, observer=Notes())


def test_it_is_what_verify_returned(verified: Verification) -> None:
    found = read_verdict(verified.study, known_constraints(verified.study))

    assert found is not None
    assert (found.sentence, found.orders) == (verified.verdict.sentence, 3)
    assert found.metrics == verified.metrics
    assert found.baseline is found.configurations[0]
    assert {one.name for one in found.configurations} == {
        one.name for one in verified.configurations
    }
    by_name = {one.name: one for one in verified.configurations}
    for one in found.configurations:
        wanted = by_name[one.name]
        assert one.params == wanted.params
        np.testing.assert_array_equal(one.values, wanted.values)
        np.testing.assert_array_equal(one.excess, wanted.excess)
        assert (one.holds, one.fault) == (wanted.holds, wanted.fault)
    recommended = verified.verdict.recommended
    assert (found.recommended and found.recommended.name) == (recommended and recommended.name)
    assert found.n_later == 0


def test_trials_that_came_later_are_counted(verified: Verification) -> None:
    copy = optuna.create_study(storage=verified.study._storage, directions=["minimize"] * 2)
    for name, value in verified.study.user_attrs.items():
        copy.set_user_attr(name, value)
    copy.add_trials(verified.study.trials)
    copy.optimize(lambda trial: (1.0, 1.0), n_trials=2)
    found = read_verdict(copy, None)

    assert found is not None
    assert found.n_later == 2


def test_without_measurements_there_is_no_verdict() -> None:
    study = tuned_study()
    assert read_verdict(study, None) is None
    study.set_user_attr("verdict", {"measurements": "deleted", "orders": 3, "sentence": "keep"})
    assert read_verdict(study, None) is None
