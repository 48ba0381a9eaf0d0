"""What optuna-dashboard shows on top of a trial: that it is the default, why it crashed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from objectives.engines.log_tail import LOG_TAIL
from objectives.serving import CRASH_DETAIL
from objectives.serving import CRASH_REASON
from objectives.serving import DEFAULT_CONFIGURATION
from objectives.serving import ENDED_EARLY
from objectives.serving import EXTERNAL_DETAIL
from objectives.serving import EXTERNAL_REASON
from objectives.serving import is_external
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.dashboard_attributes import save_note
from optuna_scoot.tuning.markdown import escaped
from optuna_scoot.tuning.markdown import fenced


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


def note_trial(study: Study, trial: FrozenTrial) -> None:
    """Save what is to be said of a trial that has just ended, where anything is.

    Args:
        study: The trial's.
        trial: Finished, and run by this process.
    """
    if text := trial_note(trial):
        # Of a note no study may end. What is wrong with the storage the next call tells.
        with contextlib.suppress(Exception):
            save_note(study, text, trial)


def trial_note(trial: FrozenTrial) -> str:
    """Return the note of a finished trial, in Markdown; empty where there is nothing to say.

    Args:
        trial: With the end of its engine's log, where it crashed.
    """
    attrs = trial.user_attrs
    parts = []
    if attrs.get(DEFAULT_CONFIGURATION):
        parts.append("**The default configuration**: all others are compared with it.")
    if is_crash(trial):
        reason = escaped(str(attrs.get(CRASH_REASON, "unknown")).replace("_", " "))
        parts += [f"**Crashed: {reason}**", escaped(str(attrs.get(CRASH_DETAIL, "")))]
        if tail := attrs.get(LOG_TAIL):
            parts += ["The last lines of the engine's log:", fenced("\n".join(map(str, tail)))]
    elif is_external(trial):
        reason = escaped(str(attrs.get(EXTERNAL_REASON, "unknown")).replace("_", " "))
        parts.append(f"**Does not count**: failed for a reason outside its parameters, {reason}")
        parts.append(escaped(str(attrs.get(EXTERNAL_DETAIL, ""))))
    elif ENDED_EARLY in attrs:
        parts.append(f"**Ended early**: {escaped(str(attrs[ENDED_EARLY]))}")
    return "\n\n".join(part for part in parts if part)
