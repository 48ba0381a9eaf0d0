"""What crashed and why, and where the engine said so."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from objectives.engines.base import LOG
from objectives.engines.log_tail import LOG_TAIL
from objectives.serving import CRASH_DETAIL
from objectives.serving import CRASH_REASON
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.bookkeeping import not_retried


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


TAIL_LINES = 8
DETAIL_LENGTH = 160


def crash_lines(study: Study) -> list[str]:
    """Return for each reason how often it came, an example of it, and where its log is."""
    lines = []
    for reason, trials in _by_reason(study):
        last = trials[-1]
        numbers = ", ".join(str(t.number) for t in trials[-4:])
        more = "..., " if len(trials) > 4 else ""
        word = "trial" if len(trials) == 1 else "trials"
        detail = " ".join(str(last.user_attrs.get(CRASH_DETAIL, "")).split())
        if len(detail) > DETAIL_LENGTH:
            detail = f"{detail[:DETAIL_LENGTH].rstrip()}..."
        line = f"crashed ({reason}): {word} {more}{numbers}"
        lines.append(f"{line}: {detail}" if detail else line)
        if (log := _log(last)) is not None:
            lines.append(f"  log of trial {last.number}: {log}")
    return lines


def last_words(study: Study) -> list[str]:
    """Return the end of the log of the latest trial with the commonest reason, if it has one."""
    by_reason = _by_reason(study)
    if not by_reason:
        return []
    latest = by_reason[0][1][-1]
    # As the trial keeps it: without secrets, which the log itself may hold.
    tail = latest.user_attrs.get(LOG_TAIL, [])[-TAIL_LINES:]
    if not tail:
        return []
    return [f"the engine's last lines in trial {latest.number}:", *(f"  {line}" for line in tail)]


def _by_reason(study: Study) -> list[tuple[str, list[FrozenTrial]]]:
    """Return the crashed trials by their reason, the commonest first, each in their order."""
    found: dict[str, list[FrozenTrial]] = defaultdict(list)
    for trial in not_retried(study.get_trials(deepcopy=False)):
        if is_crash(trial):
            found[str(trial.user_attrs.get(CRASH_REASON, "unknown"))].append(trial)
    return sorted(found.items(), key=lambda pair: -len(pair[1]))


def _log(trial: FrozenTrial) -> Path | None:
    """Return the log of a trial's engine where it is on this machine."""
    name = trial.user_attrs.get(LOG)
    path = Path(name) if isinstance(name, str) else None
    return path if path is not None and path.is_file() else None
