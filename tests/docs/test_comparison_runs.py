"""The published runs still say what a run of today would say."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from optuna_scoot.cli.compare import parse_numbers
from optuna_scoot.cli.compare import split
from optuna_scoot.comparison.peers.modes import Mode
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.problems.registry import select_problems
from optuna_scoot.comparison.running.planning import plan
from optuna_scoot.comparison.running.runs import Run
from optuna_scoot.comparison.running.runs import RunKey
from optuna_scoot.comparison.running.runs import read_runs


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


def _commands_of_the_page() -> list[dict[str, str]]:
    """The options of each command that docs/comparison.md names."""
    lines = (DOCS / "comparison.md").read_text().splitlines()
    words = [shlex.split(line, comments=True) for line in lines if line.startswith("optuna-scoot")]
    return [dict(zip(w[2::2], w[3::2], strict=True)) for w in words]


def test_the_runs_of_the_page_are_there(published: dict[RunKey, Run]) -> None:
    for options in _commands_of_the_page():
        planned = plan(
            select_problems(split(options["--problems"])),
            split(options["--samplers"]),
            [Mode.parse(mode) for mode in split(options["--modes"])],
            parse_numbers(options["--seeds"]),
            batches=parse_numbers(options.get("--batch", "1")),
        )
        missing = {key for _, key in planned} - published.keys()
        assert not missing, options


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
