"""What is said on top of a trial in optuna-dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.tuning.dashboard_attributes import note_of
from optuna_scoot.tuning.trial_notes import log_tail
from optuna_scoot.tuning.trial_notes import note_trial
from optuna_scoot.tuning.trial_notes import trial_note


CRASH = {"crash_reason": "out_of_memory", "crash_detail": "CUDA out of memory: *2* GiB"}


def same(text: str) -> str:
    return text


def ended(state: TrialState = TrialState.FAIL, **attrs: Any) -> FrozenTrial:
    value = 1.0 if state in (TrialState.COMPLETE, TrialState.PRUNED) else None
    return optuna.create_trial(state=state, value=value, user_attrs=attrs)


@pytest.mark.parametrize(
    ("trial", "note"),
    [
        (ended(TrialState.COMPLETE), ""),
        (
            ended(TrialState.COMPLETE, default_configuration=True),
            "**The default configuration**: all others are compared with it.",
        ),
        (ended(**CRASH), "**Crashed: out of memory**\n\nCUDA out of memory\\: \\*2\\* GiB"),
        (
            ended(failure_is_external=True, external_reason="port_taken", external_detail="no 1"),
            "**Does not count**: failed for a reason outside its parameters, port taken\n\nno 1",
        ),
        (ended(TrialState.PRUNED, ended_early="hopeless"), "**Ended early**: hopeless"),
    ],
)
def test_what_became_of_a_trial_is_said(trial: FrozenTrial, note: str) -> None:
    assert trial_note(trial, same) == note


def test_a_crash_shows_the_last_lines_of_the_log_without_colours_and_secrets(
    tmp_path: Path,
) -> None:
    log = tmp_path / "trial-1.log"
    lines = "".join(f"\x1b[31mline {i:03}\x1b[0m {'x' * 999}\n" for i in range(200))
    log.write_text(f"{lines}{'x' * 298}hush\n")
    trial = ended(**CRASH, log=str(log))
    tail = log_tail(trial, 3, lambda text: text.replace("hush", "***")).splitlines()
    assert [line[:9] for line in tail] == ["line 198 ", "line 199 ", "xxxxxxxxx"]
    assert {len(line) for line in tail} == {300}
    assert tail[2].endswith("x**")
    whole = log_tail(trial, 10_000, same).splitlines()
    assert len(whole) > 90
    assert all(line.startswith("line ") for line in whole[:-1])
    assert trial_note(trial, same).endswith(f"\n{whole[-1]}\n```")


@pytest.mark.parametrize("log", ["/no/such/file", "/", None, 3])
def test_a_log_that_cannot_be_read_is_left_out(log: Any) -> None:
    assert log_tail(ended(**CRASH, log=log), 3, same) == ""


def test_a_note_that_cannot_be_saved_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study()
    study.add_trial(ended(**CRASH))
    note_trial(study, study.trials[0], same)
    assert note_of(study, study.trials[0]).startswith("**Crashed")

    def broken(*arguments: Any) -> None:
        raise StorageInternalError("the disk is full")

    monkeypatch.setattr(study._storage, "set_study_system_attr", broken)
    study.add_trial(ended(**CRASH))
    note_trial(study, study.trials[1], same)
    assert note_of(study, study.trials[1]) == ""
