"""A storage that waits out an outage: what is tried again, what is not, and what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from optuna_scoot.tuning import patient_storage
from optuna_scoot.tuning.patient_storage import PatientStorage
from optuna_scoot.tuning.patient_storage import tell_outages
from optuna_scoot.tuning.storage import open_storage


def outage() -> OperationalError:
    return OperationalError("select 1", None, ConnectionError("server closed the connection"))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Time that passes only while a storage pauses."""
    taken: list[float] = []
    monkeypatch.setattr(patient_storage.time, "sleep", taken.append)
    monkeypatch.setattr(patient_storage.time, "monotonic", lambda: sum(taken))
    return taken


@pytest.fixture
def storage(tmp_path: Path) -> PatientStorage:
    return open_storage(f"sqlite:///{tmp_path}/scoot.db")


def test_calls_wait_longer_each_time_and_tell_of_an_outage_once(
    storage: PatientStorage, pauses: list[float]
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
    storage: PatientStorage, pauses: list[float]
) -> None:
    def call() -> None:
        raise outage()

    with pytest.raises(OperationalError):
        storage.patiently(call)
    assert patient_storage.OUTAGE_SECONDS <= sum(pauses) < 1.1 * patient_storage.OUTAGE_SECONDS


def test_what_is_wrong_with_a_file_is_told_as_a_databases_error_is(
    storage: PatientStorage, pauses: list[float]
) -> None:
    def call() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageInternalError):
        storage.patiently(call)
    assert pauses == []


def test_what_is_wrong_is_not_tried_again(storage: PatientStorage, pauses: list[float]) -> None:
    with pytest.raises(KeyError):
        storage.get_study_id_from_name("none of this name")
    assert pauses == []


@pytest.mark.parametrize("done_before", [True, False])
def test_values_are_stored_once_though_the_answer_was_lost(
    storage: PatientStorage,
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


def test_another_workers_end_of_a_trial_is_no_lost_answer(storage: PatientStorage) -> None:
    study = optuna.create_study(storage=storage)
    trial_id = study.ask()._trial_id
    storage.set_trial_state_values(trial_id, TrialState.FAIL)
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
