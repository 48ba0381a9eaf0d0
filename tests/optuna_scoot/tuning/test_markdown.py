"""What engines write is shown as it is: no mark, tag or fence in it has a meaning.

That a browser sees it so is in tests/optuna_scoot/test_dashboard.py.
"""

from __future__ import annotations

import re
import string

import pytest

from optuna_scoot.tuning.markdown import escaped
from optuna_scoot.tuning.markdown import fenced


def test_every_mark_is_escaped_once_and_comes_back() -> None:
    text = string.punctuation + string.ascii_letters + "é ∆ 1."
    shown = escaped(text)
    unescaped = re.sub(r"\\[!-/:-@\[-`{-~]", "", shown)
    assert not set(unescaped) & set(string.punctuation)
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", shown) == text


def test_lines_and_control_characters_become_one_line() -> None:
    assert escaped("a\n# b\r\n\tc\x1b[0m\x00") == r"a \# b c\[0m"


@pytest.mark.parametrize("text", ["plain", "```\nout", "a ````` b", "`"])
def test_no_run_of_backticks_ends_the_block(text: str) -> None:
    first, *lines, last = fenced(text, "sh").split("\n")
    assert "\n".join(lines) == text
    assert first == f"{last}sh"
    assert set(last) == {"`"}
    assert last not in text
    assert len(last) >= 3
