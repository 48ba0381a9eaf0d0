"""What is said on top of a trial in optuna-dashboard."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.tuning.dashboard_attributes import note_of
from optuna_scoot.tuning.trial_notes import note_trial
from optuna_scoot.tuning.trial_notes import trial_note


CRASH = {"crash_reason": "out_of_memory", "crash_detail": "CUDA out of memory: *2* GiB"}


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
    assert trial_note(trial) == note


def test_a_crash_shows_the_last_lines_of_its_log_as_they_are() -> None:
    note = trial_note(ended(**CRASH, log_tail=["loading", "a ``` b"]))
    assert note.endswith("The last lines of the engine's log:\n\n````text\nloading\na ``` b\n````")


def test_a_note_that_cannot_be_saved_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study()
    study.add_trial(ended(**CRASH))
    note_trial(study, study.trials[0])
    assert note_of(study, study.trials[0]).startswith("**Crashed")

    def broken(*arguments: Any) -> None:
        raise StorageInternalError("the disk is full")

    monkeypatch.setattr(study._storage, "set_study_system_attr", broken)
    study.add_trial(ended(**CRASH))
    note_trial(study, study.trials[1])
    assert note_of(study, study.trials[1]) == ""
