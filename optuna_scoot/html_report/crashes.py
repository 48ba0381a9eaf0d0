"""What crashed and why, with the end of the engine's log where it is on this machine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from objectives.engines.failures import read_log
from objectives.redaction import hide
from objectives.redaction import secrets_in
from objectives.serving import CRASH_DETAIL
from objectives.serving import CRASH_REASON
from objectives.serving import EXTERNAL_DETAIL
from objectives.serving import EXTERNAL_REASON
from objectives.serving import is_external
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.bookkeeping import not_retried
from optuna_scoot.tuning.formats import changed_params
from optuna_scoot.tuning.formats import format_params
from optuna_scoot.tuning.worker_identity import ran_here


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from optuna_scoot.tuning.report import Report


LOG = "log"
"""User attribute of a trial: the file of its engine's log."""
MOST_SHOWN = 30
_TAIL_LINES = 40
_MOST_CHARACTERS = 300  # of a line
# What a terminal would take for colours and movements, and other characters that show nothing.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Failure:
    """A trial that failed.

    Attributes:
        number: The trial's number.
        reason: In a word, as in "out_of_memory".
        detail: In words; may be empty.
        changed: The parameters in which it differs from the default, in words.
        log: The file of the engine's log; None where there is none.
        tail: Its last lines without secrets; empty where they cannot be read here.
    """

    number: int
    reason: str
    detail: str
    changed: str
    log: str | None
    tail: tuple[str, ...]


@dataclass(frozen=True)
class Failures:
    """What failed.

    Attributes:
        reasons: Crashes by reason, the commonest first.
        crashes: The first of them that are shown.
        n_crashes: All of them.
        external: Those that failed for reasons outside their configuration, likewise.
        n_external: All of them.
    """

    reasons: tuple[tuple[str, int], ...]
    crashes: tuple[Failure, ...]
    n_crashes: int
    external: tuple[Failure, ...]
    n_external: int


def read_failures(study: Study, report: Report) -> Failures | None:
    """Return what failed in a study; None where nothing did.

    Args:
        study: Any.
        report: Its summary.
    """
    trials = sorted(not_retried(study.get_trials(deepcopy=False)), key=lambda t: t.number)
    crashed = [t for t in trials if is_crash(t)]
    external = [t for t in trials if is_external(t)]
    if not crashed and not external:
        return None
    secrets = secrets_in(os.environ)
    return Failures(
        reasons=tuple(report.crashes.items()),
        crashes=_failures(crashed, report, secrets, CRASH_REASON, CRASH_DETAIL),
        n_crashes=len(crashed),
        external=_failures(external, report, secrets, EXTERNAL_REASON, EXTERNAL_DETAIL),
        n_external=len(external),
    )


def _failures(
    trials: Sequence[FrozenTrial],
    report: Report,
    secrets: frozenset[str],
    reason: str,
    detail: str,
) -> tuple[Failure, ...]:
    return tuple(
        Failure(
            number=trial.number,
            reason=str(trial.user_attrs.get(reason, "unknown")),
            detail=hide(_shown(str(trial.user_attrs.get(detail, ""))), secrets),
            changed=format_params(changed_params(trial, report.default)),
            log=trial.user_attrs.get(LOG),
            tail=_tail(trial, secrets),
        )
        for trial in trials[:MOST_SHOWN]
    )


def _tail(trial: FrozenTrial, secrets: frozenset[str]) -> tuple[str, ...]:
    path = trial.user_attrs.get(LOG)
    if not isinstance(path, str) or not ran_here(trial):
        return ()
    try:
        text = read_log(Path(path))
    except (OSError, ValueError):
        return ()
    lines = [line for line in _shown(text).splitlines() if line.strip()][-_TAIL_LINES:]
    cut = [
        line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}…" for line in lines
    ]
    # A secret may stand over two lines.
    return tuple(hide("\n".join(cut), secrets).splitlines())


def _cut(line: str) -> str:
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}…"


def _shown(text: str) -> str:
    """Return a text without what steers a terminal; of a line drawn over itself its last state."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return _CONTROL.sub("", "\n".join(lines)).expandtabs(4)
