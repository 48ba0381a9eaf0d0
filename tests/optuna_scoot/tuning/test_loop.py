"""Running trials to a total, through crashes, interrupts and failures of other kinds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.serving import is_external
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.loop import Objective
from optuna_scoot.tuning.loop import run_trials
from optuna_scoot.tuning.storage import open_storage
from tests.optuna_scoot.tuning.notes import Notes
from tests.optuna_scoot.tuning.studies import enqueue_default


@pytest.fixture
def study(tmp_path: Path) -> Iterator[optuna.Study]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield optuna.create_study(
        storage=open_storage(f"sqlite:///{tmp_path}/scoot.db"),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    optuna.logging.set_verbosity(before)


def run(study: optuna.Study, objective: Objective, n_trials: int) -> Notes:
    notes = Notes()
    run_trials(study, objective, n_trials, notes)
    return notes


def good(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", 0, 1)


def crash_on_odd(trial: optuna.Trial) -> float:
    if trial.number % 2:
        trial.suggest_float("x", 0, 1)
        trial.set_user_attr("crash_reason", "out_of_memory")
        raise EngineCrash(CrashReason.OUT_OF_MEMORY, "no memory")
    return good(trial)


def test_total_counts_completed_and_crashed_trials_and_resuming_adds_none(
    study: optuna.Study,
) -> None:
    notes = run(study, crash_on_odd, 4)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE, TrialState.FAIL] * 2
    assert sum(is_crash(t) for t in study.trials) == 2
    assert notes.began == [t.number for t in notes.ended] == [0, 1, 2, 3]
    assert [is_crash(t) for t in notes.ended] == [False, True, False, True]
    assert run(study, crash_on_odd, 4).began == []
    assert len(study.trials) == 4


@pytest.mark.parametrize("step", ["claim", "_gives_way"])
def test_interrupt_before_the_objective_is_told_for_what_it_is(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(f"optuna_scoot.tuning.loop.{step}", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(study, good, 1)
    assert is_external(study.trials[0])
    assert study.trials[0].user_attrs["external_reason"] == "interrupted"


def test_interrupt_leaves_an_external_failure_and_the_next_run_makes_up_for_it(
    study: optuna.Study,
) -> None:
    def interrupted(trial: optuna.Trial) -> float:
        good(trial)
        if trial.number == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return 0.0

    with pytest.raises(KeyboardInterrupt):
        run(study, interrupted, 3)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE, TrialState.FAIL]
    assert is_external(study.trials[1])
    assert study.trials[1].user_attrs["external_reason"] == "interrupted"
    run(study, good, 3)
    assert sum(t.state == TrialState.COMPLETE for t in study.trials) == 3


def test_interrupt_while_a_suggestion_is_made_leaves_no_trial_running(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(study.sampler, "sample_independent", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(study, good, 3)
    assert [t.state for t in study.trials] == [TrialState.FAIL]
    assert is_external(study.trials[0])


def test_a_run_that_is_to_stop_ends_before_its_next_trial(study: optuna.Study) -> None:
    class Once(Notes):
        def should_stop(self) -> bool:
            return bool(self.ended)

    with pytest.raises(KeyboardInterrupt):
        run_trials(study, good, 3, Once())
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE]


def test_external_failure_stops_and_is_not_counted(study: optuna.Study) -> None:
    def no_model(trial: optuna.Trial) -> float:
        good(trial)
        raise ExternalFailure(ExternalReason.NO_SUCH_MODEL, "no model folder m")

    with pytest.raises(ExternalFailure):
        run(study, no_model, 3)
    assert [is_external(t) for t in study.trials] == [True]
    assert study.trials[0].user_attrs["external_reason"] == "no_such_model"


def test_passing_failure_is_tried_again_with_the_same_configuration(study: optuna.Study) -> None:
    def late_once(trial: optuna.Trial) -> float:
        x = good(trial)
        if trial.number == 0:
            raise ExternalFailure(ExternalReason.LATE_GENERATOR, "the machine was busy")
        return x

    enqueue_default(study, {"x": 0.125})
    notes = run(study, late_once, 2)
    first, again, other = study.trials
    assert is_external(first)
    assert again.params == first.params == {"x": 0.125}
    assert again.user_attrs["default_configuration"] is True
    assert again.user_attrs["retry_of"] == 0
    assert other.params != first.params
    assert notes.lines == ["trying the configuration again in 0.01 s: the machine was busy"]


def test_failure_that_does_not_pass_stops_after_three_attempts(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("optuna_scoot.tuning.loop.PAUSE_SECONDS", 5.0)
    monkeypatch.setattr("optuna_scoot.tuning.loop.time.sleep", pauses.append)

    def late(trial: optuna.Trial) -> float:
        good(trial)
        raise ExternalFailure(ExternalReason.LATE_GENERATOR, "the machine is busy")

    with pytest.raises(ExternalFailure):
        run(study, late, 2)
    assert sum(is_external(t) for t in study.trials) == 3
    assert len({t.params["x"] for t in study.trials if is_external(t)}) == 1
    assert pauses == [5.0, 10.0]


def test_fault_of_the_program_is_external_too(study: optuna.Study) -> None:
    def faulty(trial: optuna.Trial) -> float:
        good(trial)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(study, faulty, 2)
    assert is_external(study.trials[0])


def test_another_workers_running_trial_takes_its_share_of_the_total(study: optuna.Study) -> None:
    study.ask().set_user_attr("worker", "another-host:1:1")
    run(study, good, 2)
    assert [t.state for t in study.trials] == [TrialState.RUNNING, TrialState.COMPLETE]


def test_ctrl_c_while_the_end_of_a_trial_is_stored_is_ctrl_c(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, pressed = type(study._storage).set_trial_state_values, [True]

    def interrupted(self: object, trial_id: int, state: TrialState, *args: object) -> object:
        if state == TrialState.COMPLETE and pressed:
            pressed.clear()
            raise KeyboardInterrupt
        return real(self, trial_id, state, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(type(study._storage), "set_trial_state_values", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(study, good, 2)
    assert is_external(study.trials[0])
