"""`optuna-scoot audit`."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from optuna_scoot.cli.main import run


TUNE = ["tune", "--engine", "simulated", "--service", "sql-2xa10-7b", "--duration", "5"]
TUNE += ["--sampler", "random", "--trials", "3", "--study", "s"]


def test_a_study_is_looked_at_and_what_is_wrong_has_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = optuna.logging.get_verbosity()
    try:
        assert run(TUNE) == 0
        capsys.readouterr()
        assert run(["audit", "--study", "s", "--trials", "3"]) == 0
        out = capsys.readouterr().out
        assert out.count("holds  ") == 7
        assert run(["audit", "--trials", "4"]) == 1
        out = capsys.readouterr().out
        assert "FAULT  the trials asked for were made, and no more\n" in out
        assert "       3 count, 4 were asked for\n" in out
        assert run(["audit", "--study", "other"]) == 2
        err = capsys.readouterr().err
        assert "there is no study 'other'" in err
    finally:
        optuna.logging.set_verbosity(before)
