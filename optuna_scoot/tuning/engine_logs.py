"""The logs of engines that ran on this machine, fit to be shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from objectives.engines.base import LOG
from objectives.engines.log_lines import without_colours
from objectives.redaction import hide
from objectives.redaction import secrets_in


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


END_BYTES = 100_000


def secrets_of(objective: object) -> Callable[[str], str]:
    """Return what takes the secrets out of the logs of an objective's engines.

    Args:
        objective: Of any kind; an engine that was given secrets has ``hide_secrets``.
    """
    engine = getattr(objective, "engine", None)
    found: Callable[[str], str] | None = getattr(engine, "hide_secrets", None)
    return found or (lambda text: hide(text, secrets_in(os.environ)))


def end_of_log(trial: FrozenTrial, hide_secrets: Callable[[str], str]) -> str:
    """Return the last 100 kB of the log of a trial's engine, without secrets and colours.

    Args:
        trial: It tells the file.
        hide_secrets: Takes them out.

    Returns:
        Whole lines; nothing where there is no file, as on another machine.
    """
    path = trial.user_attrs.get(LOG)
    if not isinstance(path, str):
        return ""
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - END_BYTES))
            if size > END_BYTES:
                file.readline()  # of which a part is missing: half a secret is not found
            text = file.read(END_BYTES).decode(errors="replace")
    except OSError:
        return ""
    return hide_secrets(without_colours(text))
