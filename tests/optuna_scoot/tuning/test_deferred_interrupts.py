"""Ctrl-C in the middle of a storage's call."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import optuna
import pytest

from optuna_scoot.tuning.deferred_interrupts import deferred_interrupts
from optuna_scoot.tuning.storage import open_storage


class InterruptAt:
    """A trace function that sends Ctrl-C at a line of those that run under it."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.n_lines = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> InterruptAt:
        if event == "line":
            self.n_lines += 1
            if self.n_lines == self.line:
                os.kill(os.getpid(), signal.SIGINT)
        return self


def interrupted(call: Any, line: int) -> tuple[int, KeyboardInterrupt | None]:
    """Run a call, and return its number of lines and the interrupt at one of them."""
    tracer = InterruptAt(line)
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        call()
    except KeyboardInterrupt as error:
        return tracer.n_lines, error
    finally:
        sys.settrace(before)
    return tracer.n_lines, None


def test_no_lock_is_left_wherever_a_call_is_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "scoot.db"
    storage = open_storage(f"sqlite:///{path}")
    study = optuna.create_study(storage=storage, study_name="s")
    study.ask().suggest_float("x", 0, 1)
    other = sqlite3.connect(path, timeout=0.0)
    other.execute("CREATE TABLE written (line INTEGER)")
    n_interrupts, line = 0, 1
    while True:
        n_lines, error = interrupted(
            lambda: storage.get_all_trials(study._study_id, deepcopy=False), line
        )
        if n_lines < line:
            break
        n_interrupts += error is not None
        # While the exception and its frames are there, as in Optuna's loop.
        other.execute("INSERT INTO written VALUES (?)", (line,))
        other.commit()
        line += 29
    assert n_interrupts > 10
    other.close()


def interrupt(n_times: int, done: list[int], error: Exception | None = None) -> None:
    with deferred_interrupts():
        for number in range(n_times):
            os.kill(os.getpid(), signal.SIGINT)
            done.append(number)
        if error is not None:
            raise error


def test_an_interrupt_comes_at_the_end_of_the_block_and_a_second_one_at_once() -> None:
    for n_times in (1, 2):
        done: list[int] = []
        with pytest.raises(KeyboardInterrupt):
            interrupt(n_times, done)
        assert done == [0]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_no_interrupt_is_lost_to_an_error_of_the_block() -> None:
    with pytest.raises(KeyboardInterrupt) as raised:
        interrupt(1, [], ValueError("own"))
    assert isinstance(raised.value.__context__, ValueError)
