"""The picture of the trials at the end of a run."""

from __future__ import annotations

from optuna_scoot.cli.front_plot import COLUMNS
from optuna_scoot.cli.front_plot import ROWS
from optuna_scoot.cli.front_plot import draw


def places(lines: list[str]) -> dict[str, tuple[int, int]]:
    """Return column and row, from the lower left corner, of each mark."""
    rows = [line.split("|", 1)[1] for line in lines if "|" in line]
    return {
        mark: (column, ROWS - 1 - row)
        for row, line in enumerate(rows)
        for column, mark in enumerate(line)
        if mark != " "
    }


def test_points_stand_where_their_values_are() -> None:
    lines = draw([(1.0, 5.0, "a"), (2.0, 9.0, "b"), (3.0, 7.0, "c")], "TTFT", "TPOT", "legend")
    assert places(lines) == {
        "a": (0, 0),
        "b": (round((COLUMNS - 1) / 2), ROWS - 1),
        "c": (COLUMNS - 1, round((ROWS - 1) / 2)),
    }
    assert lines[0] == "TPOT"
    assert lines[1].startswith("9 |")
    assert lines[ROWS].startswith("5 |")
    assert lines[-3].split() == ["1", "3"]
    assert lines[-2].strip() == "TTFT"


def test_a_wide_axis_is_logarithmic_and_says_so() -> None:
    lines = draw([(1.0, 0.0, "a"), (10.0, 0.0, "b"), (100.0, 0.0, "c")], "x", "y", "")
    assert [places(lines)[mark][0] for mark in "abc"] == [0, round((COLUMNS - 1) / 2), COLUMNS - 1]
    assert lines[-2].strip() == "x, logarithmic"
    assert lines[0] == "y"


def test_later_points_hide_earlier_ones_and_lines_fit_a_terminal() -> None:
    lines = draw([(1e6, 1e6, "a"), (1e6, 1e6, "b"), (2e6, 123_456_789.0, "c")], "x", "y", "")
    assert set(places(lines)) == {"b", "c"}
    assert max(map(len, lines)) < 80
