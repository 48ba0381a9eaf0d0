"""Study to arrays: completed, crashed, pruned and running trials as points of the unit cube.

Nothing here remembers anything: the same trials give the same arrays in every worker.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.space.activity import Activity
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.surrogate.outputs import replace_infinities
from optuna_scoot.trials.outcomes import PHASE_ATTR
from optuna_scoot.trials.outcomes import FailureFilter
from optuna_scoot.trials.outcomes import Outcome
from optuna_scoot.trials.outcomes import enqueued_params
from optuna_scoot.trials.outcomes import is_enqueued
from optuna_scoot.trials.outcomes import is_true
from optuna_scoot.trials.outcomes import outcomes_of
from optuna_scoot.trials.reports import believed_finals


DEFAULT_CONFIGURATION_ATTR = "default_configuration"
"""User attribute, True on the trial that holds the default configuration."""

RELATIVE_PARAMS_ATTR = "scoot:relative_params"

_MOST_PARAMETERS = 128  # of a space that is inferred: some objectives name theirs anew each time


@dataclass(frozen=True)
class _Record:
    """A trial that says something about its parameters.

    Args:
        trial: The trial.
        params: Its parameters, those of the search space alone.
        outcome: What it says; never ``Outcome.NOTHING``.
    """

    trial: FrozenTrial
    params: Mapping[str, Any]
    outcome: Outcome


def _records(
    trials: Sequence[FrozenTrial],
    space: SearchSpace,
    failure_filter: FailureFilter | None,
    before: int | None,
) -> list[_Record]:
    """Read which trials say something about the parameters of a search space.

    Trials that have none of its parameters, or a value outside of it, are passed over.
    """
    records = []
    for trial, outcome in zip(trials, outcomes_of(trials, failure_filter), strict=True):
        if outcome is Outcome.NOTHING or trial.number == before:
            continue
        params = known_params(trial)
        if space.covers(params):
            own = {name: params[name] for name in space.names if name in params}
            records.append(_Record(trial, own, outcome))
    return _without_half_ways(records, space.distributions)


def _without_half_ways(
    records: list[_Record], distributions: Mapping[str, BaseDistribution]
) -> list[_Record]:
    """Leave out trials that crashed before all of their parameters were drawn.

    One lacks parameters that another trial with the same categorical levels has. Where some trial
    has completed with the same parameters, they were all.
    """
    levels = [n for n, d in distributions.items() if isinstance(d, CategoricalDistribution)]

    def shape(params: Mapping[str, Any]) -> tuple[frozenset[str], str]:
        return frozenset(params), repr([params[n] for n in levels if n in params])

    whole = {frozenset(r.params) for r in records if r.outcome is Outcome.COMPLETED}
    shapes = {shape(r.params): r.params for r in records if r.outcome is not Outcome.RUNNING}

    def is_half_way(record: _Record) -> bool:
        own = record.params
        if record.outcome is not Outcome.CRASHED or frozenset(own) in whole:
            return False
        return any(
            own.keys() < other.keys() and all(own[n] == other[n] for n in levels if n in own)
            for other in shapes.values()
        )

    return [record for record in records if not is_half_way(record)]


def conditional_space(
    trials: Sequence[FrozenTrial],
    distributions: Mapping[str, BaseDistribution],
    pinned: Mapping[str, Any] | None = None,
    failure_filter: FailureFilter | None = None,
) -> SearchSpace:
    """Build the search space, with what the trials tell of which parameters are asked for when.

    Args:
        trials: All of a study, in the order of their numbers.
        distributions: Of the parameters.
        pinned: Values of parameters that are settled.
        failure_filter: Tells of a failed trial whether it says something about its parameters.
    """
    space = SearchSpace(distributions)
    if all(distributions.keys() <= t.params.keys() for t in trials if t.state.is_finished()):
        return SearchSpace(distributions, pinned)
    records = _records(trials, space, failure_filter, before=None)
    finished = [r.params for r in records if r.outcome is not Outcome.RUNNING]
    asked = np.array([[name in p for name in distributions] for p in finished], dtype=bool)
    if asked.all():
        return SearchSpace(distributions, pinned)
    features = space.features(space.to_unit(finished))
    activity = Activity(features, space.owners(), space.level_features(), asked)
    return SearchSpace(distributions, pinned, activity)


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
        pruned_values: What pruned points would have reached by their reports, shape (p, m), NaN
            where they tell nothing; None where nothing was reported at all.
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
    pruned_values: np.ndarray | None = None

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
        space: The parameters to look at; trials that have none of them, or a value outside of
            it, are passed over.
        directions: Of the m objectives.
        failure_filter: Tells of a failed trial whether it says something about its parameters.
        reference_point: The user's, in the study's own units and directions.
        before: The number of the trial that asks; its own entry is passed over.

    Raises:
        ValueError: When the reference point has not one value an objective.
    """
    signs = np.array([-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions])
    by_outcome: dict[Outcome, list[_Record]] = {outcome: [] for outcome in Outcome}
    outcomes: list[bool] = []
    completed_before: list[int] = []
    completed = by_outcome[Outcome.COMPLETED]
    for record in _records(trials, space, failure_filter, before):
        if _is_of_model(record.trial) and record.outcome is not Outcome.RUNNING:
            outcomes.append(record.outcome is not Outcome.CRASHED)
            completed_before.append(len(completed))
        by_outcome[record.outcome].append(record)
    x, crashed, pruned, pending = (
        space.to_unit([record.params for record in by_outcome[outcome]])
        for outcome in (Outcome.COMPLETED, Outcome.CRASHED, Outcome.PRUNED, Outcome.RUNNING)
    )
    values = np.array([r.trial.values for r in completed], dtype=float)
    values = values.reshape(-1, len(signs)) * signs
    by_model = [_is_of_model(record.trial) for record in by_outcome[Outcome.CRASHED]]
    return Observations(
        x=x,
        values=replace_infinities(values),
        constraints=_constraints([r.trial for r in completed]),
        crashed=crashed,
        crashed_by_model=np.array(by_model, dtype=bool),
        pruned=pruned,
        pending=pending,
        outcomes=tuple(outcomes),
        completed_before=tuple(completed_before),
        reference_point=_reference_point(trials, signs, reference_point, failure_filter),
        pruned_values=_pruned_values(by_outcome[Outcome.PRUNED], completed, signs),
    )


