"""Ctrl-C while the command still loads, and an output that cannot be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


SIMULATED = ["tune", "--engine", "simulated", "--service", "bot-2xa100-13b", "--trials", "2"]
INTERRUPTED_AT = """
import os, signal, sys

module = sys.argv.pop(1)

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
from optuna_scoot.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "module",
    [
        "click",
        "optuna_scoot.cli.tune_command",
        "optuna_scoot.cli.tune",
        "numpy",
        "optuna",
        "sqlalchemy",
        "rich.table",
    ],
)
def test_an_interrupt_while_the_command_loads_is_one_line(module: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT, module, *SIMULATED],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.stderr == "optuna-scoot: interrupted\n"
    assert done.returncode == 130
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "optuna_scoot", *SIMULATED, "--sampler", "random"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path
        )
    assert done.stderr == "optuna-scoot: the output cannot be written: No space left on device\n"
    assert done.returncode == 3
