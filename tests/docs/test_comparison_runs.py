"""The published runs still say what a run of today would say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optuna_scoot.comparison.development.page import commands_of
from optuna_scoot.comparison.development.page import write_again
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.problems.registry import select_problems
from optuna_scoot.comparison.running.runs import Run
from optuna_scoot.comparison.running.runs import RunKey
from optuna_scoot.comparison.running.runs import read_runs


DOCS = Path(__file__).parents[2] / "docs"
PUBLISHED = DOCS / "comparison-runs.jsonl.gz"


@pytest.fixture(scope="module")
def published() -> dict[RunKey, Run]:
    return read_runs([PUBLISHED])


def test_runs_are_whole_and_of_the_fresh_problems(published: dict[RunKey, Run]) -> None:
    assert {key.problem for key in published} == set(select_problems(["fresh"]))
    for key, run in published.items():
        assert run.error is None
        assert len(run.trials) == key.n_trials
    assert not any(
        trial.violates_known
        for key, run in published.items()
        if key.sampler == "scoot"
        for trial in run.trials
    )


def test_the_page_is_what_its_runs_and_the_code_of_today_say(
    published: dict[RunKey, Run],
) -> None:
    page = (DOCS / "comparison.md").read_text()
    assert len(commands_of(page)) > 1
    assert _without_versions(write_again(page, published)) == _without_versions(page)


def _without_versions(page: str) -> list[str]:
    """Return the lines of a page but for what was installed when it was written."""
    return [re.sub(r", Python .*", "", line) for line in page.splitlines()]


@pytest.mark.parametrize("name", select_problems(["fresh"]))
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
