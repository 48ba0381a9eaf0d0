"""The wheel has what users need and nothing of what only the development needs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder


ROOT = Path(__file__).parents[2]
DEVELOPMENT = "optuna_scoot/comparison/development/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def _files(folder: Path, package: str) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in (folder / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _compare(wheel: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``optuna-scoot compare`` of the wheel in a folder."""
    code = f"from optuna_scoot.cli.main import run; raise SystemExit(run({['compare', *words]!r}))"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(wheel), "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_it_holds_the_packages_without_the_development_folder(wheel: Path) -> None:
    source = _files(ROOT, "optuna_scoot")
    left_out = {name for name in source if name.startswith(DEVELOPMENT)}
    assert left_out
    assert _files(wheel, "optuna_scoot") == source - left_out
    assert _files(wheel, "objectives") >= _files(ROOT, "objectives")


def test_no_file_of_another_project_is_bundled(wheel: Path) -> None:
    tops = {path.name for path in wheel.iterdir()}
    assert {name for name in tops if not name.endswith(".dist-info")} == {
        "objectives",
        "optuna_scoot",
    }


def test_without_the_folder_the_seen_and_fresh_problems_are_there(
    wheel: Path, tmp_path: Path
) -> None:
    listed = _compare(wheel, tmp_path, "--list")
    assert listed.returncode == 0, listed.stderr
    for word in (
        "dixon-server",
        "gramacy-constrained-crash",
        "bot-2xa10-7b",
        "seen",
        "fresh",
        "scoot",
    ):
        assert word in listed.stdout
    for word in ("tuning", "toy-crash", "bot-2xa100-13b", "gardner", "hebo"):
        assert word not in listed.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--problems", "toy-crash"], "No problem is called 'toy-crash'"),
        (["--problems", "tuning"], "No problem is called 'tuning'"),
        (["--samplers", "hebo"], "No sampler is called 'hebo'"),
    ],
)
def test_without_the_folder_its_names_are_refused(
    words: list[str], message: str, wheel: Path, tmp_path: Path
) -> None:
    result = _compare(wheel, tmp_path, *words)
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_without_the_folder_it_compares_in_several_processes(wheel: Path, tmp_path: Path) -> None:
    words = ["--problems", "camel-crash,zdt2-crash", "--samplers", "random,tpe", "--seeds", "0"]
    words += ["--modes", "fail", "--trials", "4", "--jobs", "2", "--subject", "tpe"]
    result = _compare(wheel, tmp_path, *words, "--report", "page.md")
    assert result.returncode == 0, result.stderr
    assert len((tmp_path / "comparison.jsonl").read_text().splitlines()) == 4
    assert "## Results" in (tmp_path / "page.md").read_text()
