"""Trials whose worker is gone, and those whose worker only seems to be."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages._heartbeat import is_heartbeat_enabled
from optuna.trial import TrialState

from objectives.serving import is_external
from optuna_scoot.tuning.heartbeats import BEAT
from optuna_scoot.tuning.heartbeats import GRACE_SECONDS
from optuna_scoot.tuning.lost_trials import WATCHED_SECONDS
from optuna_scoot.tuning.lost_trials import LostTrials
from optuna_scoot.tuning.storage import open_storage
from optuna_scoot.tuning.worker_storage import WorkerStorage


DIE_AFTER = """
import os, sys, optuna
from optuna_scoot.tuning.storage import open_storage
class Dying(optuna.samplers.RandomSampler):
    def before_trial(self, study, trial):
        if sys.argv[2] == "in the sampler":
            os.kill(os.getpid(), 9)
storage = open_storage(sys.argv[1])
study = optuna.load_study(study_name="s", storage=storage, sampler=Dying())
study.ask()
os.kill(os.getpid(), 9)
"""


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def storage(tmp_path: Path) -> WorkerStorage:
    return open_storage(f"sqlite:///{tmp_path}/scoot.db")


@pytest.mark.parametrize("where", ["in the sampler", "in the objective"])
def test_the_trial_of_a_killed_process_is_failed_at_once(
    storage: WorkerStorage, where: str
) -> None:
    study = optuna.create_study(storage=storage, study_name="s")
    words = [sys.executable, "-c", DIE_AFTER, storage.url, where]
    assert subprocess.run(words, check=False, timeout=120).returncode == -9
    assert study.trials[0].state == TrialState.RUNNING
    lost = LostTrials(study)
    assert [trial.number for trial in lost.fail()] == [0]
    trial = study.trials[0]
    assert is_external(trial)
    assert trial.user_attrs["external_reason"] == "worker_lost"
    assert lost.fail() == []


def fall_silent(storage: WorkerStorage, trial_id: int, seconds: float) -> None:
    """Have a trial's last sign of life be so many seconds old."""
    if is_heartbeat_enabled(storage.backend):
        file = storage.url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute(
                "update trial_heartbeats set heartbeat = datetime('now', ?) where trial_id = ?",
                (f"-{seconds} seconds", trial_id),
            )
    else:
        storage.backend.set_trial_system_attr(trial_id, BEAT, time.time() - seconds)


def asked_elsewhere(url: str) -> tuple[optuna.Study, Clock, LostTrials]:
    """A study with a trial of another machine that has told of itself once, too long ago."""
    study = optuna.create_study(storage=open_storage(url), study_name="s")
    clock = Clock()
    trial = study.ask()
    trial.set_user_attr("worker", "another-host:1:1")
    storage_of(study).record_heartbeat(trial._trial_id)
    fall_silent(storage_of(study), trial._trial_id, 2 * GRACE_SECONDS)
    return study, clock, LostTrials(study, clock)


def storage_of(study: optuna.Study) -> WorkerStorage:
    assert isinstance(study._storage, WorkerStorage)
    return study._storage


everywhere = pytest.mark.parametrize("url", ["sqlite", "journal", "grpc"], indirect=True)


@everywhere
def test_a_worker_without_heartbeats_loses_its_trial_after_it_was_watched(url: str) -> None:
    study, clock, lost = asked_elsewhere(url)
    assert lost.fail() == []
    assert lost.any_suspected
    clock.now = WATCHED_SECONDS - 1
    assert lost.fail() == []
    clock.now = WATCHED_SECONDS
    assert [trial.number for trial in lost.fail()] == [0]
    assert not lost.any_suspected
    assert is_external(study.trials[0])


