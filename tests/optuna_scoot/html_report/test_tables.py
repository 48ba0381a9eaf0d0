"""The tables of the page."""

from __future__ import annotations

import optuna

from optuna_scoot.html_report.contents import Contents
from optuna_scoot.html_report.contents import Words
from optuna_scoot.html_report.contents import gather
from optuna_scoot.html_report.tables import MOST_OF_FRONT
from optuna_scoot.html_report.tables import configurations_table
from optuna_scoot.html_report.tables import trials_table
from optuna_scoot.tuning.report import make_report
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import tuned_study
from tests.optuna_scoot.tuning.studies import two_objective_study


def contents(study: optuna.Study) -> Contents:
    return gather(study, make_report(study), Words("a sentence"), None, None)


def test_the_front_stands_beside_the_default_with_its_changes() -> None:
    table = configurations_table(contents(tuned_study()))
    assert table is not None
    assert [column.name for column in table.columns] == [
        *("trial", "TTFT", "TPOT", "changed parameters")
    ]
    changed_by_best = "max-num-seqs 64, enable-chunked-prefill true"
    assert [(row.cells, row.mark) for row in table.rows] == [
        (("0", "1,000", "100", "the default"), "default"),
        (("1", "100 (-90.0 %)", "99 (-1.0 %)", "max-num-seqs 512"), ""),
        (("2", "500 (-50.0 %)", "50 (-50.0 %)", changed_by_best), "best"),
        (("3", "1,200 (+20.0 %)", "20 (-80.0 %)", "block-size 32"), ""),
    ]


def test_a_long_front_is_shown_from_end_to_end_with_the_best() -> None:
    study = two_objective_study()
    add_default(study, (100.0, 100.0))
    for i in range(90):
        add(study, (float(i), 89.0 - i), max_num_seqs=i + 1)
    table = configurations_table(contents(study))
    assert table is not None
    numbers = [int(row.cells[0]) for row in table.rows]
    assert {0, 1, 90} <= set(numbers)
    assert len(numbers) in (MOST_OF_FRONT + 1, MOST_OF_FRONT + 2)
    assert [row.mark for row in table.rows].count("best") == 1
    assert table.n_hidden == 91 - len(numbers)


def test_every_trial_says_what_became_of_it() -> None:
    study = two_objective_study(("value",), ("minimize",))
    add(study, (1.0,))
    add(study, (2.0,), constraints={"p99 ttft <= 1 ms": 0.5}, max_num_seqs=64)
    add(study, None, {"crash_reason": "out_of_memory"})
    rows = trials_table(contents(study)).rows
    assert [row.cells[1] for row in rows] == [
        *("completed", "misses p99 ttft <= 1 ms by 50 %", "crashed: out_of_memory")
    ]
    assert [row.cells[2] for row in rows] == ["1", "2", "–"]
    assert [row.mark for row in rows] == ["best", "", "crashed"]
