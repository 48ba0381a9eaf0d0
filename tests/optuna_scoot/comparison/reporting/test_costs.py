from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from optuna_scoot.comparison.problems.registry import add_tables
from optuna_scoot.comparison.reporting.costs import equal_costs
from optuna_scoot.comparison.reporting.costs import scores_over_cost
from optuna_scoot.comparison.reporting.plots import cost_figures
from optuna_scoot.comparison.reporting.statistics import paired
from optuna_scoot.comparison.reporting.summary import group_runs
from optuna_scoot.comparison.reporting.tables import print_entries
from optuna_scoot.comparison.running.runs import Run
from optuna_scoot.comparison.running.runs import RunKey
from optuna_scoot.comparison.running.runs import TrialRecord
from optuna_scoot.comparison.tables.description import Table


@pytest.fixture
def problem(tmp_path: Path) -> str:
    """A table of which the default takes 10 and the best 0: a score is what is gained of ten."""
    path = tmp_path / "t.csv"
    path.write_text("a,time,s\n" + "".join(f"{i},{10 - i},1\n" for i in range(11)))
    table = Table((path,), minimize=("time",), cost=("s",), default=(("a", 0),))
    return add_tables([table])[0]


def _run(problem: str, sampler: str, *trials: tuple[float | None, float | None]) -> Run:
    """A run of trials, each with its value (None: it crashed) and its cost."""
    records = tuple(
        TrialRecord(
            None if value is None else (value,),
            value is not None,
            "oom" if value is None else None,
            False,
            0.1,
            {},
            cost,
        )
        for value, cost in trials
    )
    return Run(RunKey(problem, sampler, "fail", 0, n_trials=len(trials)), records)


def test_at_cost_only_trials_count_that_had_ended_by_then(problem: str) -> None:
    dear = _run(problem, "tpe", (10.0, 1.0), (6.0, 4.0), (None, 3.0), (1.0, 8.0))
    cheap = _run(problem, "random", (10.0, 1.0), (8.0, 2.0), (7.0, 2.0), (5.0, 3.0))
    assert equal_costs([dear, cheap]) == {(problem, 0): 8.0}
    over_dear, over_cheap = scores_over_cost(dear, 8.0), scores_over_cost(cheap, 8.0)
    assert over_dear[-1] == pytest.approx(0.4)  # the last trial ended at 16
    assert over_cheap[-1] == pytest.approx(0.5)
    # Of 50 shares of eight the 19th is the first beyond three, the 32nd the first beyond five.
    np.testing.assert_allclose(over_cheap[[17, 18, 30, 31]], [0.0, 0.2, 0.2, 0.3])
    entries = {e.sampler: e for e in group_runs([("fail", dear), ("fail", cheap)]).values()}
    np.testing.assert_allclose(entries["tpe"].spending, [2.0])
    np.testing.assert_allclose(entries["tpe"].curves[:, -1], [0.9])
    pair = paired(entries["tpe"], entries["random"])
    assert pair is not None
    assert pair.difference.estimate == pytest.approx(0.4)
    assert pair.at_cost is not None
    assert pair.at_cost.estimate == pytest.approx(-0.1)


def test_plots_show_the_score_over_the_cost_where_it_is_known(problem: str) -> None:
    runs = [("fail", _run(problem, "tpe", (10.0, 1.0), (6.0, 4.0)))]
    entries = [*group_runs(runs).values()]
    (figure,) = cost_figures("table", entries)
    band, line = figure.data
    assert line.y[-1] == pytest.approx(0.4)
    assert line.x[-1] == 1.0
    assert len(band.x) == 2 * len(line.x)
    free = [("fail", _run(problem, "tpe", (10.0, None)))]
    assert cost_figures("table", [*group_runs(free).values()]) == []


def test_without_the_cost_of_a_trial_there_is_no_score_at_cost(problem: str) -> None:
    whole = _run(problem, "tpe", (10.0, 1.0), (6.0, 4.0))
    lacking = _run(problem, "random", (10.0, 1.0), (6.0, None))
    entries = {e.sampler: e for e in group_runs([("fail", whole), ("fail", lacking)]).values()}
    assert entries["random"].at_cost is None
    pair = paired(entries["tpe"], entries["random"])
    assert pair is not None
    assert pair.at_cost is None


def test_a_table_on_a_terminal_has_the_columns_that_say_something(problem: str) -> None:
    def heading(cost: float | None, error: str | None = None) -> list[str]:
        run = dataclasses.replace(_run(problem, "tpe", (10.0, cost), (6.0, cost)), error=error)
        console = Console(width=120, file=io.StringIO())
        print_entries(console, group_runs([("fail", run)]).values())
        assert isinstance(console.file, io.StringIO)
        return re.split(r"\s{2,}", console.file.getvalue().splitlines()[2].strip())

    scores = ["sampler", "mode", "runs", "at 10", "at 20", "at 30", "crashes", "seconds"]
    assert heading(None) == scores
    assert heading(None, "ValueError: no") == [*scores, "errors"]
    assert heading(1.0) == [*scores, "cost", "at cost"]


def test_the_order_of_the_same_costs_does_not_matter(problem: str) -> None:
    one = _run(problem, "tpe", (10.0, 0.1), (9.0, 0.2), (8.0, 0.3))
    other = _run(problem, "random", (10.0, 0.3), (9.0, 0.2), (8.0, 0.1))
    budget = equal_costs([one, other])[problem, 0]
    for run in (one, other):
        assert scores_over_cost(run, budget)[-1] == pytest.approx(0.2)
