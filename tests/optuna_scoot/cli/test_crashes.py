"""What the command tells of trials that crashed."""

from __future__ import annotations

from pathlib import Path

from objectives.serving import CRASH_DETAIL
from objectives.serving import CRASH_REASON
from optuna_scoot.cli.crashes import TAIL_LINES
from optuna_scoot.cli.crashes import crash_lines
from optuna_scoot.cli.crashes import last_words
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import two_objective_study


def crash(reason: str, log: Path | str = "", detail: str = "") -> dict[str, str]:
    return {CRASH_REASON: reason, CRASH_DETAIL: detail, "log": str(log)}


def test_reasons_come_with_their_number_an_example_and_its_log(tmp_path: Path) -> None:
    log = tmp_path / "trial-6.log"
    log.write_text("x\n")
    study = two_objective_study()
    add(study, (1.0, 1.0))
    add(study, None, crash("startup_failed", tmp_path / "gone.log", "no\n  such kernel"))
    for _ in range(4):
        add(study, None, crash("out_of_memory"))
    add(study, None, crash("out_of_memory", log, "m" * 500))
    add(study, None, {"failure_is_external": True, "external_reason": "interrupted"})
    lines = crash_lines(study)
    assert lines == [
        f"crashed (out_of_memory): trials ..., 3, 4, 5, 6: {'m' * 160}...",
        f"  log of trial 6: {log}",
        "crashed (startup_failed): trial 1: no such kernel",
    ]
    assert crash_lines(two_objective_study()) == []


def test_the_last_lines_are_those_of_the_commonest_reason() -> None:
    lines = [f"line {i}" for i in range(40)]
    study = two_objective_study()
    add(study, None, crash("out_of_memory"))
    add(study, None, {**crash("out_of_memory"), "log_tail": lines})
    add(study, None, {**crash("startup_failed"), "log_tail": ["rare"]})
    heading, *tail = last_words(study)
    assert heading == "the engine's last lines in trial 1:"
    assert tail == [f"  line {i}" for i in range(40 - TAIL_LINES, 40)]


def test_a_trial_that_keeps_none_has_no_last_lines(tmp_path: Path) -> None:
    study = two_objective_study()
    add(study, None, crash("out_of_memory", tmp_path / "of another machine.log"))
    assert last_words(study) == []
    assert last_words(two_objective_study()) == []
