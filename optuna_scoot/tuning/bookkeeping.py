"""Which trials of a study count, which were lost with their worker, and what became of each.

A trial counts when it told something about its configuration: it completed, or it crashed. One
that failed for another reason (interrupted, a lost worker, a busy port) carries the user attribute
``failure_is_external`` and is neither counted nor shown to the sampler's model of crashes.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
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


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial


WORKER = "worker"
"""User attribute: which process runs the trial."""
RETRY_OF = "retry_of"
"""User attribute: the number of the trial that failed for an outside reason and is tried again."""
CHECK = "check_of"
"""User attribute: the words over which a configuration that ran before is tried again."""
ORDER = "arrival_order"
"""User attribute of a measurement for the verdict: the number of its arrival order, from 1."""
CONFIGURATION = "configuration"
"""User attribute of such a measurement: which configuration it is, as in "trial 14"."""
KEPT_BY_RETRIES = (DEFAULT_CONFIGURATION, CHECK, ORDER, CONFIGURATION)
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
    tried = [
        {**enqueued_params(trial), **trial.params}
        for trial in study.trials
        if not is_external(trial)
    ]
    for params in wanted:
        whole = {**default, **params}
        if not any(whole.items() <= known.items() for known in tried):
            study.enqueue_trial(whole)


def try_again(study: Study, trial: FrozenTrial) -> None:
    """Have the configuration of a trial that failed for an outside reason tried next."""
    attrs = purpose(trial)
    study.enqueue_trial(dict(trial.params), user_attrs={**attrs, RETRY_OF: trial.number})


def purpose(trial: FrozenTrial) -> dict[str, Any]:
    """Return the user attributes that a trial's retry has to have as well."""
    return {k: trial.user_attrs[k] for k in KEPT_BY_RETRIES if k in trial.user_attrs}


def claim(trial: Trial) -> None:
    """Write down which process runs the trial, so that its loss can be noticed at once."""
    trial.set_user_attr(WORKER, worker_id(os.getpid()))


def fail_own_trials(study: Study) -> None:
    """Fail what this process left running, as after an interrupt, as no fault of theirs."""
    me = worker_id(os.getpid())
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(WORKER) == me:
            _fail_externally(study, trial._trial_id, "interrupted")


def fail_lost_trials(study: Study) -> int:
    """Fail the running trials whose worker is gone, as no fault of their configurations.

    A worker is gone when its process on this machine no longer exists, or when its heartbeat in
    the database has stopped for longer than the grace period, wherever it ran.

    Returns:
        How many trials were failed.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    lost = {t._trial_id for t in running if is_gone(t.user_attrs.get(WORKER))}
    stale = getattr(study._storage, "_get_stale_trial_ids", None)
    if stale is not None:
        lost.update(stale(study._study_id))
    return sum(_fail_externally(study, trial_id, "worker_lost") for trial_id in sorted(lost))


def _fail_externally(study: Study, trial_id: int, reason: str) -> bool:
    storage = study._storage
    try:
        storage.set_trial_user_attr(trial_id, FAILURE_IS_EXTERNAL, True)
        storage.set_trial_user_attr(trial_id, EXTERNAL_REASON, reason)
        return storage.set_trial_state_values(trial_id, state=TrialState.FAIL)
    except UpdateFinishedTrialError:  # another worker was quicker
        return False


def worker_id(pid: int) -> str:
    """Return a process's name among all machines and times: machine, process id, start time."""
    return f"{_machine()}:{pid}:{_start_time(pid)}"


def ran_here(trial: FrozenTrial) -> bool:
    """Return whether the trial ran on this machine, as far as it says where."""
    return machine_of(trial) in (None, _machine())


def machine_of(trial: FrozenTrial) -> str | None:
    """Return the machine that the trial ran on, None when it does not say."""
    worker = trial.user_attrs.get(WORKER)
    return None if worker is None else str(worker).partition(":")[0]


def is_gone(worker: object) -> bool:
    """Return whether the worker ran on this machine and no longer does; False if unknown.

    Args:
        worker: What ``worker_id`` gave, as read from a trial.
    """
    if not isinstance(worker, str) or worker.count(":") != 2:
        return False
    machine, pid, started = worker.split(":")
    if machine != _machine() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return started != _start_time(int(pid))


def _machine() -> str:
    """Return this machine's name, with the container's: it counts its processes on its own."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name.replace(":", "")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}{namespace}".replace(":", "")


def _start_time(pid: int) -> str:
    """Return the start time in clock ticks since boot, or "" where the system does not tell."""
    try:
        # The second field, the command's name, may hold blanks and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if fields[0] == "Z" else fields[19]
