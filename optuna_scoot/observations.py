"""Study to arrays: completed, crashed and running trials as points of the unit cube.

Nothing here remembers anything: the same trials give the same arrays in every worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.outputs import replace_infinities
from optuna_scoot.space import SearchSpace


EXTERNAL_FAILURE_ATTR = "failure_is_external"
"""User attribute, True on a failed trial that says nothing about its parameters."""

DEFAULT_CONFIGURATION_ATTR = "default_configuration"
"""User attribute, True on the trial that holds the default configuration."""

RELATIVE_PARAMS_ATTR = "scoot:relative_params"
PHASE_ATTR = "scoot:phase"
_RETRY_HISTORY_ATTR = "retry_history"
_FIXED_PARAMS_ATTR = "fixed_params"

FailureFilter = Callable[[FrozenTrial], bool]


@dataclass(frozen=True)
class Observations:
    """What a study has seen, in the unit cube of d parameters; every objective is minimised.

    Args:
        x: Completed trials, shape (n, d).
        values: Their objective values, signs turned so that less is better, shape (n, m).
        constraints: Their measured constraints, satisfied where ≤ 0, shape (n, c); c may be 0.
        crashed: Points that crashed, shape (k, d).
        crashed_by_model: Which of these the model suggested, Booleans of shape (k,).
        pruned: Points that ran without a final value, shape (p, d).
        pending: Points that run now, shape (r, d).
        outcomes: For each finished suggestion of the model, in order, whether it ran.
        completed_before: For each of these, how many trials before it have completed.
        reference_point: Of the hypervolume, signs turned alike, shape (m,), None when unknown.
    """

    x: np.ndarray
    values: np.ndarray
    constraints: np.ndarray
    crashed: np.ndarray
    crashed_by_model: np.ndarray
    pruned: np.ndarray
    pending: np.ndarray
    outcomes: tuple[bool, ...]
    completed_before: tuple[int, ...]
    reference_point: np.ndarray | None

    @property
    def satisfied(self) -> np.ndarray:
        """Whether each completed trial satisfied every measured constraint, shape (n,)."""
        return np.asarray(np.all(self.constraints <= 0.0, axis=1))


def observe(
    trials: Sequence[FrozenTrial],
    space: SearchSpace,
    directions: Sequence[StudyDirection],
    *,
    failure_filter: FailureFilter | None = None,
    reference_point: Sequence[float] | None = None,
    before: int | None = None,
) -> Observations:
    """Read a study's trials.

    Args:
        trials: All of them, in the order of their numbers.
        space: The parameters to look at; trials that lack one of them are passed over.
        directions: Of the m objectives.
        failure_filter: Tells of a failed trial whether it says something about its parameters.
        reference_point: The user's, in the study's own units and directions.
        before: The number of the trial that asks; its own entry is passed over.
    """
    signs = np.array([-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions])
    retried = retried_numbers(trials)
    completed: list[FrozenTrial] = []
    points: dict[str, list[Mapping[str, Any]]] = {"ran": [], "crash": [], "cut": [], "runs": []}
    outcomes: list[bool] = []
    completed_before: list[int] = []
    crashed_by_model: list[bool] = []
    for trial in trials:
        params = known_params(trial)
        if trial.number == before or not space.covers(params):
            continue
        by_model = _is_of_model(trial)
        if trial.state == TrialState.COMPLETE:
            completed.append(trial)
            points["ran"].append(params)
        elif trial.state == TrialState.FAIL and is_crash(trial, retried, failure_filter):
            points["crash"].append(params)
            crashed_by_model.append(by_model)
        elif trial.state == TrialState.PRUNED:
            points["cut"].append(params)
        elif trial.state == TrialState.RUNNING:
            points["runs"].append(params)
            continue
        else:
            continue
        if by_model:
            outcomes.append(trial.state != TrialState.FAIL)
            completed_before.append(len(completed) - (trial.state == TrialState.COMPLETE))
    values = np.array([t.values for t in completed], dtype=float).reshape(-1, len(signs)) * signs
    return Observations(
        x=space.to_unit(points["ran"]),
        values=replace_infinities(values),
        constraints=_constraints(completed),
        crashed=space.to_unit(points["crash"]),
        crashed_by_model=np.array(crashed_by_model, dtype=bool),
        pruned=space.to_unit(points["cut"]),
        pending=space.to_unit(points["runs"]),
        outcomes=tuple(outcomes),
        completed_before=tuple(completed_before),
        reference_point=_reference_point(trials, signs, reference_point),
    )


def is_crash(
    trial: FrozenTrial, retried: set[int], failure_filter: FailureFilter | None = None
) -> bool:
    """Tell whether a failed trial's parameters are to blame.

    They are not when the objective marked the failure as external, or when the trial lost its
    heartbeat and a retry lists it.
    """
    if trial.user_attrs.get(EXTERNAL_FAILURE_ATTR) is True or trial.number in retried:
        return False
    return failure_filter is None or bool(failure_filter(trial))


def retried_numbers(trials: Sequence[FrozenTrial]) -> set[int]:
    """Give the numbers of trials that a later trial retries after a lost heartbeat."""
    numbers: set[int] = set()
    for trial in trials:
        numbers.update(trial.system_attrs.get(_RETRY_HISTORY_ATTR, ()))
    return numbers


def _is_of_model(trial: FrozenTrial) -> bool:
    """Tell whether a model chose the trial's parameters, another sampler's included."""
    return trial.user_attrs.get(PHASE_ATTR, "model") == "model" and not is_enqueued(trial)


def is_enqueued(trial: FrozenTrial) -> bool:
    """Tell whether the user, not a sampler, chose the trial's parameters."""
    return _FIXED_PARAMS_ATTR in trial.system_attrs


