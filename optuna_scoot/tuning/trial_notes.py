"""What optuna-dashboard shows on top of a trial: that it is the default, why it crashed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from objectives.engines.log_lines import without_colours
from objectives.redaction import hide
from objectives.redaction import secrets_in
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
    from collections.abc import Callable

    from optuna.study import Study
    from optuna.trial import FrozenTrial


LOG = "log"
"""User attribute: the file of an engine's log, on the machine that it ran on."""
_TAIL_LINES = 20
_TAIL_BYTES = 100_000  # that are read of a log
_LINE_CHARACTERS = 300


def note_trial(study: Study, trial: FrozenTrial, hide_secrets: Callable[[str], str]) -> None:
    """Save what is to be said of a trial that has just ended, where anything is.

    Args:
        study: The trial's.
        trial: Finished, and run by this process.
        hide_secrets: Takes them out of a log.
    """
    if text := trial_note(trial, hide_secrets):
        # Of a note no study may end. What is wrong with the storage the next call tells.
        with contextlib.suppress(Exception):
            save_note(study, text, trial)


def trial_note(trial: FrozenTrial, hide_secrets: Callable[[str], str]) -> str:
    """Return the note of a finished trial, in Markdown; empty where there is nothing to say.

    Args:
        trial: Its engine's log is read where the file is there.
        hide_secrets: Takes them out of the log.
    """
    attrs = trial.user_attrs
    parts = []
    if attrs.get(DEFAULT_CONFIGURATION):
        parts.append("**The default configuration**: all others are compared with it.")
    if is_crash(trial):
        reason = escaped(str(attrs.get(CRASH_REASON, "unknown")).replace("_", " "))
        parts += [f"**Crashed: {reason}**", escaped(str(attrs.get(CRASH_DETAIL, "")))]
        if tail := log_tail(trial, _TAIL_LINES, hide_secrets):
            parts += ["The last lines of the engine's log:", fenced(tail)]
    elif is_external(trial):
        reason = escaped(str(attrs.get(EXTERNAL_REASON, "unknown")).replace("_", " "))
        parts.append(f"**Does not count**: failed for a reason outside its parameters, {reason}")
        parts.append(escaped(str(attrs.get(EXTERNAL_DETAIL, ""))))
    elif ENDED_EARLY in attrs:
        parts.append(f"**Ended early**: {escaped(str(attrs[ENDED_EARLY]))}")
    return "\n\n".join(part for part in parts if part)


def secrets_of(objective: object) -> Callable[[str], str]:
    """Return what takes the secrets out of the logs of an objective's engines.

    Args:
        objective: Of any kind; an engine that was given secrets has ``hide_secrets``.
    """
    engine = getattr(objective, "engine", None)
    found: Callable[[str], str] | None = getattr(engine, "hide_secrets", None)
    return found or (lambda text: hide(text, secrets_in(os.environ)))


def log_tail(trial: FrozenTrial, n_lines: int, hide_secrets: Callable[[str], str]) -> str:
    """Return the last lines of the log of a trial's engine, without secrets and colours.

    Args:
        trial: It tells the file.
        n_lines: At most so many, the long ones cut.
        hide_secrets: Takes them out.

    Returns:
        Nothing where there is no file, as on another machine.
    """
    path = trial.user_attrs.get(LOG)
    if not isinstance(path, str):
        return ""
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            if size > _TAIL_BYTES:
                file.readline()  # of which a part is missing: half a secret is not found
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = hide_secrets(without_colours(text)).splitlines()  # before they are cut, too
    return "\n".join(line[:_LINE_CHARACTERS] for line in lines[-n_lines:]).strip()
