"""A study's trials to arrays: completed, crashed, pruned and running ones as points of the cube.

Nothing here remembers anything: the same trials give the same arrays in every worker.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.observations import Observations
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.trials.history import History
from optuna_scoot.trials.history import Record
from optuna_scoot.trials.measured import measured_constraints
from optuna_scoot.trials.outcomes import PHASE_ATTR
from optuna_scoot.trials.outcomes import Outcome
from optuna_scoot.trials.outcomes import is_enqueued
from optuna_scoot.trials.outcomes import is_true
from optuna_scoot.trials.reports import believed_finals


DEFAULT_CONFIGURATION_ATTR = "default_configuration"
"""User attribute, True on the trial that holds the default configuration."""


def observe(
    history: History,
    space: SearchSpace,
    directions: Sequence[StudyDirection],
    *,
    records: Sequence[Record] | None = None,
    reference_point: Sequence[float] | None = None,
) -> Observations:
    """Return what a study has seen.

    Args:
        history: All of its trials.
        space: The parameters to look at.
        directions: Of the m objectives.
        records: The trials that say something about these parameters, but the one that asks;
            None: all of the history's.
        reference_point: The user's, in the study's own units and directions.

    Raises:
        ValueError: When the reference point does not have one value an objective.
    """
    signs = np.array([-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions])
    by_outcome: dict[Outcome, list[Record]] = {outcome: [] for outcome in Outcome}
    outcomes: list[bool] = []
    completed = by_outcome[Outcome.COMPLETED]
    for record in history.records(space.distributions) if records is None else records:
        if _is_of_model(record.trial) and record.outcome is not Outcome.RUNNING:
            outcomes.append(record.outcome is not Outcome.CRASHED)
        by_outcome[record.outcome].append(record)
    x, crashed, pruned, pending = (
        space.to_unit([record.params for record in by_outcome[outcome]])
        for outcome in (Outcome.COMPLETED, Outcome.CRASHED, Outcome.PRUNED, Outcome.RUNNING)
    )
    values = np.array([r.trial.values for r in completed], dtype=float)
    values = values.reshape(-1, len(signs)) * signs
    measured = _constraints(
        [r.trial for r in completed], [r.trial for r in by_outcome[Outcome.PRUNED]]
    )
    return Observations(
        x=x,
        values=replace_infinities(values),
        constraints=measured[: len(completed)],
        crashed=crashed,
        pruned=pruned,
        pending=pending,
        outcomes=tuple(outcomes),
        reference_point=_reference_point(history, signs, reference_point),
        pruned_values=_pruned_values(by_outcome[Outcome.PRUNED], completed, signs),
        pruned_constraints=measured[len(completed) :],
    )


def _pruned_values(
    pruned: Sequence[Record], completed: Sequence[Record], signs: np.ndarray
) -> np.ndarray | None:
    """Return what pruned trials are believed to reach, (p, 1); only one objective has reports."""
    if len(signs) > 1 or not pruned:
        return None
    sign = float(signs[0])

    def reports(records: Iterable[Record]) -> list[dict[int, float]]:
        return [{k: sign * v for k, v in r.trial.intermediate_values.items()} for r in records]

    finals = [sign * record.trial.values[0] for record in completed]
    return believed_finals(reports(pruned), reports(completed), finals)[:, np.newaxis]


def _is_of_model(trial: FrozenTrial) -> bool:
    """Return whether a model chose the trial's parameters, another sampler's included."""
    return trial.user_attrs.get(PHASE_ATTR, "model") == "model" and not is_enqueued(trial)


def _constraints(
    completed: Sequence[FrozenTrial], pruned: Sequence[FrozenTrial] = ()
) -> np.ndarray:
    """Return the measured constraints by name of n completed and p pruned trials: (n + p, c).

    A completed trial that did not set one has kept it: 0. Of a pruned one nothing is known: NaN.
    """
    by_trial = [measured_constraints(t) for t in (*completed, *pruned)]
    names = sorted({name for constraints in by_trial for name in constraints})
    unset = [0.0] * len(completed) + [np.nan] * len(pruned)
    rows = [
        [float(c.get(name, value)) for name in names]
        for c, value in zip(by_trial, unset, strict=True)
    ]
    measured = np.array(rows, dtype=float).reshape(len(by_trial), len(names))
    bounded = replace_infinities(measured)
    # Among finite values of one sign, an infinity keeps its own.
    reach = np.max(np.abs(np.nan_to_num(bounded)), axis=0, initial=1e-9)
    bounded = np.where(np.isposinf(measured), reach, bounded)
    return np.where(np.isneginf(measured), -reach, bounded)


def _reference_point(
    history: History, signs: np.ndarray, given: Sequence[float] | None
) -> np.ndarray | None:
    """Return the default configuration's values (paper, section IV-E2), None when there are none.

    The default is the first trial that is marked so and says something about its parameters.

    Raises:
        ValueError: When the given point does not have one value an objective.
    """
    if given is not None:
        if len(given) != len(signs):
            raise ValueError(
                f"reference_point has {len(given)} values, but the study has {len(signs)} "
                "objectives; give one value an objective."
            )
        return np.asarray(np.asarray(given, dtype=float) * signs)
    default = next(
        (
            trial
            for trial, outcome in zip(history.trials, history.outcomes, strict=True)
            if outcome is not Outcome.NOTHING
            and is_true(trial.user_attrs.get(DEFAULT_CONFIGURATION_ATTR))
        ),
        None,
    )
    if default is None or default.state != TrialState.COMPLETE:
        return None
    values = np.asarray(default.values, dtype=float) * signs
    return values if np.all(np.isfinite(values)) else None


def replace_infinities(values: np.ndarray) -> np.ndarray:
    """Return values (n, m) with ±inf replaced by their column's largest or smallest finite one.

    A column without any finite value becomes -1 and +1 by sign.
    """
    out = np.array(values, dtype=float)
    for column in out.T:
        finite = column[np.isfinite(column)]
        low, high = (finite.min(), finite.max()) if len(finite) else (-1.0, 1.0)
        np.clip(column, low, high, out=column)
    return out
