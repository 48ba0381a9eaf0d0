"""Signals that end a run as Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
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


# In a process of its own: pytest handles what is logged and what Python drops.
GIVING_A_CONNECTION_BACK = """
import os, signal, sqlalchemy
from optuna_scoot.cli.signals import terminate_like_interrupt

engine = sqlalchemy.create_engine("sqlite://")
with terminate_like_interrupt() as stop:
    connection = engine.connect()
    engine.dialect.do_rollback = lambda connection: os.kill(os.getpid(), signal.SIGINT)
    try:
        connection.close()
    except KeyboardInterrupt:
        print("raised", stop.is_set())
"""
IN_A_FINALISER = """
import os, signal
from optuna_scoot.cli.signals import terminate_like_interrupt

class Last:
    def __del__(self):
        {what}

with terminate_like_interrupt() as stop:
    last = Last()
    del last
    print("dropped", stop.is_set())
"""
AT_THE_END = """
import atexit, os, signal, sys
from optuna_scoot.cli.main import main

atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.argv = ["optuna-scoot", "--version"]
main()
"""


def said(program: str) -> tuple[str, str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return done.stdout, done.stderr


def test_nothing_shows_a_traceback_of_an_interrupt() -> None:
    assert said(GIVING_A_CONNECTION_BACK) == ("raised True\n", "")
    interrupted = IN_A_FINALISER.format(what="os.kill(os.getpid(), signal.SIGTERM)")
    assert said(interrupted) == ("dropped True\n", "")
    assert said(AT_THE_END)[1] == "optuna-scoot: interrupted\n"


def test_what_else_python_drops_is_shown() -> None:
    shown, error = said(IN_A_FINALISER.format(what="raise ValueError('of the finaliser')"))
    assert shown == "dropped False\n"
    assert error.endswith("ValueError: of the finaliser\n")
