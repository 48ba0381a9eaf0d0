"""What crashed and why, with the end of the engine's log as the trial keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from objectives.engines.base import LOG
from objectives.engines.log_tail import LOG_TAIL
from objectives.serving import CRASH_DETAIL
from objectives.serving import CRASH_REASON
from objectives.serving import EXTERNAL_DETAIL
from objectives.serving import EXTERNAL_REASON
from objectives.serving import is_external
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.bookkeeping import not_retried
from optuna_scoot.tuning.formats import changed_params
from optuna_scoot.tuning.formats import format_params


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from optuna_scoot.tuning.report import Report


MOST_SHOWN = 30


@dataclass(frozen=True)
class Failure:
    """A trial that failed.

    Attributes:
        number: The trial's number.
        reason: In a word, as in "out_of_memory".
        detail: In words; may be empty.
        changed: The parameters in which it differs from the default, in words.
        log: The file of the engine's log; None where there is none.
        tail: Its last lines without secrets; empty where the trial has none.
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
    return Failures(
        reasons=tuple(report.crashes.items()),
        crashes=_failures(crashed, report, CRASH_REASON, CRASH_DETAIL),
        n_crashes=len(crashed),
        external=_failures(external, report, EXTERNAL_REASON, EXTERNAL_DETAIL),
        n_external=len(external),
    )


def _failures(
    trials: Sequence[FrozenTrial],
    report: Report,
    reason: str,
    detail: str,
) -> tuple[Failure, ...]:
    return tuple(
        Failure(
            number=trial.number,
            reason=str(trial.user_attrs.get(reason, "unknown")),
            detail=str(trial.user_attrs.get(detail, "")),
            changed=format_params(changed_params(trial, report.default)),
            log=trial.user_attrs.get(LOG),
            tail=_tail(trial),
        )
        for trial in trials[:MOST_SHOWN]
    )


def _tail(trial: FrozenTrial) -> tuple[str, ...]:
    told = trial.user_attrs.get(LOG_TAIL)
    return tuple(map(str, told)) if isinstance(told, list) else ()
