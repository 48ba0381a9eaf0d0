from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.registry import add_tables
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.problems.registry import may_crash
from optuna_scoot.comparison.reporting.scoring import Scale
from optuna_scoot.comparison.tables.completeness import check_rows
from optuna_scoot.comparison.tables.description import Table
from optuna_scoot.comparison.tables.problem import build


A, B = (1, 2, 4, 8), (0, 10, 20)


def _time(a: int, b: int) -> float:
    return abs(a - 4) + abs(b - 10) / 5 + 1


def _write(folder: Path, *, skip: tuple[tuple[int, int], ...] = (), failed: int = 0) -> Path:
    """Write a table of the box A × B; the rows of b = 20 fail where they are to."""
    lines = ["a,b,status,time,size,spent"]
    for a, b in itertools.product(A, B):
        if (a, b) not in skip:
            status = "oom" if b == failed else "ok"
            time = "" if b == failed else _time(a, b)
            lines.append(f"{a},{b},{status},{time},{0 if b == failed else a + b},{a + 1}")
    path = folder / "t.csv"
    path.write_text("\n".join(lines))
    return path


def _use(table: Table) -> None:
    check_rows(table)
    build(table)


def test_what_is_looked_up_is_what_the_row_says(tmp_path: Path) -> None:
    path = _write(tmp_path, failed=20)
    problem = build(
        Table((path,), minimize=("time",), cost=("spent",), default=(("a", 1), ("b", 0)))
    )
    for place, a in enumerate(A):
        for b in B[:2]:
            found = problem.evaluate({"a": place, "b": b})
            assert found.values == (_time(a, b),)
            assert found.cost == a + 1
        with pytest.raises(Crash, match="oom") as caught:
            problem.evaluate({"a": place, "b": 20})
        assert caught.value.cost == a + 1
    assert problem.default == {"a": 0, "b": 0}
    assert problem.front == ((min(_time(a, b) for a, b in itertools.product(A, B[:2])),),)
    assert Scale(problem).score(np.array([problem.evaluate(problem.optimal).values])) == 1.0


def test_without_a_default_it_is_the_row_of_median_time(tmp_path: Path) -> None:
    problem = build(Table((_write(tmp_path, failed=20),), minimize=("time",)))
    times = sorted(_time(a, b) for a, b in itertools.product(A, B[:2]))
    (default,) = problem.evaluate(problem.default).values
    assert default == times[4]  # of the seven that are not the best, the one in the middle


def test_two_objectives_have_the_front_that_comparing_all_pairs_gives(tmp_path: Path) -> None:
    problem = build(Table((_write(tmp_path, failed=20),), minimize=("time",), maximize=("size",)))
    points = {(_time(a, b), float(a + b)) for a, b in itertools.product(A, B[:2])}
    front = {
        p for p in points if not any(q[0] <= p[0] and q[1] >= p[1] and q != p for q in points)
    }
    assert problem.directions == ("minimize", "maximize")
    assert set(problem.front) == front
    assert problem.evaluate(problem.default).values not in front


def test_rules_crash_as_known_and_rows_that_lack_as_missing(tmp_path: Path) -> None:
    path = _write(tmp_path, skip=((8, 20), (8, 10), (1, 0)))
    said = {"minimize": ("time",), "cost": ("spent",), "default": (("a", 2), ("b", 10))}
    table = Table((path,), known_constraints=("a < 8 or b < 10",), missing_crashes=True, **said)  # type: ignore[arg-type]
    check_rows(table)
    problem = build(table)
    with pytest.raises(Crash, match="known_constraint"):
        problem.evaluate({"a": 3, "b": 10})
    with pytest.raises(Crash, match="missing") as caught:
        problem.evaluate({"a": 0, "b": 0})
    assert caught.value.cost == np.median([a + 1 for a in (2, 4, 8)])  # of what failed, b = 0


def test_a_table_is_complete_where_the_rules_explain_what_lacks(tmp_path: Path) -> None:
    path = _write(tmp_path, skip=((8, 10), (8, 20)), failed=99)
    with pytest.raises(CompareError, match="has 10 rows of the 12 configurations"):
        check_rows(Table((path,), minimize=("time",)))
    check_rows(Table((path,), minimize=("time",), known_constraints=("a < 8 or b < 10",)))
    with pytest.raises(CompareError, match=r"10 rows of the 11 .* within the known"):
        check_rows(Table((path,), minimize=("time",), known_constraints=("a < 8 or b < 20",)))
    check_rows(Table((path,), minimize=("time",), missing_crashes=True))


def test_whether_anything_may_crash_is_read_from_the_rows(tmp_path: Path) -> None:
    whole, rows = tmp_path / "whole", tmp_path / "rows"
    whole.mkdir()
    rows.mkdir()
    tables = [
        Table((_write(whole, failed=99),), minimize=("time",)),
        Table((_write(rows, failed=20),), minimize=("time",)),
    ]
    names = add_tables(tables)
    assert [may_crash(name) for name in names] == [False, True]
    assert make_problem(names[0], 0) is make_problem(names[0], 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"default": (("a", 1),)}, "the default says nothing of b"),
        ({"default": (("c", 1),)}, "the default's 'c' is none of the parameters a, b"),
        ({"default": (("a", 3), ("b", 0))}, "a=3, b=0 is in no row"),
        ({"default": (("a", 1), ("b", 20))}, "a=1, b=20 does not run .oom."),
        ({"default": (("a", 4), ("b", 10))}, "nothing is better than the default"),
        ({"categories": ("c",)}, "the category 'c' is none of"),
        ({"known_constraints": ("a < 8",)}, "2 of 8 .* violate a known constraint, such as a < 8"),
        ({"known_constraints": ("x < 8",)}, "names 'x'"),
    ],
)
def test_what_does_not_fit_the_rows_is_said(
    tmp_path: Path, fields: dict[str, object], message: str
) -> None:
    path = _write(tmp_path, failed=20)
    table = Table((path,), minimize=("time",), **fields)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        _use(table)


def test_a_default_that_is_only_equalled_in_one_objective_leaves_nothing_to_gain(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,time,size\n1,3,5\n2,3,4\n3,2,9\n4,9,9\n")
    table = Table((path,), minimize=("time", "size"), default=(("a", 1),))
    with pytest.raises(CompareError, match="better than the default in every objective"):
        build(table)
    assert build(Table((path,), minimize=("time", "size"))).default == {"a": 4}


CELLS = st.sampled_from(
    ["1", "2", "4", "0.5", "", "nan", "x", "ok", "1e999", "-3", '"', "\0", "é"]
)


@given(rows=st.lists(st.lists(CELLS, min_size=4, max_size=4), max_size=6))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_whatever_stands_in_the_cells_is_used_or_refused_in_words(rows: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_text("\n".join(["a,b,time,s", *(",".join(row) for row in rows)]))
        table = Table((path,), minimize=("time",), cost=("s",), missing_crashes=True)
        try:
            check_rows(table)
            gain = Scale(build(table)).optimum
        except CompareError:
            return  # any other error fails the test
        assert gain > 0


def test_a_measured_column_is_not_taken_for_a_parameter(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,heat,time\n" + "".join(f"{i},{i * 1.5},{i}\n" for i in range(30)))
    with pytest.raises(CompareError, match="heat has 30 values in 30 rows: is it measured"):
        check_rows(Table((path,), minimize=("time",)))
    check_rows(Table((path,), minimize=("time",), parameters=("a",)))
