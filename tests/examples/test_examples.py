"""The examples run as their docstrings say, here with small arguments."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path


EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str, folder: Path) -> str:
    """Run an example as a user does and return what it printed."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_crash_prone_objective_finds_the_best_of_the_feasible(tmp_path: Path) -> None:
    out = run("crash_prone_objective.py", "--trials", "25", folder=tmp_path)
    assert "best 10 (10 is possible)" in out
    crashed = re.search(r"(\d+) of 25 trials crashed", out)
    assert crashed is not None
    assert int(crashed[1]) <= 12


def test_two_workers_share_one_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/workers.db"
    out = run("two_workers.py", "--trials", "8", "--storage", url, folder=tmp_path)
    shares = [int(share) for share in re.findall(r"^worker \d+: (\d+) trials", out, re.MULTILINE)]
    assert len(shares) == 2
    assert 8 <= sum(shares) <= 9
    assert "trial " in out


def test_compare_samplers_prints_a_line_for_each(tmp_path: Path) -> None:
    out = run("compare_samplers.py", "--trials", "4", "--seeds", "1", folder=tmp_path)
    lines = out.splitlines()
    assert lines[0].startswith("simulated service cls-2xa10-7b")
    assert [line.split()[0] for line in lines[1:]] == [
        "ScootSampler",
        "TPESampler",
        "NSGAIISampler",
    ]
    defaults = {line.split("default ")[1].split(",")[0] for line in lines[1:]}
    assert len(defaults) == 1, "all begin with the same default configuration"


def test_measure_sweep_makes_a_table_with_what_the_compressor_refuses(tmp_path: Path) -> None:
    out = run("measure_sweep.py", "sweep.csv", folder=tmp_path)
    assert out == "written: sweep.csv\n"
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 5 * 3 * 3 * 2
    for row in rows:
        # LZMA2 takes no more than four bits of context.
        assert (row["status"] == "refused") == (int(row["lc"]) + int(row["lp"]) > 4)
        assert (row["bytes"] == "") == (row["status"] == "refused")
        assert float(row["seconds"]) > 0
