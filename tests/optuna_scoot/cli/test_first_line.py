"""What a person waits for before the command says anything."""

from __future__ import annotations

import subprocess
import sys

import pytest


# Each of them takes half a second or more, and no option needs them to be checked.
SLOW = ("torch", "botorch", "scipy.stats", "sklearn", "pymoo", "sqlalchemy.orm")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bogus"], "No such option '--bogus'"),
        (["--model", "m"], "--trace is missing"),
        (["--engine", "simulated", "--trials", "2"], "study simulated-bot-2xa100-13b, 2 trials"),
    ],
)
def test_the_first_line_waits_for_nothing_slow(words: list[str], said: str) -> None:
    program = f"""
import sys
from optuna_scoot.cli.main import run

class Written:
    def __init__(self, stream): self.stream = stream
    def write(self, text):
        if text.strip():
            print([name for name in {SLOW} if name in sys.modules], text, file=sys.__stdout__)
            sys.__stdout__.flush()
            import os; os._exit(0)
    def flush(self): pass
    def isatty(self): return False

sys.stdout = sys.stderr = Written(sys.stdout)
run(["tune", *{words}])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("[]")
    assert said in done.stdout
