"""Studies that are not a task's: refused in one line, and left exactly as they were."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from optuna_scoot.tuning import InputError
from optuna_scoot.tuning import Load
from optuna_scoot.tuning import TuningTask
from optuna_scoot.tuning import simulated_task
from optuna_scoot.tuning import tune
from optuna_scoot.tuning import verify
from optuna_scoot.tuning.storage import load_study


N_MEASURED = 2


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return simulated_task("sql-2xa10-7b", Load(duration=5))


def contents(file: Path) -> list[str]:
    """Everything that a database holds."""
    with sqlite3.connect(file) as connection:
        return list(connection.iterdump())


def with_parameter(study: optuna.Study, _: TuningTask) -> None:
    study.optimize(lambda trial: (trial.suggest_int("foo", 0, 9), 1.0), n_trials=N_MEASURED)


def with_the_same_parameter(study: optuna.Study, task: TuningTask) -> None:
    """As a script does that tunes the same engine under a load that nobody knows."""
    space = task.objective.space
    study.enqueue_trial(space.default)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        trial._suggest("max_num_seqs", space.parameters["max_num_seqs"])
        return 1.0, 1.0

    study.optimize(objective, n_trials=1)


def without_parameters(study: optuna.Study, _: TuningTask) -> None:
    study.optimize(lambda _: (1.0, 1.0), n_trials=N_MEASURED)


def with_a_parameter_that_waits(study: optuna.Study, _: TuningTask) -> None:
    study.enqueue_trial({"foo": 1})


def with_names(study: optuna.Study, _: TuningTask) -> None:
    study.set_metric_names(["loss", "size"])


def with_a_stray_attribute(study: optuna.Study, task: TuningTask) -> None:
    study.set_user_attr("tuned_with", "care")
    without_parameters(study, task)


def with_a_stray_trial(study: optuna.Study, task: TuningTask) -> None:
    url = study._storage._backend.url  # type: ignore[attr-defined]
    tune(task, n_trials=1, storage=url, study_name="s", sampler="random", seed=0)
    with_parameter(study, task)


def tuned(task: TuningTask, url: str) -> object:
    return tune(task, n_trials=3, storage=url, study_name="s", sampler="random")


def verified(task: TuningTask, url: str) -> object:
    return verify(task, load_study(url, "s"), orders=3)


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (with_parameter, "'s' is of something else: its trial 0 has foo"),
        (with_a_parameter_that_waits, "'s' is of something else: its trial 0 has foo"),
        (with_a_stray_trial, "'s' is of something else: its trial 1 has foo"),
        (with_the_same_parameter, "'s' has trials and does not say with which engine and load"),
        (without_parameters, "'s' has trials and does not say with which engine and load"),
        (with_a_stray_attribute, "'s' has trials and does not say with which engine and load"),
        (with_names, r"'s' exists and has other objectives \(loss, size instead of TTFT"),
    ],
)
@pytest.mark.parametrize("goes_on", [tuned, verified])
def test_a_study_of_somebody_elses_is_refused_and_not_touched(
    task: TuningTask,
    tmp_path: Path,
    fill: Callable[[optuna.Study, TuningTask], None],
    message: str,
    goes_on: Callable[[TuningTask, str], object],
) -> None:
    url = f"sqlite:///{tmp_path}/scoot.db"
    study = optuna.create_study(study_name="s", storage=url, directions=["minimize"] * 2)
    fill(study, task)
    before = contents(tmp_path / "scoot.db")
    with pytest.raises(InputError, match=message) as refused:
        goes_on(task, url)
    assert str(refused.value).endswith("give another name with `study_name`")
    assert "\n" not in str(refused.value)
    assert contents(tmp_path / "scoot.db") == before


def test_verify_refuses_other_objectives(task: TuningTask) -> None:
    study = optuna.create_study(direction="maximize")
    with pytest.raises(InputError, match=r"has other objectives \(maximize instead of minimize, "):
        verify(task, study, orders=3)
    assert study.user_attrs == {}


def test_an_empty_study_of_the_users_own_is_taken_with_what_waits_in_it(task: TuningTask) -> None:
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(study_name="s", storage=storage, directions=["minimize"] * 2)
    study.enqueue_trial({**task.objective.space.default, "max_num_seqs": 77})
    result = tune(task, n_trials=2, storage=storage, study_name="s", sampler="random", seed=0)
    assert {trial.params["max_num_seqs"] for trial in result.study.trials} == {77, 256}
    assert result.counted == 2


def test_measurements_of_a_verdict_are_neither_tuned_on_nor_verified(task: TuningTask) -> None:
    storage = optuna.storages.InMemoryStorage()
    study = tune(task, n_trials=1, storage=storage, study_name="s", sampler="random", seed=0).study
    measurements = verify(task, study, orders=3).measurements
    n_trials = len(measurements.trials)
    with pytest.raises(InputError, match="'s-verify' holds the measurements of a verdict"):
        tune(task, n_trials=9, storage=storage, study_name="s-verify", sampler="random")
    with pytest.raises(InputError, match="'s-verify' holds the measurements of a verdict"):
        verify(task, measurements, orders=3)
    assert len(measurements.trials) == n_trials


def test_measurements_do_not_go_into_a_study_that_was_tuned(task: TuningTask) -> None:
    storage = optuna.storages.InMemoryStorage()
    for name in ("s", "s-verify"):
        study = tune(task, n_trials=1, storage=storage, study_name=name, sampler="random").study
    study = optuna.load_study(study_name="s", storage=storage)
    with pytest.raises(InputError, match="'s-verify' was tuned itself"):
        verify(task, study, orders=3)