def enqueued_params(trial: FrozenTrial) -> dict[str, Any]:
    """Give the parameters of a trial that the user chose; empty for a suggested trial."""
    return dict(trial.system_attrs.get(_FIXED_PARAMS_ATTR, {}))


def known_params(trial: FrozenTrial) -> dict[str, Any]:
    """Give a trial's parameters, for a running one also those published but not yet suggested.

    A running trial of another worker may have published nothing yet, or half of it.
    """
    if trial.state.is_finished():
        return dict(trial.params)
    chunks: list[str] = []
    while (chunk := trial.system_attrs.get(f"{RELATIVE_PARAMS_ATTR}:{len(chunks)}")) is not None:
        chunks.append(chunk)
    try:
        published = json.loads("".join(chunks)) if chunks else {}
    except json.JSONDecodeError:
        published = {}
    return {**published, **enqueued_params(trial), **trial.params}


def infer_search_space(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Give the parameters that all completed trials have in common, with equal distributions.

    Optuna's ``IntersectionSearchSpace`` passes failed trials over, so that a study that begins
    with crashes has no space at all. Where nothing has completed, the failed trials count; one
    that failed half-way lacks the later parameters, so the fullest of them decides.
    """
    completed = [t for t in trials if t.state == TrialState.COMPLETE]
    if completed:
        space: dict[str, BaseDistribution] = dict(completed[0].distributions)
        for trial in completed[1:]:
            space = {k: d for k, d in space.items() if trial.distributions.get(k) == d}
    else:
        others = [t for t in trials if t.state in (TrialState.FAIL, TrialState.PRUNED)]
        fullest = max(others, key=lambda trial: len(trial.distributions), default=None)
        space = {} if fullest is None else dict(fullest.distributions)
        for trial in others:
            space = {k: d for k, d in space.items() if trial.distributions.get(k, d) == d}
    return {name: d for name, d in sorted(space.items()) if not d.single()}


def _constraints(completed: Sequence[FrozenTrial]) -> np.ndarray:
    """Give the measured constraints by name, shape (n, c); 0 where a trial did not set one."""
    by_trial = [dict(t.constraints) for t in completed]
    names = sorted({name for constraints in by_trial for name in constraints})
    rows = [[float(c.get(name, 0.0)) for name in names] for c in by_trial]
    measured = np.array(rows, dtype=float).reshape(len(by_trial), len(names))
    bounded = replace_infinities(measured)
    # Beside finite values of one sign alone, an infinity keeps its own.
    reach = np.max(np.abs(bounded), axis=0, initial=1e-9)
    bounded = np.where(np.isposinf(measured), reach, bounded)
    return np.where(np.isneginf(measured), -reach, bounded)


def _reference_point(
    trials: Sequence[FrozenTrial], signs: np.ndarray, given: Sequence[float] | None
) -> np.ndarray | None:
    """Give the default configuration's values (paper, section IV-E2), None when there are none.

    The default is the trial so marked, otherwise the first one that the user enqueued. One that
    failed for reasons outside its parameters was never run: the next one stands in.

    Raises:
        ValueError: When the given point has not one value an objective.
    """
    if given is not None:
        if len(given) != len(signs):
            raise ValueError(
                f"reference_point has {len(given)} values, but the study has {len(signs)} "
                "objectives; give one value an objective."
            )
        return np.asarray(np.asarray(given, dtype=float) * signs)
    retried = retried_numbers(trials)
    tried = [t for t in trials if t.state != TrialState.FAIL or is_crash(t, retried)]
    marked = [t for t in tried if t.user_attrs.get(DEFAULT_CONFIGURATION_ATTR) is True]
    default = next(iter(marked or (t for t in tried if is_enqueued(t))), None)
    if default is None or default.state != TrialState.COMPLETE:
        return None
    values = np.asarray(default.values, dtype=float) * signs
    return values if np.all(np.isfinite(values)) else None
