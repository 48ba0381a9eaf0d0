"""A module of the user's that is called ``objectives`` as well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
STARTS = {
    "python -m": ["-m", "optuna_scoot"],
    "script": [str(Path(sys.executable).with_name("optuna-scoot"))],
}
TUNE = ["tune", "--engine", "simulated", "--duration", "5", "--trials", "3", "--seed", "0"]
COMPARE = ["compare", "--problems", "sql-2xa100-7b", "--samplers", "random"]


@pytest.fixture(params=["module", "package"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A working directory with the user's own objectives."""
    if request.param == "module":
        (tmp_path / "objectives.py").write_text("def mine(trial): return 0\n")
    else:
        (tmp_path / "objectives").mkdir()
        (tmp_path / "objectives" / "__init__.py").write_text("def mine(trial): return 0\n")
        (tmp_path / "objectives" / "serving.py").write_text("MINE = True\n")
    return tmp_path


def start(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Start Python with the working directory first on its path, as ``PYTHONPATH=.`` has it."""
    path = f".{os.pathsep}{ROOT}"
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("words", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("arguments", [["--help"], ["tune", "--help"], ["compare", "--list"]])
def test_every_command_takes_its_own_package(
    words: list[str], arguments: list[str], folder: Path
) -> None:
    done = start([*words, *arguments], folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("words", STARTS.values(), ids=STARTS)
def test_a_whole_tuning_run_takes_its_own_package(words: list[str], folder: Path) -> None:
    done = start([*words, *TUNE, "--sampler", "random"], folder)
    assert done.returncode == 0, done.stderr
    assert "[3/3]" in done.stdout


@pytest.mark.parametrize("words", STARTS.values(), ids=STARTS)
def test_the_workers_of_a_comparison_take_their_own_package(
    words: list[str], folder: Path
) -> None:
    arguments = [*COMPARE, "--trials", "3", "--seeds", "0-1", "--jobs", "2"]
    done = start([*words, *arguments], folder)
    assert done.returncode == 0, done.stderr
    assert len((folder / "comparison.jsonl").read_text().splitlines()) >= 2


def test_the_installed_package_is_taken_over_one_imported_before(folder: Path) -> None:
    code = (
        "import sys, objectives, objectives as mine\n"
        "from optuna_scoot.own_objectives import use_own_objectives\n"
        "use_own_objectives()\n"
        "import objectives, objectives.traces\n"
        "sys.exit(objectives is mine or hasattr(objectives, 'mine'))"
    )
    done = start(["-c", code], folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("before", ["", "import objectives\n"], ids=["hidden", "imported"])
@pytest.mark.parametrize(
    "library", ["import optuna_scoot.tuning", "from optuna_scoot.comparison import compare"]
)
def test_a_program_is_told_which_file_hides_the_package(
    library: str, before: str, folder: Path
) -> None:
    done = start(["-c", f"{before}{library}"], folder)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: {folder}/objectives")
    assert last.endswith("hides the package 'objectives' that optuna-scoot installs: rename it")


def test_the_sampler_alone_lives_with_a_users_objectives(folder: Path) -> None:
    done = start(["-c", "import objectives; from optuna_scoot import ScootSampler"], folder)
    assert done.returncode == 0, done.stderr
