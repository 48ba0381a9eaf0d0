from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.tables.description import Table
from optuna_scoot.comparison.tables.reading import Outcome
from optuna_scoot.comparison.tables.reading import read_table


def _table(folder: Path, text: str, name: str = "t.csv", **fields: object) -> Table:
    (folder / name).write_text(text)
    return Table((folder / name,), **{"minimize": ("time",), **fields})  # type: ignore[arg-type]


def test_rows_that_ran_have_values_and_others_a_reason(tmp_path: Path) -> None:
    text = "a,kind,Status,time,spent\n1,x,OK,2.5,3\n2,x,out of memory,,1\n4,y,complete,1e3,2\n\n"
    found = read_table(_table(tmp_path, text, cost=("spent",)))
    assert found.parameters == ("a", "kind")
    assert found.outcomes == {
        (1, "x"): Outcome((2.5,), None, 3.0),
        (2, "x"): Outcome((), "out of memory", 1.0),
        (4, "y"): Outcome((1000.0,), None, 2.0),
    }


def test_without_a_status_what_is_no_number_is_the_reason(tmp_path: Path) -> None:
    found = read_table(_table(tmp_path, "a,time\n1,2\n2,CompileFailed\n3,\n4,nan\n"))
    failures = [outcome.failure for outcome in found.outcomes.values()]
    assert failures == [None, "CompileFailed", "no value", "nan"]


def test_repeats_are_averaged_over_those_that_ran(tmp_path: Path) -> None:
    text = "a,status,time,spent\n1,ok,2,10\n1,ok,4,20\n1,failed,,30\n2,failed,,5\n2,failed,,7\n"
    found = read_table(_table(tmp_path, text, cost=("spent",)))
    assert found.outcomes == {(1,): Outcome((3.0,), None, 20.0), (2,): Outcome((), "failed", 6.0)}


def test_a_study_s_file_says_its_parameters_and_default(tmp_path: Path) -> None:
    text = (
        "number,state,seconds,default_configuration,time,param:a,param:b,metrics.x\n"
        "0,COMPLETE,3,True,5,1,auto,7\n1,FAIL,2,False,,2,auto,\n2,RUNNING,,False,,3,auto,\n"
    )
    found = read_table(_table(tmp_path, text, cost=("seconds",)))
    assert found.parameters == ("a", "b")
    assert found.default == (1, "auto")
    assert found.outcomes == {
        (1, "auto"): Outcome((5.0,), None, 3.0),
        (2, "auto"): Outcome((), "FAIL", 2.0),
    }


def test_of_two_tables_a_configuration_fails_where_it_fails_in_one(tmp_path: Path) -> None:
    one = _table(tmp_path, "a,status,time,s\n1,ok,2,1\n2,ok,3,1\n3,ok,4,1\n", "one.csv").paths
    two = _table(tmp_path, "a,status,time,s\n1,ok,7,5\n2,late,,6\n", "two.csv").paths
    found = read_table(Table((*one, *two), minimize=("time",), cost=("s",)))
    assert found.outcomes == {(1,): Outcome((2.0, 7.0), None, 6.0), (2,): Outcome((), "late", 7.0)}


def test_a_compressed_table_is_the_same_and_a_changed_one_another(tmp_path: Path) -> None:
    plain = _table(tmp_path, "a,time\n1,2\n2,1\n")
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(plain.paths[0].read_bytes()))
    changed = _table(tmp_path, "a,time\n1,2\n2,1.5\n", "u.csv")
    assert Table((packed,), minimize=("time",)).digest == plain.digest
    assert changed.digest != plain.digest
    assert Table(plain.paths, maximize=("time",)).digest != plain.digest


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        (
            "a,time\n1,2\n",
            {"minimize": ("tim",)},
            r"no column 'tim' \(did you mean 'time'\?\); it has a, time",
        ),
        ("a,time\n1,2,3\n", {}, "t.csv:2 has 3 cells, the first line 2"),
        ("a,time\n,2\n", {}, "t.csv:2 has no value of a"),
        ("time,a\n2,1\n", {}, "name its --parameters"),
        ("a,status,time\n1,ok,\n", {}, "t.csv:2 ran .ok., but time is ''"),
        ("a,status,time\n1,bad,2\n", {}, "no row that ran: its status is 'bad'"),
        ("a,time,s\n1,2,\n", {"cost": ("s",)}, "t.csv:2 has no s: every row needs its cost"),
        ("a,time,s\n1,2,-1\n", {"cost": ("s",)}, "t.csv:2 has no s"),
        ("", {}, "t.csv is empty"),
        ("a,a,time\n1,2,3\n", {}, "has 2 columns 'a': rename one"),
        (f"a,time\n1,{'9' * 200_000}\n", {}, "is no table: field larger"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, text: str, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(CompareError, match=message):
        read_table(_table(tmp_path, text, **fields))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,time\n1,2\n")[:-5])
    with pytest.raises(CompareError, match="damaged"):
        Table((path,), minimize=("time",))
