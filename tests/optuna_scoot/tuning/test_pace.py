"""How long a study takes, from the trials that have ended, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from datetime import timedelta

import optuna
import pytest
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.tuning.pace import Pace
from optuna_scoot.tuning.pace import Prospect
from optuna_scoot.tuning.pace import TimeBudget


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ended(state: TrialState = TrialState.COMPLETE, *, external: bool = False) -> FrozenTrial:
    return optuna.create_trial(
        state=state,
        value=1.0 if state == TrialState.COMPLETE else None,
        user_attrs={"failure_is_external": True} if external else {},
    )


def pace_of(
    completed: Sequence[float], crashed: Sequence[float] = (), prospect: Prospect | None = None
) -> tuple[Pace, Clock]:
    clock = Clock()
    pace = Pace(prospect, clock)
    for state, times in ((TrialState.COMPLETE, completed), (TrialState.FAIL, crashed)):
        for seconds in times:
            pace.trial_began()
            clock.now += seconds
            assert pace.trial_ended(ended(state)) == pytest.approx(seconds)
    return pace, clock


def test_before_the_first_trial_there_are_load_and_start_up() -> None:
    pace, _ = pace_of([], prospect=Prospect(100.0, 60.0, 2))
    assert pace.left_s(30) == 30 * 160.0


def test_nothing_is_known_without_a_prospect_and_a_trial() -> None:
    pace, _ = pace_of([])
    assert pace.left_s(30) is None
    assert pace.trial_s is None


def test_one_slow_trial_does_not_move_the_estimate() -> None:
    pace, _ = pace_of([10.0, 12.0, 500.0, 11.0, 12.0])
    assert pace.left_s(4) == 4 * 12.0


def test_crashes_count_apart_by_their_frequency() -> None:
    pace, _ = pace_of([100.0, 100.0, 100.0], [10.0])
    assert pace.left_s(8) == pytest.approx(8 * (3 * 100.0 + 10.0) / 4)
    assert pace.whole_trial_s == 100.0


def test_crashes_alone_leave_a_whole_trial_to_be_expected() -> None:
    pace, _ = pace_of([], [4.0, 6.0], Prospect(100.0))
    assert pace.trial_s == pytest.approx((100.0 + 2 * 5.0) / 3)


def test_a_first_trial_of_no_time_does_not_leave_the_study_no_time() -> None:
    pace, clock = pace_of([0.01])
    pace.trial_began()
    clock.now += 8.0
    each = (0.01 + 8.0) / 2  # the trial that runs is seen, too
    assert pace.left_s(11) == pytest.approx(10 * each)


def test_time_left_of_the_running_trial_is_part_of_it() -> None:
    pace, clock = pace_of([10.0, 10.0])
    pace.trial_began()
    clock.now += 4.0
    assert pace.left_s(3) == pytest.approx(6.0 + 2 * 10.0)


def test_workers_share_what_is_left() -> None:
    pace, _ = pace_of([10.0])
    assert pace.left_s(7, n_workers=3) == 3 * 10.0


def test_workers_of_one_command_are_timed_apart() -> None:
    pace, clock = pace_of([10.0])
    pace.trial_began(0)
    clock.now += 3.0
    pace.trial_began(1)
    clock.now += 1.0
    assert (pace.seconds_of(0), pace.seconds_of(1), pace.seconds_of(2)) == (4.0, 1.0, None)
    assert pace.left_s(2, n_workers=2) == pytest.approx(6.0)  # of the one that runs longest
    pace.trial_lost(0)
    assert pace.trial_ended(ended(), 1) == 1.0
    assert pace.running_s is None


def test_a_trial_during_which_the_clock_was_set_back_tells_no_time() -> None:
    trials = [ended(), ended(), ended()]
    for trial, seconds in zip(trials, (10.0, -3600.0, 10.0), strict=True):
        trial.datetime_start = datetime(2026, 1, 1, 12)
        trial.datetime_complete = trial.datetime_start + timedelta(seconds=seconds)
    pace, _ = pace_of([])
    pace.learn(trials)
    assert (pace.n_seen, pace.trial_s) == (2, 10.0)


def test_an_outside_failure_teaches_nothing() -> None:
    pace, clock = pace_of([])
    pace.trial_began()
    clock.now += 5.0
    pace.trial_ended(ended(TrialState.FAIL, external=True))
    assert pace.n_seen == 0


def test_a_budget_ends_when_the_next_trial_does_not_fit() -> None:
    pace, clock = pace_of([])
    budget = TimeBudget(35.0, pace, clock)
    for n_before in range(3):
        assert budget.is_spent() is None, n_before
        pace.trial_began()
        clock.now += 10.0
        pace.trial_ended(ended())
    assert budget.is_spent() == "the next trial is not expected to end within `max_hours`"
    clock.now = 35.0
    assert budget.is_spent() == "the time of `max_hours` is over"


def test_the_first_trial_has_to_fit_with_its_load_alone() -> None:
    pace, _ = pace_of([], prospect=Prospect(100.0, 60.0))
    assert pace.fits(110.0)
    assert not pace.fits(90.0)


def test_without_a_limit_nothing_ends() -> None:
    pace, _ = pace_of([1e9])
    assert TimeBudget(pace=pace).is_spent() is None
