"""Crashes that may be the fault of the surroundings, whatever their words.

What engines say when a disk is full or a library is missing has no end, and a crash that is not
its configuration's teaches the sampler something false. Two rules need no list of messages:

*Nothing has run yet.* The default configuration that does not start, or several different
configurations that fail with the same words, end the run. The next run begins with the last of
them: what fails in the same words again is a crash, and the run goes on.

*Something has run.* After several different configurations in a row that fail with the same
words, one that ran is tried again. When it runs, the words are a crash's, once and for all. When
it fails, the surroundings have changed, and the run ends; when it later runs again, those that
failed are taken back and tried again.

Words are the same when they differ only in numbers and paths. Each machine's trials are looked at
alone, as one machine's disk may be full and another's not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from typing import Any

import optuna
from optuna.trial import TrialState

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.serving import CRASH_DETAIL
from objectives.serving import CRASH_REASON
from objectives.serving import DEFAULT_CONFIGURATION
from objectives.serving import EXTERNAL_REASON
from optuna_scoot.trials.outcomes import FIXED_PARAMS_ATTR
from optuna_scoot.trials.outcomes import RETRY_HISTORY_ATTR
from optuna_scoot.tuning.bookkeeping import CHECK
from optuna_scoot.tuning.bookkeeping import RETRY_OF
from optuna_scoot.tuning.bookkeeping import has_run
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.bookkeeping import not_retried
from optuna_scoot.tuning.bookkeeping import purpose
from optuna_scoot.tuning.worker_identity import machine_of
from optuna_scoot.tuning.worker_identity import ran_here


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial


ALIKE = 3
"""So many different configurations that fail with the same words are suspicious."""
DEFAULT_CRASHED = "default_crashed"
SAME_WORDS = "same_words"
_AT_ONCE = (
    CrashReason.KNOWN_CONSTRAINT,
    CrashReason.STARTUP_FAILED,
    CrashReason.STARTUP_TIMEOUT,
)
"""How a default configuration ends that never served. For want of memory is another matter: that
is what the search may find a way around."""


def suspect(study: Study, trial: Trial, crash: EngineCrash) -> ExternalFailure | None:
    """Return a failure where a trial's crash may be no fault of its configuration.

    Args:
        study: The trial's.
        trial: Still running, with all its parameters.
        crash: What it ended with.

    Returns:
        The failure that ends the run instead, None when the crash is the configuration's.
    """
    others = _finished_here(study, but=trial.number)
    words = _normal(crash.detail or crash.reason.value)
    if trial.user_attrs.get(CHECK) is not None:
        return ExternalFailure(
            SAME_WORDS,
            f"a configuration that ran before fails now as others did: {crash.detail};"
            f" see to what has changed around the engine{_log(crash)}, or begin another study"
            " (`study_name`) where it is to stay so",
        )
    if _is_known(study, trial, words):
        return None
    ran = any(map(has_run, others))
    alike = [t for t in _since_last_run(others) if _words(t) == words]
    n_alike = len({_key(t.params) for t in alike} | {_key(trial.params)})
    if ran:
        if n_alike >= ALIKE and crash.reason != CrashReason.KNOWN_CONSTRAINT:
            _check_one_that_ran(study, others, words)
        return None
    if trial.user_attrs.get(DEFAULT_CONFIGURATION) and crash.reason in _AT_ONCE:
        return ExternalFailure(
            DEFAULT_CRASHED,
            f"the default configuration does not start ({crash.reason}: {crash.detail}); see to"
            f" what no tuned parameter can repair{_log(crash)}. What fails so again counts as a"
            " crash",
        )
    if n_alike >= ALIKE:
        return ExternalFailure(
            SAME_WORDS,
            f"nothing has run yet, and {n_alike} different configurations fail with the same"
            f" words ({crash.reason}: {crash.detail}); see to what no tuned parameter can"
            f" repair{_log(crash)}. What fails so again counts as a crash",
        )
    return None


def take_back(study: Study, ended: FrozenTrial) -> int:
    """Try the crashes again that the surroundings were to blame for, once that is known.

    Args:
        study: The trial's.
        ended: A trial that has just ended. When it ran, and retried one that the run was ended
            over, those that failed like that one are no crashes.

    Returns:
        How many are tried again.
    """
    if RETRY_OF not in ended.user_attrs or not has_run(ended):
        return 0
    trials = study.get_trials(deepcopy=False)
    suspected = _suspected(trials, ended)
    if suspected is None:
        return 0
    words = ended.user_attrs.get(CHECK) or _words(suspected)
    alike = [
        t
        for t in not_retried(trials)
        if is_crash(t) and t.number < ended.number and _words(t) == words
        if machine_of(t) == machine_of(suspected)
    ]
    for trial in alike:
        # As Optuna itself retries: what a retry lists in its history does not count as a crash.
        retry = optuna.trial.create_trial(
            state=TrialState.WAITING,
            system_attrs={FIXED_PARAMS_ATTR: trial.params, RETRY_HISTORY_ATTR: [trial.number]},
            user_attrs=purpose(trial),
        )
        study.add_trial(retry)
    return len(alike)


def _finished_here(study: Study, but: int) -> list[FrozenTrial]:
    """Return this machine's finished trials, in order."""
    trials = not_retried(study.get_trials(deepcopy=False))
    return [t for t in trials if t.state.is_finished() and t.number != but and ran_here(t)]


