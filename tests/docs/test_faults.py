"""The table of faults is that of ``tests.faults``, and its tests are there and pass."""

from __future__ import annotations

import re

import pytest

from tests import faults


ROWS = [row for group in faults.FAULTS.values() for row in group]


def test_the_page_has_the_table_of_the_command_with_nothing_that_failed() -> None:
    text = faults.PAGE.read_text(encoding="utf-8")
    shown = text.split(faults.BEGIN)[1].split(faults.END)[0]
    counts = re.findall(r"\| (\d+) of (\d+) \|$", shown, re.MULTILINE)
    assert len(counts) == len(ROWS)
    assert all(int(passed) == int(n) > 0 for passed, n in counts)
    outcomes = {row.what: " of ".join(n) for row, n in zip(ROWS, counts, strict=True)}
    assert shown == faults.table(outcomes)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_every_test_of_a_row_is_one_that_the_test_command_runs(row: faults.Fault) -> None:
    for name in row.ids:
        file, _, function = name.partition("::")
        text = (faults.ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", text, re.MULTILINE), name
