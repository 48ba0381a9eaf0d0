"""What became of a trial, and whether that says something about its parameters.

A failure is a crash of the configuration unless something says otherwise: the objective by a user
attribute, Optuna by a lost heartbeat or a retry, the sampler where the user interrupted the study.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial
from optuna.trial import TrialState


EXTERNAL_FAILURE_ATTR = "failure_is_external"
"""User attribute, True on a failed trial that says nothing about its parameters."""

WATCHED_ATTR = "scoot:watched"
"""System attribute of a trial whose own worker says how it ends, if it still can: in the loop of
``study.optimize``, or with a heartbeat."""

TOLD_ATTR = "scoot:told"
"""System attribute, True on such a trial whose worker did say so."""

PHASE_ATTR = "scoot:phase"
_RETRY_HISTORY_ATTR = "retry_history"
_FIXED_PARAMS_ATTR = "fixed_params"

# A running trial counts as lost once so many times as many later ones have completed as others
# run with it: its worker was killed, and nothing in the storage will ever say so.
_OVERTAKEN = 5

FailureFilter = Callable[[FrozenTrial], bool]


class Outcome(Enum):
    """What a trial says about its parameters."""

    COMPLETED = "completed"
    CRASHED = "crashed"
    PRUNED = "pruned"
    RUNNING = "running"
    NOTHING = "nothing"


def outcomes_of(
    trials: Sequence[FrozenTrial], failure_filter: FailureFilter | None = None
) -> list[Outcome]:
    """Return of each trial what it says about its parameters.

    Args:
        trials: All of a study, in the order of their numbers.
        failure_filter: Says of a failed trial whether it says something about its parameters.
    """
    silent = _retried_numbers(trials) | _overtaken_numbers(trials)
    completed: set[str] = set()
    if any(t.state == TrialState.PRUNED and not t.intermediate_values for t in trials):
        completed = {_key(t.params) for t in trials if t.state == TrialState.COMPLETE}

    def outcome(trial: FrozenTrial) -> Outcome:
        if trial.number in silent:
            return Outcome.NOTHING
        if trial.state == TrialState.COMPLETE:
            return Outcome.COMPLETED
        if trial.state == TrialState.RUNNING:
            return Outcome.RUNNING
        if trial.state == TrialState.WAITING or _is_external(trial):
            return Outcome.NOTHING
        if trial.state == TrialState.PRUNED:
            if trial.intermediate_values:
                return Outcome.PRUNED
            # Cut before it reported: it does not fit. A point that has completed does; many
            # scripts prune what they need not measure twice.
            if _key(trial.params) in completed:
                return Outcome.NOTHING
        if failure_filter is not None and not failure_filter(trial):
            return Outcome.NOTHING
        return Outcome.CRASHED

    return [outcome(trial) for trial in trials]


def is_true(value: Any) -> bool:
    """Return whether an attribute means yes: True, NumPy's or Python's, or a number but 0."""
    return isinstance(value, (bool, np.bool_, numbers.Number)) and bool(value)


def is_enqueued(trial: FrozenTrial) -> bool:
    """Return whether the user alone, no sampler, chose the trial's parameters."""
    return _FIXED_PARAMS_ATTR in trial.system_attrs and PHASE_ATTR not in trial.user_attrs


def enqueued_params(trial: FrozenTrial) -> dict[str, Any]:
    """Return the parameters of a trial that the user chose; empty for a suggested trial."""
    return dict(trial.system_attrs.get(_FIXED_PARAMS_ATTR, {}))


def _is_external(trial: FrozenTrial) -> bool:
    attrs = trial.system_attrs
    told = WATCHED_ATTR not in attrs or is_true(attrs.get(TOLD_ATTR))
    lost = trial.state == TrialState.FAIL and not told
    return lost or is_true(trial.user_attrs.get(EXTERNAL_FAILURE_ATTR))


def _retried_numbers(trials: Sequence[FrozenTrial]) -> set[int]:
    """Return the numbers of trials that a later trial retries after a lost heartbeat."""
    numbers: set[int] = set()
    for trial in trials:
        numbers.update(trial.system_attrs.get(_RETRY_HISTORY_ATTR, ()))
    return numbers


def _overtaken_numbers(trials: Sequence[FrozenTrial]) -> set[int]:
    """Return the numbers of running trials that count as lost.

    Counted in trials, not in seconds: the clocks of several machines need not agree.
    """
    lost: set[int] = set()
    completed = running = 0
    for trial in reversed(trials):
        if trial.state == TrialState.COMPLETE:
            completed += 1
        elif trial.state == TrialState.RUNNING:
            if completed > _OVERTAKEN * max(running, 1):
                lost.add(trial.number)
            else:
                running += 1
    return lost


def _key(params: dict[str, Any]) -> str:
    return repr(sorted(params.items()))
