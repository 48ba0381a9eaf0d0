"""The ends of engines' logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from optuna_scoot.tuning.engine_logs import END_BYTES
from optuna_scoot.tuning.engine_logs import end_of_log
from optuna_scoot.tuning.engine_logs import secrets_of


def crashed(log: Any) -> optuna.trial.FrozenTrial:
    return optuna.create_trial(state=TrialState.FAIL, user_attrs={"log": log})


def test_the_end_is_of_whole_lines_without_colours_and_secrets(tmp_path: Path) -> None:
    lines = [f"\x1b[31mline {i:05}\x1b[0m hush {'x' * 99}" for i in range(3000)]
    log = tmp_path / "trial-1.log"
    log.write_text("\n".join(lines) + "\n")
    end = end_of_log(crashed(str(log)), lambda text: text.replace("hush", "***"))
    shown = end.splitlines()
    assert shown == [f"line {i:05} *** {'x' * 99}" for i in range(3000 - len(shown), 3000)]
    assert 0.8 * END_BYTES < len(end) < END_BYTES


@pytest.mark.parametrize("log", ["/no/such/file", "/", None, 3])
def test_a_log_that_cannot_be_read_is_left_out(log: Any) -> None:
    assert end_of_log(crashed(log), str) == ""


def test_an_engine_without_secrets_of_its_own_hides_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hush-hush-99")
    assert secrets_of(object())("asked by hush-hush-99") == "asked by ***"
