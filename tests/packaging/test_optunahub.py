"""``package/`` has the form that OptunaHub's registry asks for, and its example runs."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path

import optuna
import pytest
import yaml
from packaging.version import Version

from optuna_scoot import ScootSampler


ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "package" / "samplers" / "scoot"
README = (PACKAGE / "README.md").read_text()


def test_the_front_matter_has_what_the_registry_checks() -> None:
    _, matter, text = README.split("---\n", 2)
    found = yaml.safe_load(matter)
    assert list(found) == ["author", "title", "description", "tags", "optuna_versions", "license"]
    assert all(found.values())
    assert "sampler" in found["tags"]
    assert found["license"] == "MIT License"
    assert Version(optuna.__version__).base_version in map(str, found["optuna_versions"])
    assert not re.search(r"</?[a-z]+[ >]", text)  # HTML is taken out there


def test_the_signature_is_the_samplers() -> None:
    told = re.search(r"`ScootSampler\((.+?)\)`\n", README)
    assert told is not None
    names = re.findall(r"(\w+)=", told[1])
    assert names == list(inspect.signature(ScootSampler).parameters)


def test_the_licence_is_the_projects() -> None:
    assert (PACKAGE / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_only_text_files_and_the_installed_package() -> None:
    texts = [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert all(path.read_text(encoding="utf-8") for path in texts)
    assert (PACKAGE / "requirements.txt").read_text() == "optuna-scoot\n"


def test_the_example_runs_where_the_registry_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    study = runpy.run_path(str(PACKAGE / "example.py"))["study"]
    assert isinstance(study.sampler, ScootSampler)
    assert f"{study.best_value}" in capsys.readouterr().out
