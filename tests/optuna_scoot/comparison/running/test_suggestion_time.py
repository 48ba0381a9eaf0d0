from __future__ import annotations

from optuna.trial import TrialState

from optuna_scoot.comparison.problems.problem import ProblemSet
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.problems.registry import registry
from optuna_scoot.comparison.running.suggestion_time import TIMED_STUDIES
from optuna_scoot.comparison.running.suggestion_time import TimedStudy
from optuna_scoot.comparison.running.suggestion_time import history
from optuna_scoot.comparison.running.suggestion_time import measure
from optuna_scoot.constraints.known import KnownConstraints


def test_the_cases_are_those_promised() -> None:
    sizes = []
    for study in TIMED_STUDIES:
        problem = make_problem(study.problem, 0)
        assert len(problem.space) == 9
        assert registry()[study.problem].problem_set is ProblemSet.SEEN
        sizes.append((problem.n_objectives, study.n_trials))
    assert sorted(sizes) == [(m, n) for m in (1, 2) for n in (30, 200, 500, 1000, 2000)]


def test_the_history_is_valid_and_begins_with_the_default() -> None:
    problem = make_problem(TIMED_STUDIES[0].problem, 1)
    trials = history(problem, 30, 0)
    known = KnownConstraints(problem.known_constraints)
    assert len(trials) == 30
    assert sum(trial.state == TrialState.FAIL for trial in trials) <= 6
    assert trials[0].params == problem.default
    assert all(known.satisfied(trial.params) for trial in trials)


def test_every_sampler_is_timed() -> None:
    seconds = measure(TimedStudy("short", "dixon-server", 5, 1), ["random", "tpe"])
    assert list(seconds) == ["random", "tpe"]
    assert all(0 < value < 60 for value in seconds.values())