def _since_last_run(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the crashes after the last trial that ran."""
    ran = [t.number for t in trials if has_run(t)]
    return [t for t in trials if is_crash(t) and t.number > max(ran, default=-1)]


def _is_known(study: Study, trial: Trial, words: str) -> bool:
    """Return whether these words are known to be a crash's."""
    trials = study.get_trials(deepcopy=False)
    suspected = _suspected(trials, trial)
    if suspected is not None and _words(suspected) == words:
        return True
    for other in filter(ran_here, trials):
        if has_run(other) and other.user_attrs.get(CHECK) == words:
            return True
        if is_crash(other) and _words(other) == words:
            retried = _suspected(trials, other)
            if retried is not None and retried.user_attrs[EXTERNAL_REASON] == SAME_WORDS:
                return True
    return False


def _suspected(trials: Sequence[FrozenTrial], trial: FrozenTrial | Trial) -> FrozenTrial | None:
    """Return the trial that a run was ended over and this one retries."""
    number = trial.user_attrs.get(RETRY_OF)
    found = next((t for t in trials if t.number == number), None)
    if found is None or found.user_attrs.get(EXTERNAL_REASON) not in (DEFAULT_CRASHED, SAME_WORDS):
        return None
    return found


def _check_one_that_ran(study: Study, others: Sequence[FrozenTrial], words: str) -> None:
    """Have the default, or else the latest configuration that ran, tried next."""
    for trial in study.get_trials(deepcopy=False):
        if not trial.state.is_finished() and trial.user_attrs.get(CHECK) == words:
            return
    ran = [t for t in others if has_run(t)]
    best_known = [t for t in ran if t.user_attrs.get(DEFAULT_CONFIGURATION)] or ran
    study.enqueue_trial(dict(best_known[-1].params), user_attrs={CHECK: words})


def _words(trial: FrozenTrial) -> str:
    """Return a crashed trial's words without what differs from one crash to the next."""
    attrs = trial.user_attrs
    return _normal(str(attrs.get(CRASH_DETAIL) or attrs.get(CRASH_REASON) or ""))


def _normal(words: str) -> str:
    """Return a message without paths, hexadecimal and decimal numbers."""
    words = re.sub(r"(?:~|\.{0,2})?(?:/[\w.+@%=,-]+)+/?", "PATH", words)
    words = re.sub(r"\b(?:0x)?(?=[0-9a-f]*\d)[0-9a-f]{6,}\b", "N", words, flags=re.IGNORECASE)
    return re.sub(r"\d+(?:[.,]\d+)*", "N", words)


def _key(params: dict[str, Any]) -> str:
    return repr(sorted(params.items()))


def _log(crash: EngineCrash) -> str:
    """Return where to read more, "" where there is no log."""
    return f" (its log: {crash.info['log']})" if crash.info.get("log") else ""
