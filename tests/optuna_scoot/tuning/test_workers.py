"""Several workers on one storage, and what they survive: real processes, real servers.

The trials are trivial: what is looked at is which are made, and what is stored of them.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from objectives.serving import is_external
from optuna_scoot.tuning.bookkeeping import counts
from optuna_scoot.tuning.lost_trials import WORKER_LOST
from optuna_scoot.tuning.storage import open_storage
from tests.postgres import Postgres
from tests.proxy import proxy_process


WORKER = """
import sys, time
import optuna
from optuna_scoot.tuning.bookkeeping import enqueue_wanted
from optuna_scoot.tuning.loop import run_trials
from optuna_scoot.tuning.observer import Observer
from optuna_scoot.tuning.storage import open_storage, open_study
from optuna_scoot.tuning.worker_storage import keep_unstored
from objectives.serving import DEFAULT_CONFIGURATION, is_external

url, n_trials, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])


class Told(Observer):
    def note(self, line):
        print(line, flush=True)

    def trial_began(self, number):
        print("began", number, flush=True)


def objective(trial):
    value = trial.suggest_float("x", 0.0, 1.0)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.25)
        trial.set_user_attr("at", time.monotonic())
    return value


optuna.logging.set_verbosity(optuna.logging.ERROR)
observer = Told()
storage = open_storage(url)
storage.note = observer.note
keep_unstored(storage, sys.argv[4] if len(sys.argv) > 4 else None)
study = open_study(storage, "s", ["minimize"], optuna.samplers.RandomSampler())
marked = [t for t in study.trials if t.user_attrs.get(DEFAULT_CONFIGURATION)]
if all(map(is_external, marked)):
    study.enqueue_trial({"x": 0.5}, user_attrs={DEFAULT_CONFIGURATION: True})
enqueue_wanted(study, [{"x": 0.25}], {"x": 0.5})
run_trials(study, objective, n_trials, observer)
"""


def start(
    url: str, n_trials: int, seconds: float = 0.0, unstored: Path | None = None
) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WORKER, url, str(n_trials), str(seconds)]
    words += [] if unstored is None else [str(unstored)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    """Wait until a worker has said something."""
    assert process.stdout is not None
    for said in process.stdout:
        if line in said:
            return
    raise AssertionError(process.communicate()[1])


def ended_well(*processes: subprocess.Popen[str]) -> str:
    """Wait for workers, of which none may complain, and return what they said."""
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [p.returncode for p in processes] == [0] * len(processes), outputs
    assert "Traceback" not in "".join(err for _, err in outputs)
    return "".join(out for out, _ in outputs)


def trials_of(url: str) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="s", storage=open_storage(url)).trials


def test_any_number_of_workers_makes_exactly_the_trials_and_one_default(url: str) -> None:
    ended_well(*(start(url, 7) for _ in range(4)))
    trials = trials_of(url)
    counted = [t for t in trials if counts(t)]
    assert [t.state for t in counted] == [TrialState.COMPLETE] * 7
    assert Counter(t.params["x"] for t in counted)[0.5] == 1  # the default
    assert Counter(t.params["x"] for t in counted)[0.25] == 1  # what was enqueued
    assert all(is_external(t) and not t.params for t in trials if t not in counted)


@pytest.mark.parametrize("url", ["postgresql", "journal"], indirect=True)
def test_what_was_lost_with_its_worker_is_made_up_for_and_the_default_runs_again(
    url: str,
) -> None:
    first = start(url, 3, seconds=60.0)
    wait_for(first, "began 0")
    time.sleep(0.15)  # who is killed with a journal's lock keeps the others waiting for 30 s
    first.send_signal(signal.SIGKILL)
    first.communicate()
    said = ended_well(start(url, 3))
    assert "trial 0 was lost with its worker and does not count" in said
    trials = trials_of(url)
    assert trials[0].user_attrs["external_reason"] == WORKER_LOST
    counted = [t for t in trials if counts(t)]
    assert len(counted) == 3
    by_start = sorted(counted, key=lambda t: str(t.datetime_start))
    assert by_start[0].params["x"] == 0.5 or by_start[1].params["x"] == 0.5
    assert sum(t.params["x"] == 0.5 for t in counted) == 1


def restart(server: Postgres) -> None:
    server.stop()
    time.sleep(3.0)
    server.start()


def check_that_nothing_is_lost_by(fault: Callable[[], None], url: str) -> str:
    """Have two workers go through a fault, and return what they said."""
    workers = [start(url, 4, seconds=2.0) for _ in range(2)]
    wait_for(workers[0], "began")
    wait_for(workers[1], "began")
    fault()
    said = ended_well(*workers)
    trials = trials_of(url)
    assert [t.state for t in trials if not is_external(t)] == [TrialState.COMPLETE] * 4
    assert all(t.values == [t.params["x"]] for t in trials if not is_external(t))
    assert "was lost with" not in said
    return said


def check_that_an_outage_was_told(said: str) -> None:
    assert "the storage does not answer: waiting for it" in said
    assert "the storage answers again" in said


@pytest.mark.parametrize("fault", [Postgres.drop_connections, restart])
def test_an_outage_loses_no_measurement(
    server: Postgres, tmp_path: Path, fault: Callable[[Postgres], None]
) -> None:
    said = check_that_nothing_is_lost_by(lambda: fault(server), server.new_database(tmp_path.name))
    if fault is restart:
        check_that_an_outage_was_told(said)


def test_what_was_measured_in_an_outage_outlives_its_worker(
    server: Postgres, tmp_path: Path
) -> None:
    url, unstored = server.new_database(tmp_path.name), tmp_path / "unstored"
    worker = start(url, 2, seconds=2.0, unstored=unstored)
    wait_for(worker, "began 0")
    server.stop()
    deadline = time.monotonic() + 60
    while not any("COMPLETE" in file.read_text() for file in unstored.glob("trial-*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    worker.kill()
    worker.communicate()
    server.start()
    said = ended_well(start(url, 2, unstored=unstored))
    assert "trial 0: what its worker had measured is stored now" in said
    first, second = trials_of(url)
    assert (first.state, first.values) == (TrialState.COMPLETE, [0.5])
    assert "at" in first.user_attrs  # set by the objective, during the outage too
    assert second.state == TrialState.COMPLETE
    assert not unstored.exists()


def test_an_outage_of_a_proxy_or_of_what_is_behind_it_loses_no_measurement(
    server: Postgres, tmp_path: Path
) -> None:
    with proxy_process(server.new_database(tmp_path.name)) as proxy:

        def faults() -> None:
            server.drop_connections()
            proxy.kill()
            time.sleep(2.0)
            proxy.start()

        said = check_that_nothing_is_lost_by(faults, proxy.url)
    check_that_an_outage_was_told(said)


@pytest.mark.parametrize("url", ["sqlite", "grpc"], indirect=True)
def test_a_worker_whose_trial_was_taken_for_lost_goes_on_with_the_next(url: str) -> None:
    worker = start(url, 3, seconds=2.0)
    wait_for(worker, "began 0")
    study = optuna.load_study(study_name="s", storage=open_storage(url))
    storage = study._storage
    trial_id = study.trials[0]._trial_id
    storage.set_trial_user_attr(trial_id, "failure_is_external", True)
    storage.set_trial_user_attr(trial_id, "external_reason", WORKER_LOST)
    storage.set_trial_state_values(trial_id, TrialState.FAIL)
    said = ended_well(worker)
    assert "trial 0 was taken for lost while this machine did not answer" in said
    assert sum(counts(t) for t in trials_of(url)) == 3
