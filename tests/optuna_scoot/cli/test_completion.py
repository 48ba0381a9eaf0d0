"""Tab in a shell completes commands and options, as click does it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("typed", "found"),
    [("optuna-scoot tr", "trace"), ("optuna-scoot trace --syn", "--synthesise")],
)
def test_bash_is_told_what_may_follow(typed: str, found: str) -> None:
    words = typed.split()
    asked = {
        "_OPTUNA_SCOOT_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", "from optuna_scoot.cli.main import main; main()"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == [f"plain,{found}"], done.stderr
