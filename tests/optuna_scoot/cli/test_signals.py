"""Signals that end a run as Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

import optuna
import pytest
from optuna.trial import TrialState

from objectives.serving import is_external
from optuna_scoot.cli.console import make_console
from optuna_scoot.cli.progress import TrialsDisplay
from optuna_scoot.cli.signals import terminate_like_interrupt
from optuna_scoot.tuning.loop import Objective
from optuna_scoot.tuning.loop import run_trials


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def run(study: optuna.Study, stop: threading.Event, objective: Objective, n_trials: int) -> None:
    with TrialsDisplay(make_console(), should_stop=stop.is_set) as progress:
        progress.run_began(study, n_trials)
        run_trials(study, objective, n_trials, progress)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_termination_ends_a_run_like_ctrl_c(study: optuna.Study, number: signal.Signals) -> None:
    def terminated(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 0, 1)
        os.kill(os.getpid(), number)
        return 0.0

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), terminate_like_interrupt() as stop:
        run(study, stop, terminated, 3)
    assert is_external(study.trials[0])
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_a_library_drops_ends_the_run_after_the_trial(
    study: optuna.Study, number: signal.Signals
) -> None:
    def dropping(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 0, 1)
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        return 0.0

    with pytest.raises(KeyboardInterrupt), terminate_like_interrupt() as stop:
        run(study, stop, dropping, 3)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE]
    with terminate_like_interrupt() as stop:
        run(study, stop, lambda trial: trial.suggest_float("x", 0, 1), 2)
    assert len(study.trials) == 2
