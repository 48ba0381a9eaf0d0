from __future__ import annotations

import pytest

from optuna_scoot.comparison.reporting.comparison import Comparison
from optuna_scoot.comparison.reporting.markdown import markdown_table
from optuna_scoot.comparison.reporting.markdown import write_report
from optuna_scoot.comparison.reporting.plots import write_plots
from optuna_scoot.comparison.running.runs import Run
from optuna_scoot.comparison.running.runs import RunKey
from optuna_scoot.comparison.running.runs import TrialRecord


def _run(
    sampler: str, seed: int, values: list[float | None], mode: str = "fail", batch: int = 1
) -> Run:
    """A run on the toy, which maximises; None is a crash."""
    trials = tuple(
        TrialRecord(
            None if value is None else (value,),
            value is not None,
            "sum" if value is None else None,
            False,
            0.5,
            {},
        )
        for value in values
    )
    return Run(RunKey("toy-crash", sampler, mode, seed, batch, n_trials=len(values)), trials)


@pytest.fixture
def comparison() -> Comparison:
    return Comparison(
        [
            ("fail", _run("scoot", 0, [0.0, 3.0, None, 8.0])),
            ("fail", _run("scoot", 1, [0.0, 6.0, 4.0, 9.0])),
            ("fail", _run("tpe", 0, [0.0, None, None, 2.0])),
            ("fail", _run("tpe", 1, [0.0, None, 3.0, 3.0])),
            ("penalty", _run("tpe", 0, [0.0, 9.0, None, 10.0], "penalty")),
            ("penalty", _run("tpe", 1, [0.0, 5.0, None, None], "penalty")),
            ("fail", _run("random", 0, [0.0, 1.0, 2.0, 1.0])),
            ("fail", _run("random", 1, [0.0, 1.0, 9.5, 1.0])),
            ("fail", _run("scoot-no-forest", 0, [0.0, None, None, 4.0])),
        ]
    )


def _cells(page: str, start: str) -> list[list[str]]:
    """The cells of a page's table rows that begin with a word."""
    rows = [line for line in page.splitlines() if line.startswith(f"| {start}")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_best_mode_counts(comparison: Comparison) -> None:
    # fail: (0.2 + 0.3) / 2; penalty: (1.0 + 0.5) / 2.
    entry = comparison.best["crash-analytic", "tpe", 1]
    assert (entry.mode, entry.final) == ("penalty", 0.75)
    # Crash shares of the suggestions, the default left out: 1/3 and 2/3.
    assert entry.crashes.tolist() == pytest.approx([1 / 3, 2 / 3])


def test_losses_are_shown_as_losses(comparison: Comparison) -> None:
    page = write_report(comparison, ["optuna-scoot compare"])
    assert "loses to a peer\n\nNone." in page  # 0.85 against 0.75 and 0.575
    lost = Comparison([(mode, run) for mode, run in comparison.runs if run.key.seed == 0])
    page = write_report(lost, ["optuna-scoot compare"])
    section = page.split("loses to a peer")[1].split("##")[0]
    assert _cells(section, "toy-crash")[0][2:5] == ["tpe (penalty)", "0.800", "1.000"]


def test_pairs_and_ablations(comparison: Comparison) -> None:
    page = write_report(comparison, ["optuna-scoot compare --seeds 0-1"])
    assert "optuna-scoot compare --seeds 0-1" in page
    against_tpe = next(row for row in _cells(page, "tpe (penalty)") if row[1] == "2")
    # Differences -0.2 and 0.4; one win of two.
    assert against_tpe[2].startswith("0.100 [")
    assert against_tpe[3].startswith("0.500 [")
    ablation = _cells(page, "scoot-no-forest")[0]
    # Only seed 0 is common: 0.4 against 0.8.
    assert ablation[3] == "-0.400 [-0.400, -0.400]"


def test_batches_are_compared_on_the_cases_run_both_ways(comparison: Comparison) -> None:
    batch = _run("scoot", 0, [0.0, 3.0, None, 6.0], batch=4)
    page = write_report(Comparison([*comparison.runs, ("fail", batch)]), ["optuna-scoot compare"])
    row = _cells(page.split("at a time")[-1], "scoot")[0]
    # One at a time has 0.8 with the same seed, 0.85 with both.
    assert (row[2], row[3], row[5]) == ("4", "0.600", "0.750")
    assert row[4].startswith("-0.200")


def test_plots_are_one_page_without_network(comparison: Comparison) -> None:
    page = write_plots(comparison)
    assert page.count("Plotly.newPlot(") == 4
    assert '<script src="http' not in page
    assert "tpe (penalty)" in page


def test_markdown_table() -> None:
    assert markdown_table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |\n"
