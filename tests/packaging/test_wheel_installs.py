"""The wheel in an environment of its own, without the source tree; what an index shows of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder
from packaging.metadata import Metadata
from packaging.metadata import parse_email

from optuna_scoot import __version__


ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REPOSITORY = PROJECT["urls"]["Repository"]
RAW = REPOSITORY.replace("github.com", "raw.githubusercontent.com") + "/main/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(built)


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel; what it depends on is borrowed.

    Nothing is fetched: pip refuses where the declared dependencies are not what is there.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    borrowed = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "borrowed.pth").write_text(f"{borrowed}\n")
    programs = folder / "bin"
    words = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install"]
    words += ["--no-index", "--ignore-installed", "--no-deps", "--quiet", str(wheel)]
    subprocess.run(words, check=True, timeout=300)
    return programs


def run(environment: Path, folder: Path, *words: str) -> str:
    """What a program of the environment prints, far from the source tree."""
    alone = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(environment / words[0]), *words[1:]],
        cwd=folder,
        env=alone,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_tunes_without_the_source_tree(environment: Path, tmp_path: Path) -> None:
    where = "import optuna_scoot, objectives; print(optuna_scoot.__file__, objectives.__file__)"
    for path in run(environment, tmp_path, "python", "-c", where).split():
        assert Path(path).is_relative_to(environment.parent)
    words = ["tune", "--engine", "simulated", "--service", "sql-2xa10-7b", "--duration", "5"]
    words += ["--trials", "3", "--seed", "0", "--json"]
    found = json.loads(run(environment, tmp_path, "optuna-scoot", *words))
    assert found["trials"]["counted"] == 3
    assert found["optuna_scoot"] == __version__


def test_its_command_lists_what_it_can(environment: Path, tmp_path: Path) -> None:
    told = run(environment, tmp_path, "optuna-scoot", "--help")
    assert all(word in told for word in ("tune", "verify", "trace", "export", "compare"))
    assert __version__ in run(environment, tmp_path, "optuna-scoot", "--version")


def test_what_is_declared_is_met_by_what_is_there(environment: Path, tmp_path: Path) -> None:
    code = (
        "from importlib.metadata import requires, version; from packaging.requirements import *\n"
        "for r in map(Requirement, requires('optuna-scoot')):\n"
        "    if r.marker is None: assert version(r.name) in r.specifier, r\n"
    )
    run(environment, tmp_path, "python", "-c", code)


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Metadata:
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        raw, unparsed = parse_email(archive.read(name))
    assert not unparsed
    return Metadata.from_raw(raw, validate=True)


def test_its_metadata_are_valid_and_lead_to_the_project(metadata: Metadata) -> None:
    assert metadata.description_content_type == "text/markdown"
    assert metadata.project_urls is not None
    assert set(metadata.project_urls) == {"Repository", "Documentation", "Changelog", "Paper"}
    for name in ("Documentation", "Changelog"):
        address = metadata.project_urls[name]
        assert (ROOT / address.removeprefix(f"{REPOSITORY}/blob/main/")).is_file()


def test_the_long_description_leads_somewhere_outside_of_the_tree(metadata: Metadata) -> None:
    text = metadata.description
    assert text is not None
    links = re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", text)
    assert len(links) > 5
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    ours = [link for link in links if link.startswith((f"{REPOSITORY}/", RAW))]
    paths = [link.removeprefix(RAW).removeprefix(f"{REPOSITORY}/blob/main/") for link in ours]
    assert [path for path in paths if not (ROOT / path.partition("#")[0]).exists()] == []
    assert len(ours) > 5


def test_who_cites_it_cites_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["license"] == PROJECT["license"]
    assert citation["preferred-citation"]["doi"] == "10.1145/3696410.3714930"