@everywhere
def test_a_worker_that_goes_on_while_it_is_watched_keeps_its_trial(url: str) -> None:
    study, clock, lost = asked_elsewhere(url)
    trial_id = study.trials[0]._trial_id
    assert lost.fail() == []
    storage_of(study).record_heartbeat(trial_id)  # as after an outage
    clock.now = WATCHED_SECONDS
    assert lost.fail() == []
    assert not lost.any_suspected
    fall_silent(storage_of(study), trial_id, 2 * GRACE_SECONDS)  # which begins a second watch
    clock.now += 1
    assert lost.fail() == []
    clock.now += WATCHED_SECONDS - 1
    assert lost.fail() == []
    assert study.trials[0].state == TrialState.RUNNING


@everywhere
def test_a_trial_whose_last_sign_of_life_is_recent_is_not_watched(url: str) -> None:
    study, _, lost = asked_elsewhere(url)
    fall_silent(storage_of(study), study.trials[0]._trial_id, GRACE_SECONDS / 2)
    assert lost.fail() == []
    assert not lost.any_suspected


@pytest.mark.parametrize("url", ["journal", "grpc"], indirect=True)
def test_a_machine_whose_clock_is_behind_keeps_the_trial_that_it_works_on(url: str) -> None:
    study, clock, lost = asked_elsewhere(url)
    trial_id = study.trials[0]._trial_id
    for beats in range(10):
        fall_silent(storage_of(study), trial_id, 3600.0 - 10 * beats)
        assert lost.fail() == []
        clock.now += 10
    assert study.trials[0].state == TrialState.RUNNING


@pytest.mark.parametrize("url", ["journal", "grpc"], indirect=True)
def test_a_trial_shows_a_sign_of_life_from_its_birth(url: str) -> None:
    study = optuna.create_study(storage=open_storage(url), study_name="s")
    study.ask()
    assert 0.0 <= time.time() - study.trials[0].system_attrs[BEAT] < GRACE_SECONDS


def test_one_that_nobody_has_begun_is_lost_after_it_was_watched(storage: WorkerStorage) -> None:
    # As where a process ended between two steps.
    study = optuna.create_study(storage=storage, study_name="s")
    study.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING))
    clock = Clock()
    lost = LostTrials(study, clock)
    assert lost.fail() == []
    clock.now = WATCHED_SECONDS
    assert [trial.number for trial in lost.fail()] == [0]


def begun_by_nobody() -> optuna.trial.FrozenTrial:
    """A trial with parameters and no name on it: of an older version, or of another program."""
    return optuna.trial.create_trial(
        state=TrialState.RUNNING,
        params={"x": 1.0},
        distributions={"x": optuna.distributions.FloatDistribution(0, 1)},
    )


def test_living_workers_keep_their_trials_and_what_is_nobodys_is_lost(
    storage: WorkerStorage,
) -> None:
    study = optuna.create_study(storage=storage, study_name="s")
    clock = Clock()
    lost = LostTrials(study, clock)
    study.ask()  # ours
    study.ask().set_user_attr("worker", "another-host:1:1")
    study.add_trial(begun_by_nobody())
    assert lost.fail() == []
    clock.now = WATCHED_SECONDS
    assert [trial.number for trial in lost.fail()] == [2]
    clock.now = 10 * WATCHED_SECONDS
    assert lost.fail() == []
    assert [t.state for t in study.trials[:2]] == [TrialState.RUNNING] * 2


def test_in_a_storage_of_the_users_own_a_trial_without_a_name_may_be_a_living_ones(
    tmp_path: Path,
) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/own.db")
    study.add_trial(begun_by_nobody())
    clock = Clock()
    lost = LostTrials(study, clock)
    for now in (0.0, 10 * WATCHED_SECONDS):
        clock.now = now
        assert lost.fail() == []


def test_a_storage_of_the_users_own_without_heartbeats_is_taken(tmp_path: Path) -> None:
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/own.db")
    study = optuna.create_study(storage=storage)
    study.ask().suggest_float("x", 0, 1)
    assert LostTrials(study).fail() == []
