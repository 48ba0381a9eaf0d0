"""Which trials of a study count, which were lost with their worker, and what became of each.

A trial counts when it told something about its configuration: it completed, or it crashed. One
that failed for another reason (interrupted, a lost worker, a busy port) carries the user attribute
``failure_is_external`` and is neither counted nor shown to the sampler's model of crashes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from objectives.serving import DEFAULT_CONFIGURATION
from objectives.serving import EXTERNAL_REASON
from objectives.serving import FAILURE_IS_EXTERNAL
from objectives.serving import is_external
from optuna_scoot.trials.outcomes import enqueued_params
from optuna_scoot.trials.outcomes import retried_numbers
from optuna_scoot.tuning.worker_identity import WORKER
from optuna_scoot.tuning.worker_identity import worker_id


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial


RETRY_OF = "retry_of"
"""User attribute: the number of the trial that failed for an outside reason and is tried again."""
CHECK = "check_of"
"""User attribute: the words over which a configuration that ran before is tried again."""
ORDER = "arrival_order"
"""User attribute of a measurement for the verdict: the number of its arrival order, from 1."""
CONFIGURATION = "configuration"
"""User attribute of such a measurement: which configuration it is, as in "trial 14"."""
WANTED = "enqueued_by_user"
"""User attribute of a configuration that the user wanted to have tried."""
KEPT_BY_RETRIES = (DEFAULT_CONFIGURATION, WANTED, CHECK, ORDER, CONFIGURATION)
"""User attributes that say what a trial is for."""


def is_crash(trial: FrozenTrial) -> bool:
    """Return whether the trial's configuration crashed."""
    return trial.state == TrialState.FAIL and not is_external(trial)


def has_run(trial: FrozenTrial) -> bool:
    """Return whether the trial's engine served the load, to its end or until that was cut short.

    One that the sampler refused is pruned as well, and reported nothing.
    """
    cut = trial.state == TrialState.PRUNED and bool(trial.intermediate_values)
    return cut or trial.state == TrialState.COMPLETE


def counts(trial: FrozenTrial) -> bool:
    """Return whether the trial is one of the observations that the user asked for."""
    return trial.state.is_finished() and not is_external(trial)


def n_taken(trials: Sequence[FrozenTrial]) -> int:
    """Return how many observations were made or are being made by any worker of the study."""
    return sum(counts(t) or t.state == TrialState.RUNNING for t in not_retried(trials))


def not_retried(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials but those that a later one lists as retried: they are taken back."""
    retried = retried_numbers(trials)
    return [trial for trial in trials if trial.number not in retried]


def find_default(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Return the default configuration's trial: one that completed, else one that crashed."""
    marked = [t for t in trials if t.user_attrs.get(DEFAULT_CONFIGURATION) and counts(t)]
    return min(marked, key=lambda t: (t.state != TrialState.COMPLETE, t.number), default=None)


def enqueue_wanted(
    study: Study, wanted: Sequence[Mapping[str, Any]], default: Mapping[str, Any]
) -> None:
    """Have these configurations tried next, unless the study has them already.

    Args:
        study: Where they go.
        wanted: What they set; the rest is as in the default configuration.
        default: A value for every parameter.
    """
    if not wanted:
        return
    tried = [
        {**enqueued_params(trial), **trial.params}
        for trial in study.get_trials(deepcopy=False)
        if not is_external(trial)
    ]
    for params in wanted:
        whole = {**default, **params}
        if not any(whole.items() <= known.items() for known in tried):
            study.enqueue_trial(whole, user_attrs={WANTED: True})


def is_duplicate(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
    """Return whether another trial is there for what one was enqueued for, and was first.

    Several workers that begin at the same moment each enqueue the default configuration, and what
    the user wants to have tried.

    Args:
        trial: What is about to be run.
        trials: All of its study.
    """
    if {RETRY_OF, CHECK} & trial.user_attrs.keys():
        return False
    earlier = [t for t in not_retried(trials) if t.number < trial.number and not is_external(t)]
    if trial.user_attrs.get(DEFAULT_CONFIGURATION):
        return any(t.user_attrs.get(DEFAULT_CONFIGURATION) for t in earlier)
    if trial.user_attrs.get(WANTED):
        wanted = enqueued_params(trial).items()
        return any(wanted <= {**enqueued_params(t), **t.params}.items() for t in earlier)
    return False


def is_surplus(trial: FrozenTrial, trials: Sequence[FrozenTrial], n_trials: int) -> bool:
    """Return whether a trial that has just begun is one too many.

    Workers that begin one at the same moment all saw room for it. Which of them goes on follows
    from the trials' numbers; one that was enqueued has its number from before, and gives way.

    Args:
        trial: It runs, and has no parameters yet.
        trials: All of its study.
        n_trials: The study's total.
    """
    gives_way = bool(enqueued_params(trial))
    return n_trials <= n_taken(
        [t for t in trials if t.number < trial.number or (gives_way and t.number > trial.number)]
    )


def try_again(study: Study, trial: FrozenTrial) -> None:
    """Have the configuration of a trial that failed for an outside reason tried next."""
    attrs = purpose(trial)
    params = {**enqueued_params(trial), **trial.params}
    study.enqueue_trial(params, user_attrs={**attrs, RETRY_OF: trial.number})


def purpose(trial: FrozenTrial) -> dict[str, Any]:
    """Return the user attributes that a trial's retry has to have as well."""
    return {k: trial.user_attrs[k] for k in KEPT_BY_RETRIES if k in trial.user_attrs}


def claim(trial: Trial) -> None:
    """Write down which process runs the trial, so that its loss can be noticed at once.

    Where the storage is named by its URL that is done as the trial is made (``WorkerStorage``).
    """
    if trial.user_attrs.get(WORKER) is None:
        trial.set_user_attr(WORKER, worker_id(os.getpid()))


def fail_own_trials(study: Study) -> None:
    """Fail what this process left running, as after an interrupt, as no fault of theirs."""
    me = worker_id(os.getpid())
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(WORKER) == me:
            fail_externally(study, trial._trial_id, "interrupted")


def fail_externally(study: Study, trial_id: int, reason: str) -> bool:
    """Fail a running trial as no fault of its configuration.

    Args:
        study: The trial's.
        trial_id: As the storage calls it.
        reason: Its ``external_reason``.

    Returns:
        Whether that was done; False where another process was quicker.
    """
    storage = study._storage
    try:
        storage.set_trial_user_attr(trial_id, FAILURE_IS_EXTERNAL, True)
        storage.set_trial_user_attr(trial_id, EXTERNAL_REASON, reason)
        return storage.set_trial_state_values(trial_id, state=TrialState.FAIL)
    except UpdateFinishedTrialError:  # another worker was quicker
        return False
