"""A storage of each kind for a worker: its trials have its name at once, and signs of life."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import fail_stale_trials
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from objectives.trial_metrics import written_together
from optuna_scoot.tuning import worker_storage
from optuna_scoot.tuning.databases import Database
from optuna_scoot.tuning.patient_storage import PatientStorage
from optuna_scoot.tuning.storage import open_storage
from optuna_scoot.tuning.worker_identity import worker_id
from optuna_scoot.tuning.worker_storage import WorkerStorage
from optuna_scoot.tuning.worker_storage import keep_unstored


@pytest.mark.parametrize("enqueued", [True, False])
def test_a_trial_has_its_workers_name_before_the_sampler_sees_it(url: str, enqueued: bool) -> None:
    seen: list[Any] = []

    class Watching(optuna.samplers.RandomSampler):
        def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            seen.append(trial.user_attrs.get("worker"))

    study = optuna.create_study(storage=open_storage(url), sampler=Watching())
    if enqueued:
        study.enqueue_trial({"x": 1.0})
    study.ask()
    assert seen == [worker_id(os.getpid())]


def test_a_waiting_trial_is_begun_once_however_many_begin_it(url: str) -> None:
    study = optuna.create_study(storage=open_storage(url))
    for x in range(20):
        study.enqueue_trial({"x": float(x)})
    trial_ids = [trial._trial_id for trial in study.trials]
    begun: list[int] = []

    def begin_all() -> None:
        storage = open_storage(url)
        begun.extend(i for i in trial_ids if storage.set_trial_state_values(i, TrialState.RUNNING))

    threads = [threading.Thread(target=begin_all) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(begun) == trial_ids
    assert {t.state for t in study.trials} == {TrialState.RUNNING}
    assert all(t.datetime_start is not None for t in study.trials)


def test_what_is_stored_comes_back_as_it_was(url: str) -> None:
    storage = open_storage(url)
    study = optuna.create_study(storage=storage, directions=["minimize", "maximize"])
    study.set_user_attr("limits", ["p99 ttft", 0.5])
    trial = study.ask()
    trial.suggest_categorical("prefix_caching", [True, False])
    trial.suggest_int("max_num_seqs", 1, 1024, log=True)
    trial.set_user_attr("metrics", {"ttft": 0.25, "requests": [1, 2]})
    trial.set_constraint("p99 ttft", -0.5)
    study.tell(trial, [1.5, -2.5])
    found = optuna.load_study(study_name=study.study_name, storage=open_storage(url))
    assert found.user_attrs == {"limits": ["p99 ttft", 0.5]}
    assert found.trials[0].values == [1.5, -2.5]
    assert found.trials[0].params == trial.params
    assert found.trials[0].user_attrs["metrics"] == {"ttft": 0.25, "requests": [1, 2]}
    assert found.trials[0].constraints == {"p99 ttft": -0.5}


def test_what_is_told_together_is_stored_at_its_end_and_comes_back_as_it_was(url: str) -> None:
    storage = open_storage(url)
    study = optuna.create_study(storage=storage)
    elsewhere = optuna.load_study(study_name=study.study_name, storage=open_storage(url))
    trial = study.ask()
    trial.set_user_attr("TTFT p99 (ms)", 1.0)
    with written_together(trial):
        for name, value in (("TTFT p99 (ms)", 2.0), ("log", "a'b"), ("log", "ü"), ("big", 1e308)):
            trial.set_user_attr(name, value)
        trial.set_constraint("p99 ttft <= 1 ms", 1.0)
        assert elsewhere.trials[0].user_attrs["TTFT p99 (ms)"] == 1.0
        assert trial.user_attrs["log"] == "ü"
    (found,) = elsewhere.trials
    attrs = {k: v for k, v in found.user_attrs.items() if k != "worker"}
    assert attrs == {"TTFT p99 (ms)": 2.0, "log": "ü", "big": 1e308}
    assert found.constraints == {"p99 ttft <= 1 ms": 1.0}


def test_a_database_stores_what_is_told_together_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/scoot.db"))
    trial = study.ask()
    database = study._storage.backend._backend  # type: ignore[attr-defined]
    commits: list[Any] = []
    sqlalchemy.event.listen(database.engine, "commit", commits.append)
    with written_together(trial):
        for i in range(50):
            trial.set_user_attr(f"metric {i}", i)
            trial.set_constraint(f"limit {i}", -1.0)
    assert len(commits) == 1
    assert len(study.trials[0].constraints) == 50


def test_what_is_told_together_of_a_trial_that_ended_elsewhere_is_refused(url: str) -> None:
    study = optuna.create_study(storage=open_storage(url))
    elsewhere = optuna.load_study(study_name=study.study_name, storage=open_storage(url))
    trial = study.ask()
    elsewhere.tell(trial.number, state=TrialState.FAIL)
    together = written_together(trial)
    together.__enter__()
    trial.set_user_attr("a", 1)
    trial.set_user_attr("b", 2)
    with pytest.raises(UpdateFinishedTrialError):
        together.__exit__(None, None, None)


def test_a_heartbeat_that_cannot_be_recorded_ends_nothing(url: str) -> None:
    storage = open_storage(url)
    study = optuna.create_study(storage=storage)
    trial_id = study.ask()._trial_id
    storage.set_trial_state_values(trial_id, TrialState.FAIL)
    storage.record_heartbeat(trial_id)
    storage.record_heartbeat(trial_id + 1)  # of no trial


def test_optuna_fails_no_trial_that_is_to_be_watched_first(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(storage=open_storage(url))
    study._storage.record_heartbeat(study.ask()._trial_id)  # type: ignore[attr-defined]
    monkeypatch.setattr("optuna_scoot.tuning.heartbeats.GRACE_SECONDS", -1)
    backend = study._storage.backend  # type: ignore[attr-defined]
    if hasattr(backend, "_backend"):  # a database, behind Optuna's cache
        monkeypatch.setattr(backend._backend, "grace_period", -1, raising=False)
    time.sleep(0.01)
    fail_stale_trials(study)
    assert study.trials[0].state == TrialState.RUNNING


class Away:
    """Has a storage's backend away for as long as it is told."""

    def __init__(self, storage: WorkerStorage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = False
        for name in ("set_trial_user_attr", "set_trial_state_values", "get_trial"):
            monkeypatch.setattr(storage.backend, name, self._of(getattr(storage.backend, name)))
        database = getattr(storage.backend, "_backend", None)  # behind Optuna's cache
        if isinstance(database, Database):
            many = self._of(database.set_trial_attrs)
            monkeypatch.setattr(database, "set_trial_attrs", many)
        monkeypatch.setattr(worker_storage, "SHORT_OUTAGE_S", 0.0)

    def _of(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if self.now:
                raise OperationalError("select 1", None, ConnectionError("is away"))
            return method(*arguments)

        return call


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_an_own_trial_takes_attributes_while_the_storage_is_away(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(url)
    keep_unstored(storage, tmp_path / "unstored")
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    away = Away(storage, monkeypatch)
    away.now = True
    trial.set_user_attr("a", 1)
    trial.set_user_attr("a", 2)
    (file,) = (tmp_path / "unstored").iterdir()
    assert [write[1] for write in json.loads(file.read_text())["writes"]] == [["a", 1], ["a", 2]]
    assert storage.get_trial(trial._trial_id).user_attrs["a"] == 2
    assert storage.get_trial(trial._trial_id).params == trial.params
    away.now = False
    study.tell(trial, 3.0)
    assert not (tmp_path / "unstored").exists()
    (stored,) = optuna.load_study(study_name=study.study_name, storage=url).trials
    assert (stored.user_attrs["a"], stored.values) == (2, [3.0])


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_was_measured_goes_before_a_failure_to_store_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(url)
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    away = Away(storage, monkeypatch)
    away.now = True
    monkeypatch.setattr(PatientStorage.patiently, "__defaults__", (0.0,))
    with pytest.raises(OperationalError):
        study.tell(trial, 3.0)
    away.now = False
    storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    assert study.trials[0].values == [3.0]
