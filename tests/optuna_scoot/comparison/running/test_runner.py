from __future__ import annotations

from pathlib import Path

import pytest

from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.running.planning import plan
from optuna_scoot.comparison.running.runner import execute
from optuna_scoot.comparison.running.runner import run_all
from optuna_scoot.comparison.running.runs import RunKey
from optuna_scoot.comparison.running.runs import read_runs


@pytest.mark.parametrize(
    ("sampler", "problem"),
    [
        ("random", "bowls-server"),
        ("qmc", "ellipsoid-server"),
        ("tpe", "ellipsoid-server"),
        ("nsga2", "bowls-server"),
        ("gp", "ellipsoid-server"),
    ],
)
def test_rejection_never_violates_a_known_constraint(sampler: str, problem: str) -> None:
    n_trials = 13  # three after the ten that TPE and GP draw at random
    run = execute(RunKey(problem, sampler, "penalty+known", 1, n_trials=n_trials))
    assert run.error is None
    assert len(run.trials) == n_trials
    assert not any(trial.violates_known for trial in run.trials)
    # The rejected suggestions were many: without rejection most violate.
    free = execute(RunKey(problem, "random", "fail", 1, n_trials=16))
    assert sum(trial.violates_known for trial in free.trials) >= 5


def test_the_default_comes_first_and_every_trial_is_recorded() -> None:
    run = execute(RunKey("levy-crash", "tpe", "fail", 2, n_trials=12))
    problem = make_problem("levy-crash", 2)
    assert run.trials[0].params == problem.default
    assert run.trials[0].values == problem.evaluate(problem.default).values
    assert len(run.trials) == 12
    assert all((trial.values is None) == (trial.crash is not None) for trial in run.trials)
    assert all(trial.seconds > 0 for trial in run.trials)


def test_the_same_key_gives_the_same_run() -> None:
    one, other = (execute(RunKey("branin", "tpe", "fail", 3, n_trials=15)) for _ in range(2))
    assert [trial.params for trial in one.trials] == [trial.params for trial in other.trials]


@pytest.mark.parametrize("batch", [4, 8])
def test_batches_have_the_same_number_of_observations(batch: int) -> None:
    run = execute(RunKey("levy-crash", "random", "fail", 0, batch, n_trials=15))
    assert len(run.trials) == 15


def test_a_sampler_that_raises_ends_the_run_and_is_recorded() -> None:
    run = execute(RunKey("toy-crash", "scoot:startup.share='few'", "fail", 0, n_trials=12))
    assert run.error is not None
    assert "Error" in run.error
    assert 1 <= len(run.trials) < 12


def test_runs_in_several_processes_are_appended_and_not_run_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    keys = [key for _, key in plan(["toy-crash"], ["random", "tpe"], None, [0, 1], n_trials=4)]
    keys = list(dict.fromkeys(keys))
    seen: list[int] = []
    run_all(keys[:3], path, jobs=2, progress=lambda run, left: seen.append(left))
    assert seen == [2, 1, 0]
    assert set(read_runs([path])) == set(keys[:3])


def test_plan_runs_nothing_twice_that_is_the_same() -> None:
    # Without crashes and known constraints every mode of a sampler is one run.
    planned = plan(["branin"], ["tpe"], None, [0])
    assert len(planned) == 6
    assert {key.mode for _, key in planned} == {"fail"}
    # Crashes, but no known constraint: three ways of telling.
    assert {key.mode for _, key in plan(["branin-crash"], ["tpe"], None, [0])} == {
        "fail",
        "penalty",
        "constraint",
    }
