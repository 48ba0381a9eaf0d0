from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.tables.description import describe_table
from optuna_scoot.comparison.tables.description import parse_default


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.csv.gz"
    path.write_bytes(gzip.compress(b"a,b,time\n1,x,2.0\n2,x,1.0\n"))
    return path


def test_options_stand_in_for_what_the_file_beside_the_table_says(table: Path) -> None:
    (table.parent / "sweep.yaml").write_text(
        "minimize: time\ncost: [time]\ndefault: {a: 1, b: x}\nknown_constraints: ['a <= 2']\n"
    )
    said = describe_table(str(table))
    assert said.minimize == ("time",)
    assert said.default == (("a", 1), ("b", "x"))
    given = describe_table(
        str(table), {"maximize": ("b",), "cost": (), "known_constraints": ("a > 0",)}
    )
    assert (given.minimize, given.maximize) == ((), ("b",))
    assert given.cost == ("time",)
    assert given.known_constraints == ("a > 0",)


def test_a_default_has_the_kinds_that_cells_have() -> None:
    assert parse_default(" a=16, b = x,c=0.5,d=true ") == (
        ("a", 16),
        ("b", "x"),
        ("c", 0.5),
        ("d", True),
    )
    assert parse_default("a=nan") == (("a", "nan"),)  # a level equals itself


def test_several_tables_are_one_problem(table: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b,time\n1,x,2.0\n")
    both = describe_table(f"{table}+{other}", {"minimize": ("time",)})
    assert both.paths == (table, other)
    assert both.stem == "sweep+other"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("minimise: time", "says minimise; it may say minimize, maximize"),
        ("- time", "has no names; it may say"),
        ("minimize: {a: b}", "minimize is a list of texts, not"),
        ("minimize: time\ndefault: [1, 2]", "default is names with values"),
        ("minimize: time\ndefault: {a: [1]}", "default is names with values"),
        ("minimize: time\nmissing_crashes: perhaps", "missing_crashes is true or false"),
        ("a: [", "is not YAML"),
        ("cost: time", "say which column is to be tuned"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(table: Path, said: str, message: str) -> None:
    (table.parent / "sweep.yaml").write_text(said)
    with pytest.raises(CompareError, match=message):
        describe_table(str(table))
