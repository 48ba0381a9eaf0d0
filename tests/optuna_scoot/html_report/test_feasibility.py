"""The map of what runs, against the forest itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.feasibility.forest import FeasibilityForest
from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.html_report.feasibility import FeasibilityMap
from optuna_scoot.html_report.feasibility import learn_feasibility
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.trials.history import History
from tests.optuna_scoot.html_report.pages import server_study


def learnt(
    study: optuna.Study, known: KnownConstraints | None = None
) -> tuple[FeasibilityMap | None, SearchSpace, list[Any]]:
    distributions = study.trials[0].distributions
    records = History.of(study.trials).records(distributions)
    space = SearchSpace(distributions)
    return learn_feasibility(records, space, known), space, records


def pof_by_the_forest(
    space: SearchSpace, records: list[Any], asked: list[dict[str, Any]]
) -> np.ndarray:
    forest = FeasibilityForest(
        space.features(space.to_unit([record.params for record in records])),
        np.array([record.trial.state.name == "COMPLETE" for record in records]),
        is_level=space.is_level,
        choice=ForestChoice(),
        seed=0,
    )
    return forest.probability(space.features(space.to_unit(asked)))


def test_over_all_parameters_it_is_the_samplers_forest() -> None:
    found, space, records = learnt(server_study())
    assert found is not None
    assert found.y is not None
    assert (found.x.name, found.y.name) == ("memory", "threads")  # memory alone decides
    for i, threads in enumerate(found.y.values):
        grid = [{"memory": memory, "threads": threads} for memory in found.x.values]
        np.testing.assert_allclose(found.pof[i], pof_by_the_forest(space, records, grid))
    assert (found.n_ran, found.n_crashed) == (18, 12)
    assert {(one.x, one.ran) for one in found.tried if one.x in (4, 8)} == {(4, True), (8, False)}


def test_over_the_others_it_is_the_mean() -> None:
    def objective(trial: optuna.Trial) -> float:
        memory = trial.suggest_int("memory", 1, 5)
        fast = trial.suggest_categorical("fast", [False, True])
        old = trial.suggest_categorical("old", [False, True])
        if memory > (2 if fast else 4) or (memory == 4 and old):
            raise MemoryError
        return 0.0

    grid = {"memory": [1, 2, 3, 4, 5], "fast": [False, True], "old": [False, True]}
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(grid))
    study.optimize(objective, n_trials=20, catch=(MemoryError,))
    found, space, records = learnt(study)
    assert found is not None
    assert found.y is not None
    assert (found.x.name, found.y.name) == ("memory", "fast")
    for i, fast in enumerate(found.y.values):
        for j, memory in enumerate(found.x.values):
            both = [{"memory": memory, "fast": fast, "old": old} for old in (False, True)]
            of_both = pof_by_the_forest(space, records, both)
            assert found.pof[i, j] == pytest.approx(of_both.mean())


def test_what_known_constraints_rule_out_is_empty_and_nothing_else() -> None:
    names = ["memory", "threads"]
    found, *_ = learnt(server_study(), KnownConstraints(["threads <= memory"], names=names))
    assert found is not None
    assert found.y is not None
    for i, threads in enumerate(found.y.values):
        for j, memory in enumerate(found.x.values):
            assert np.isnan(found.pof[i, j]) == (threads > memory)
    assert found.has_gaps


@pytest.mark.parametrize("crashes", [True, False])
def test_where_all_or_none_crashed_there_is_no_map(crashes: bool) -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        if crashes:
            raise MemoryError
        return x

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=4, catch=(MemoryError,))
    assert learnt(study)[0] is None


def test_one_parameter_has_a_line() -> None:
    def objective(trial: optuna.Trial) -> float:
        if (x := trial.suggest_float("x", 1e-3, 1.0, log=True)) > 0.1:
            raise MemoryError
        return x

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=20, catch=(MemoryError,))
    found, *_ = learnt(study)
    assert found is not None
    assert found.y is None
    assert found.pof.shape == (1, len(found.x.values))
    assert found.x.is_log
    assert found.pof[0, 0] == pytest.approx(1.0)
    assert found.pof[0, -1] == pytest.approx(0.0)
