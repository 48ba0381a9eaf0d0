"""Whether a study is as it has to be after whatever its workers went through.

All is read from the storage: any study can be looked at, by anybody, at any later time.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from objectives.serving import CRASH_REASON
from objectives.serving import DEFAULT_CONFIGURATION
from objectives.serving import EXTERNAL_REASON
from objectives.serving import is_external
from optuna_scoot.trials.outcomes import Outcome
from optuna_scoot.trials.outcomes import enqueued_params
from optuna_scoot.trials.outcomes import outcomes_of
from optuna_scoot.tuning.bookkeeping import WANTED
from optuna_scoot.tuning.bookkeeping import counts
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.bookkeeping import not_retried


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Sequence

    from optuna.study import Study
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Check:
    """One thing that has to hold for a study.

    Attributes:
        name: What has to hold.
        faults: What does not, each in a few words; empty where it holds.
    """

    name: str
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Return whether it does."""
        return not self.faults


def audit(study: Study, n_trials: int | None = None) -> list[Check]:
    """Look at what has to hold for a study once its workers have ended.

    Args:
        study: As ``tune`` leaves it.
        n_trials: How many trials were asked for; None where that is not to be looked at.
    """
    trials = study.get_trials(deepcopy=False)
    checks: dict[str, Callable[[], Iterable[str]]] = {
        "every trial has ended": lambda: _unfinished(trials),
        "the trials asked for were made, and no more": lambda: _total(trials, n_trials),
        "the default configuration counts once": lambda: _default(trials),
        "what was enqueued counts once": lambda: _wanted(trials),
        "every completed trial has its values": lambda: _values(trials),
        "every failed trial says why": lambda: _reasons(trials),
        "the sampler learns from the crashes of configurations alone": lambda: _taught(trials),
    }
    return [Check(name, tuple(look())) for name, look in checks.items()]


def _unfinished(trials: Sequence[FrozenTrial]) -> Iterable[str]:
    return (f"trial {t.number} is {t.state.name}" for t in trials if not t.state.is_finished())


def _total(trials: Sequence[FrozenTrial], n_trials: int | None) -> Iterable[str]:
    n = sum(map(counts, not_retried(trials)))
    if n_trials is not None and n != n_trials:
        yield f"{n} count, {n_trials} were asked for"


def _default(trials: Sequence[FrozenTrial]) -> Iterable[str]:
    marked = [t for t in not_retried(trials) if t.user_attrs.get(DEFAULT_CONFIGURATION)]
    n = sum(map(counts, marked))
    if marked and n != 1:
        yield f"it counts {n} times"


def _wanted(trials: Sequence[FrozenTrial]) -> Iterable[str]:
    wanted = [t for t in not_retried(trials) if t.user_attrs.get(WANTED)]
    times = Counter(str(sorted(enqueued_params(t).items())) for t in wanted if counts(t))
    for configuration in dict.fromkeys(str(sorted(enqueued_params(t).items())) for t in wanted):
        if times[configuration] != 1:
            yield f"{configuration} counts {times[configuration]} times"


def _values(trials: Sequence[FrozenTrial]) -> Iterable[str]:
    for trial in trials:
        if trial.state == TrialState.COMPLETE and not (
            trial.params and all(map(math.isfinite, trial.values))
        ):
            yield f"trial {trial.number} has the values {trial.values}"


def _reasons(trials: Sequence[FrozenTrial]) -> Iterable[str]:
    for trial in trials:
        why = EXTERNAL_REASON if is_external(trial) else CRASH_REASON
        if trial.state == TrialState.FAIL and why not in trial.user_attrs:
            yield f"trial {trial.number} has no {why}"


def _taught(trials: Sequence[FrozenTrial]) -> Iterable[str]:
    kept = {t.number for t in not_retried(trials)}
    for trial, outcome in zip(trials, outcomes_of(trials), strict=True):
        crashed = is_crash(trial) and trial.number in kept
        if trial.state == TrialState.FAIL and (outcome is Outcome.CRASHED) != crashed:
            yield f"trial {trial.number} counts as {outcome.value}"
