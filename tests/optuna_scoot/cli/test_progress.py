"""The lines and the live display of a run."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from optuna_scoot.cli.console import format_seconds
from optuna_scoot.cli.console import make_console
from optuna_scoot.cli.console import print_line
from optuna_scoot.cli.progress import LoadWatch
from optuna_scoot.cli.progress import TrialsDisplay
from optuna_scoot.tuning.pace import Prospect
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import two_objective_study


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_line_of_a_trial_tells_its_values_change_time_left_and_crashes() -> None:
    study = two_objective_study()
    out = io.StringIO()
    clock = Clock()
    progress = TrialsDisplay(make_console(out), clock=clock)
    progress.run_began(study, 4)
    with progress:
        progress.trial_began(0)
        clock.now = 30.0
        progress.trial_ended(add_default(study, (1000.0, 100.0)))
        progress.trial_began(1)
        clock.now = 90.0
        progress.trial_ended(add(study, (500.0, 50.0), max_num_seqs=64))
        progress.trial_began(2)
        clock.now = 91.0
        progress.trial_ended(add(study, None, {"crash_reason": "startup_failed"}))
    assert out.getvalue().splitlines() == [
        "[1/4] trial 0: TTFT 1,000, TPOT 100, best so far in 30 s; no crash,"
        " about 1 min 30 s left",
        "[2/4] trial 1: TTFT 500 (-50.0 %), TPOT 50 (-50.0 %), best so far in 1 min; no crash,"
        " about 1 min 30 s left",
        "[3/4] trial 2: crashed (startup_failed) in 1.0 s; 1 crash, about 30 s left",
    ]


def test_time_left_shrinks_while_a_trial_runs() -> None:
    study = two_objective_study()
    clock = Clock()
    progress = TrialsDisplay(make_console(io.StringIO()), clock=clock)
    progress.run_began(study, 3)
    assert progress.seconds_left() is None
    progress.trial_began(0)
    clock.now = 10.0
    progress.trial_ended(add_default(study, (1.0, 1.0)))
    assert progress.seconds_left() == pytest.approx(20.0)
    progress.trial_began(1)
    clock.now = 14.0
    assert progress.seconds_left() == pytest.approx(16.0)


def test_live_display_shows_trial_time_left_best_and_crashes() -> None:
    study = two_objective_study()
    clock = Clock()
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    progress = TrialsDisplay(console, clock=clock)
    progress.run_began(study, 3)
    progress.trial_began(0)
    clock.now = 10.0
    progress.trial_ended(add_default(study, (1000.0, 100.0)))
    progress.trial_began(1)
    clock.now = 12.0
    out.truncate(0)
    console.print(progress._render())
    shown = out.getvalue()
    assert "1/3" in shown
    assert "trial 1 for 2.0 s, about 18 s left, no crash" in shown
    assert "best so far: trial 0, TTFT 1,000, TPOT 100" in shown


def test_external_failure_is_told_and_leaves_the_estimate_alone() -> None:
    study = two_objective_study()
    out = io.StringIO()
    progress = TrialsDisplay(make_console(out), clock=Clock())
    progress.run_began(study, 3)
    progress.trial_began(0)
    progress.trial_ended(
        add(study, None, {"failure_is_external": True, "external_reason": "interrupted"})
    )
    assert "[0/3] trial 0: failed, not counted (interrupted)" in out.getvalue()
    assert progress.seconds_left() is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (41.2, "41 s"),
        (59.6, "1 min"),
        (100, "1 min 40 s"),
        (720, "12 min"),
        (7500, "2 h 05 min"),
        (3599, "1 h 00 min"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def heading_of(**options: Any) -> str:
    out = io.StringIO()
    progress = TrialsDisplay(make_console(out), heading=["tuning"], clock=Clock(), **options)
    progress.run_began(two_objective_study(), 30)
    return out.getvalue().splitlines()[1]


def test_header_tells_time_and_gpu_hours_and_what_they_rest_on() -> None:
    assert heading_of(prospect=Prospect(100.0, 60.0, 2), max_hours=1.0) == (
        "time: about 1 h 20 min (2.7 GPU-hours on 2 GPUs), as a trial's load takes 1 min 40 s and"
        " 60 s are assumed for each start of the engine; corrected as trials end;"
        " at most 1 h 00 min"
    )
    # A capacity takes several loads, 30 times 660 s.
    assert heading_of(prospect=Prospect(100.0, 60.0, 0, n_loads=6)).startswith(
        "time: about 5 h 30 min, as a trial is thought to take 6 loads of 1 min 40 s and 60 s"
    )
    assert heading_of() == "time: not known before the first trial has ended"


def test_time_left_is_never_more_than_the_run_may_take() -> None:
    study = two_objective_study()
    clock = Clock()
    progress = TrialsDisplay(make_console(io.StringIO()), clock=clock, max_hours=0.01)
    progress.run_began(study, 30)
    progress.trial_began(0)
    clock.now = 10.0
    progress.trial_ended(add_default(study, (1.0, 1.0)))
    assert progress.seconds_left() == pytest.approx(26.0)


def test_several_workers_have_a_line_each_in_the_live_display() -> None:
    study = two_objective_study()
    clock = Clock()
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    watches = [LoadWatch(), LoadWatch(), LoadWatch()]
    progress = TrialsDisplay(console, clock=clock, watches=watches)
    progress.run_began(study, 9)
    progress.trial_began(4, 0)
    clock.now = 10.0
    progress.trial_began(5, 1)
    watches[1].note(12, 50)
    clock.now = 14.0
    out.truncate(0)
    console.print(progress._render())
    shown = out.getvalue()
    assert "worker 1: trial 4 for 14 s, engine starts" in shown
    assert "worker 2: trial 5 for 4.0 s, 12 of 50 requests done" in shown
    assert "worker 3: between two trials" in shown
    progress.worker_ended(0)
    out.truncate(0)
    console.print(progress._render())
    assert "worker 1: between two trials" in out.getvalue()
    progress.__exit__(None, None, None)


def test_lines_break_between_words_on_a_terminal_and_nowhere_else() -> None:
    line = "trial 3: max-num-batched-tokens 8192, tensor-parallel-size 2, in 41 s"
    terminal, file = io.StringIO(), io.StringIO()
    print_line(Console(file=terminal, force_terminal=True, width=30), line)
    print_line(Console(file=file, width=30), line)
    assert [words.strip() for words in terminal.getvalue().splitlines()] == [
        "trial 3:",
        "max-num-batched-tokens 8192,",
        "tensor-parallel-size 2, in 41",
        "s",
    ]
    assert file.getvalue() == line + "\n"
