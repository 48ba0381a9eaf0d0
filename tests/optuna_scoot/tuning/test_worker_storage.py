"""A storage that waits out an outage: what is tried again, what is not, and what is stored."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import OperationalError

from optuna_scoot.tuning import worker_storage
from optuna_scoot.tuning.storage import open_storage
from optuna_scoot.tuning.worker_identity import worker_id
from optuna_scoot.tuning.worker_storage import WorkerStorage
from optuna_scoot.tuning.worker_storage import broke_off
from optuna_scoot.tuning.worker_storage import is_outage
from optuna_scoot.tuning.worker_storage import tell_outages


def outage() -> OperationalError:
    return OperationalError("select 1", None, ConnectionError("server closed the connection"))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Time that passes only while a storage pauses."""
    taken: list[float] = []
    monkeypatch.setattr(worker_storage.time, "sleep", taken.append)
    monkeypatch.setattr(worker_storage.time, "monotonic", lambda: sum(taken))
    return taken


@pytest.fixture
def storage(tmp_path: Path) -> WorkerStorage:
    return open_storage(f"sqlite:///{tmp_path}/scoot.db")


def wrapped(error: Exception) -> StorageInternalError:
    """An error of the database as Optuna passes it on."""
    try:
        raise StorageInternalError from error
    except StorageInternalError as found:
        return found


def test_a_connection_that_broke_off_is_told_from_one_that_was_refused() -> None:
    ended = OperationalError("select 1", None, Exception("terminating connection"))
    refused = OperationalError(None, None, ConnectionRefusedError("connection refused"))
    greeted = OperationalError(None, None, Exception("server closed the connection unexpectedly"))
    assert broke_off(wrapped(ended))
    assert broke_off(greeted)
    assert is_outage(refused)
    assert not broke_off(refused)


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (outage(), True),
        (wrapped(outage()), True),
        (OperationalError("", None, sqlite3.OperationalError("database is locked")), True),
        (OperationalError("", None, sqlite3.OperationalError("no such table: studies")), False),
        (OperationalError("", None, sqlite3.OperationalError("disk I/O error")), False),
        (IntegrityError("", None, ValueError("duplicate key")), False),
        (wrapped(IntegrityError("", None, ValueError("duplicate key"))), False),
        (StorageInternalError("of no cause"), False),
        (KeyError("no study"), False),
    ],
)
def test_an_outage_is_told_from_what_is_wrong(error: Exception, away: bool) -> None:
    assert is_outage(error) == away


def test_calls_wait_longer_each_time_and_tell_of_an_outage_once(
    storage: WorkerStorage, pauses: list[float]
) -> None:
    notes: list[str] = []
    study = optuna.create_study(storage=storage)
    tell_outages(study._storage, notes.append)
    answers: list[Any] = [outage(), outage(), outage(), outage(), 7]

    def call() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    assert storage.patiently(call) == 7
    assert pauses == sorted(pauses)
    assert len(set(pauses)) == 4
    assert notes == [
        "the storage does not answer: waiting for it",
        "the storage answers again",
    ]


def test_an_outage_that_lasts_ends_in_its_error(
    storage: WorkerStorage, pauses: list[float]
) -> None:
    def call() -> None:
        raise outage()

    with pytest.raises(OperationalError):
        storage.patiently(call)
    assert worker_storage.OUTAGE_SECONDS <= sum(pauses) < 1.1 * worker_storage.OUTAGE_SECONDS


def test_what_is_wrong_is_not_tried_again(storage: WorkerStorage, pauses: list[float]) -> None:
    with pytest.raises(KeyError):
        storage.get_study_id_from_name("none of this name")
    assert pauses == []


@pytest.mark.parametrize("done_before", [True, False])
def test_values_are_stored_once_though_the_answer_was_lost(
    storage: WorkerStorage,
    monkeypatch: pytest.MonkeyPatch,
    pauses: list[float],
    done_before: bool,
) -> None:
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    real, failures = RDBStorage.set_trial_state_values, [outage()]

    def lossy(self: RDBStorage, *args: Any) -> bool:
        if failures and done_before:
            real(self, *args)
        if failures:
            raise failures.pop()
        return real(self, *args)

    monkeypatch.setattr(RDBStorage, "set_trial_state_values", lossy)
    study.tell(trial, 3.0)
    assert [t.values for t in study.trials] == [[3.0]]


def test_another_workers_end_of_a_trial_is_no_lost_answer(storage: WorkerStorage) -> None:
    study = optuna.create_study(storage=storage)
    trial_id = study.ask()._trial_id
    storage.set_trial_state_values(trial_id, TrialState.FAIL)
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])


def test_heartbeats_end_with_no_outage(
    storage: WorkerStorage, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    def away(self: RDBStorage, trial_id: int) -> None:
        raise wrapped(outage())

    monkeypatch.setattr(RDBStorage, "record_heartbeat", away)
    storage.record_heartbeat(1)
    assert pauses == []  # the next one comes soon enough


@pytest.mark.parametrize("enqueued", [True, False])
def test_a_trial_has_its_workers_name_before_the_sampler_sees_it(
    storage: WorkerStorage, enqueued: bool
) -> None:
    seen: list[Any] = []

    class Watching(optuna.samplers.RandomSampler):
        def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            seen.append(trial.user_attrs.get("worker"))

    study = optuna.create_study(storage=storage, sampler=Watching())
    if enqueued:
        study.enqueue_trial({"x": 1.0})
    study.ask()
    assert seen == [worker_id(os.getpid())]


def test_a_waiting_trial_is_begun_once_however_many_begin_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/scoot.db"
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
