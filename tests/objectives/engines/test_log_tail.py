"""The end of a log, fit for any eyes."""

from __future__ import annotations

from pathlib import Path

from objectives.engines.log_tail import CHARACTERS
from objectives.engines.log_tail import LINES
from objectives.engines.log_tail import log_tail
from objectives.redaction import hide


def clean(text: str) -> str:
    return hide(text, ["not for everybody"])


def test_it_is_the_last_lines_without_secrets_and_without_what_steers_a_terminal(
    tmp_path: Path,
) -> None:
    lines = [f"line {i}" for i in range(100)]
    last = ["", "key not for everybody", "y" * 1000, "1 %\r50 %\r100 %", "\x1b[1mend\x1b[0m\x07"]
    (log := tmp_path / "engine.log").write_text("\n".join([*lines, *last]))
    tail = log_tail(log, clean)

    assert len(tail) == LINES
    assert tail[0] == f"line {100 - LINES + 4}"
    assert tail[-4:] == ["key ***", "y" * CHARACTERS + "…", "100 %", "end"]


def test_a_secret_at_the_cut_of_a_line_is_not_left_in_part(tmp_path: Path) -> None:
    (log := tmp_path / "engine.log").write_text("x" * (CHARACTERS - 5) + " not for everybody")

    assert log_tail(log, clean) == ["x" * (CHARACTERS - 5) + " ***"]


def test_a_log_that_is_not_there_has_no_end(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "engine.log", clean) == []
