from __future__ import annotations

from optuna.trial import TrialState

from optuna_scoot.comparison.running.suggestion_time import CASES
from optuna_scoot.comparison.running.suggestion_time import Case
from optuna_scoot.comparison.running.suggestion_time import history
from optuna_scoot.comparison.running.suggestion_time import measure
from optuna_scoot.comparison.running.suggestion_time import problem_of
from optuna_scoot.constraints.known import KnownConstraints


def test_the_cases_are_those_promised() -> None:
    sizes = {(case.multi, case.n_trials) for case in CASES}
    assert sizes == {(multi, n) for multi in (False, True) for n in (30, 200)}
    for case in CASES:
        problem = problem_of(case, 0)
        assert len(problem.space) == 9
        assert problem.n_objectives == 1 + case.multi


def test_the_history_is_valid_and_begins_with_the_default() -> None:
    problem = problem_of(CASES[0], 1)
    trials = history(problem, 30, 0)
    known = KnownConstraints(problem.known_constraints)
    assert len(trials) == 30
    assert sum(trial.state == TrialState.FAIL for trial in trials) <= 6
    assert trials[0].params == problem.default
    assert all(known.satisfied(trial.params) for trial in trials)


def test_every_sampler_is_timed() -> None:
    seconds = measure(Case("short", False, 5, 1), ["random", "tpe"])
    assert list(seconds) == ["random", "tpe"]
    assert all(0 < value < 60 for value in seconds.values())
