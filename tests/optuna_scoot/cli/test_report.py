"""``optuna-scoot report``: what is written, and what is refused in a line."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest

from optuna_scoot.cli.main import run
from tests.optuna_scoot.html_report.pages import server_study


pytestmark = pytest.mark.usefixtures("own_folder")


def test_the_only_study_of_anybody_is_written_where_it_is_wanted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    server_study("sqlite:///own.db", "my server")
    words = ["report", "--storage", "sqlite:///own.db"]
    assert run([*words, "--output", "new/folder/page.html"]) == 0
    assert capsys.readouterr().out == "written: new/folder/page.html\n"
    page = Path("new/folder/page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<h1>my server</h1>" in page
    assert run([*words, "--study", "my server", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"study": "my server", "written": "report.html"}
    assert Path("report.html").exists()


@pytest.mark.parametrize(
    ("studies", "words", "message"),
    [
        ([], [], "there is no study in storage sqlite:///s.db: tune first"),
        (["a"], ["--study", "b"], "there is no study 'b' in storage sqlite:///s.db"),
        (["a", "b"], [], "--study: storage sqlite:///s.db has the studies a, b: name one"),
        (["a"], [], "study 'a' has no trial that ended: nothing to report"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(
    studies: list[str], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in studies:
        optuna.create_study(storage="sqlite:///s.db", study_name=name)
    assert run(["report", "--storage", "sqlite:///s.db", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"optuna-scoot: {message}")
    assert not Path("report.html").exists()


def test_the_page_repeats_the_command_without_its_secrets() -> None:
    options = ["--engine", "simulated", "--service", "sql-2xa10-7b", "--duration", "5"]
    options += ["--trials", "1", "--study", "--token=abcdefgh12345678", "--output", "out"]
    assert run(["tune", *options]) == 0
    page = Path("out/report.html").read_text()
    assert "--duration" in page
    assert "abcdefgh12345678" not in page.split('id="repeat"')[1].split("<details>")[0]


def test_a_page_that_cannot_be_written_costs_neither_results_nor_verdict(
    own_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("optuna_scoot.html_report.page.write_page", fail)
    simulated = ["--engine", "simulated", "--duration", "5", "--sampler", "random", "--seed", "0"]
    assert run(["tune", *simulated, "--trials", "3", "--verify", "3", "--output", "out"]) == 0
    out = capsys.readouterr().out
    assert "the page could not be written (OSError: [Errno 28] No space left on device)" in out
    assert {"result.json", "best.yaml", "slo.json"} <= {
        path.name for path in Path("out").iterdir()
    }