def _pruned_values(
    pruned: Sequence[_Record], completed: Sequence[_Record], signs: np.ndarray
) -> np.ndarray | None:
    """Give the believed values of pruned trials, shape (p, 1); only one objective has reports."""
    if len(signs) > 1 or not pruned:
        return None
    sign = float(signs[0])

    def reports(records: Iterable[_Record]) -> list[dict[int, float]]:
        return [{k: sign * v for k, v in r.trial.intermediate_values.items()} for r in records]

    finals = [sign * record.trial.values[0] for record in completed]
    return believed_finals(reports(pruned), reports(completed), finals)[:, np.newaxis]


def _is_of_model(trial: FrozenTrial) -> bool:
    """Tell whether a model chose the trial's parameters, another sampler's included."""
    return trial.user_attrs.get(PHASE_ATTR, "model") == "model" and not is_enqueued(trial)


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
    """Give the parameters that trials have asked for, those with one distribution in all of them.

    Optuna's ``IntersectionSearchSpace`` keeps to what completed trials have in common: a study
    that begins with crashes has no space at all, nor have the branches of a conditional one. Here
    a parameter belongs to the space once a finished trial has it. Completed trials decide on its
    distribution, others where it is in none of these.
    """
    found: dict[str, BaseDistribution] = {}
    changed: set[str] = set()
    count: Counter[str] = Counter()
    finished = [t for t in trials if t.state.is_finished()]
    for completed in (True, False):
        of_these: dict[str, BaseDistribution] = {}
        for trial in finished:
            if (trial.state == TrialState.COMPLETE) != completed:
                continue
            for name, distribution in trial.distributions.items():
                count[name] += 1
                if name not in found and of_these.setdefault(name, distribution) != distribution:
                    changed.add(name)
        found.update(of_these)
    usual = {name for name, _ in count.most_common(_MOST_PARAMETERS)} - changed
    return {name: d for name, d in sorted(found.items()) if name in usual and not d.single()}


def infer_singles(completed: Sequence[FrozenTrial]) -> dict[str, Any]:
    """Give the parameters, with their values, that have one value in all completed trials."""
    if not completed:
        return {}
    first = completed[0]
    return {
        name: first.params[name]
        for name, distribution in first.distributions.items()
        if distribution.single()
        and all(t.distributions.get(name) == distribution for t in completed)
    }


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
    trials: Sequence[FrozenTrial],
    signs: np.ndarray,
    given: Sequence[float] | None,
    failure_filter: FailureFilter | None,
) -> np.ndarray | None:
    """Give the default configuration's values (paper, section IV-E2), None when there are none.

    The default is the first trial that is marked so and says something about its parameters.

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
    marked = [is_true(t.user_attrs.get(DEFAULT_CONFIGURATION_ATTR)) for t in trials]
    if not any(marked):
        return None
    said = zip(trials, marked, outcomes_of(trials, failure_filter), strict=True)
    default = next((t for t, m, o in said if m and o is not Outcome.NOTHING), None)
    if default is None or default.state != TrialState.COMPLETE:
        return None
    values = np.asarray(default.values, dtype=float) * signs
    return values if np.all(np.isfinite(values)) else None
