"""``--json``: one document on stdout, the words for people on stderr."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optuna_scoot.cli.commands import cli
from optuna_scoot.cli.main import run


TASK = ["--engine", "simulated", "--service", "sql-2xa10-7b", "--duration", "5"]


@pytest.fixture
def study(tmp_path: Path) -> list[str]:
    """The options of a study of its own."""
    storage = f"sqlite:///{tmp_path / 'scoot.db'}"
    return ["--storage", storage, "--study", "sql", "--output", str(tmp_path / "out")]


def document(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Any, str]:
    """The document on stdout, and what is on stderr."""
    assert run([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    return json.loads(out), err


def test_every_command_takes_it() -> None:
    context = cli.make_context("optuna-scoot", [], resilient_parsing=True)
    takes = {
        name
        for name in cli.list_commands(context)
        if (command := cli.get_command(context, name)) is not None
        and any("--json" in parameter.opts for parameter in command.params)
    }
    assert takes == set(cli.list_commands(context))


def test_tune_prints_what_the_file_holds_and_tells_people_elsewhere(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, told = document(capsys, "tune", *TASK, *study, "--trials", "3", "--seed", "0")
    assert found == json.loads((tmp_path / "out" / "result.json").read_text())
    assert found["trials"]["counted"] == 3
    assert "[3/3]" in told
    assert "written: " in told


def test_verify_audit_and_export_of_that_study(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document(capsys, "tune", *TASK, *study, "--trials", "3", "--seed", "0")
    found, told = document(capsys, "verify", *TASK, *study, "--orders", "3")
    assert found == json.loads((tmp_path / "out" / "slo.json").read_text())
    assert found["verdict"]["sentence"] in " ".join(told.split())

    found, told = document(capsys, "audit", *study[:4], "--trials", "3")
    assert found["holds"] is True
    assert {check["holds"] for check in found["checks"]} == {True}
    assert told == ""

    target = str(tmp_path / "one.yaml")
    found, _ = document(capsys, "export", "--trial", "1", *study[:4], "--output", target)
    trial = json.loads((tmp_path / "out" / "result.json").read_text())
    assert found["written"] == target
    assert found["flags"]
    assert set(found["flags"]) <= {name.replace("_", "-") for name in trial["default"]["params"]}


def test_compare_prints_scores_and_pairs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--problems", "camel-crash", "--samplers", "random,scoot", "--seeds", "0"]
    words += ["--modes", "fail", "--trials", "4", "--jobs", "1"]
    found, _ = document(capsys, "compare", *words)
    assert {entry["sampler"] for entry in found["entries"]} == {"random", "scoot"}
    assert [pair["peer"] for pair in found["pairs"]] == ["random"]
    scores = {entry["sampler"]: entry["score_at"]["30"] for entry in found["entries"]}
    difference = found["pairs"][0]["difference"]["estimate"]
    assert difference == pytest.approx(scores["scoot"] - scores["random"])
    found, _ = document(capsys, "compare", "--list")
    assert "scoot" in found["samplers"]
    assert "camel-crash" in {problem["name"] for problem in found["problems"]}


def test_nothing_is_on_stdout_where_the_command_is_refused(
    study: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tune", *TASK, *study, "--minimize", "nonsense", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "nonsense" in err
