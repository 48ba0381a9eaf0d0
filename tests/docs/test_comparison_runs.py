"""The published runs still say what a run of today would say."""

from __future__ import annotations

from pathlib import Path

import pytest

from optuna_scoot.cli.compare.problems import Crash
from optuna_scoot.cli.compare.registry import make_problem
from optuna_scoot.cli.compare.registry import select_problems
from optuna_scoot.cli.compare.runs import Run
from optuna_scoot.cli.compare.runs import RunKey
from optuna_scoot.cli.compare.runs import read_runs


DOCS = Path(__file__).parents[2] / "docs"
PUBLISHED = DOCS / "comparison-runs.jsonl.gz"


@pytest.fixture(scope="module")
def published() -> dict[RunKey, Run]:
    return read_runs([PUBLISHED])


def test_runs_are_whole_and_of_held_out_problems(published: dict[RunKey, Run]) -> None:
    assert {key.problem for key in published} == set(select_problems(["held-out"]))
    for key, run in published.items():
        assert run.error is None
        assert len(run.trials) == key.n_trials
    assert not any(
        trial.violates_known
        for key, run in published.items()
        if key.sampler == "scoot"
        for trial in run.trials
    )


@pytest.mark.parametrize("name", select_problems(["held-out"]))
def test_trials_give_the_same_again(name: str, published: dict[RunKey, Run]) -> None:
    """Where problems change, the published runs must be made again, or old stands beside new."""
    key = next(key for key in published if key.problem == name and key.sampler == "tpe")
    problem = make_problem(name, key.seed)
    trials = published[key].trials
    ran = [trial for trial in trials if trial.values is not None]
    crashed = [trial for trial in trials if trial.crash is not None]
    for trial in (ran[0], ran[-1]):
        assert problem.evaluate(trial.params).values == pytest.approx(trial.values, rel=1e-9)
    for trial in crashed[:2]:
        with pytest.raises(Crash) as caught:
            problem.evaluate(trial.params)
        assert caught.value.reason == trial.crash
