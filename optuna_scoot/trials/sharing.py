"""Points that workers show each other: a running trial's parameters, before it suggests them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.trials.outcomes import enqueued_params


RELATIVE_PARAMS_ATTR = "scoot:relative_params"
"""System attributes of a trial, numbered: the JSON text of its parameters, in pieces."""

_RDB_VALUE_LENGTH = 2045  # the longest system attribute that Optuna's RDB storage takes


def known_params(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's parameters, for a running one also those published but not yet suggested.

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


def share(study: Study, trial: FrozenTrial, params: Mapping[str, Any], before: str = "") -> str:
    """Show a trial's point to other workers.

    Args:
        study: The trial's.
        trial: Running.
        params: The point.
        before: The text that shows an earlier choice of the trial.

    Returns:
        The text that shows this one.
    """
    # Padded, so that no end of a longer text stays behind it. A choice that JSON cannot hold
    # is no other worker's either: Optuna keeps such choices in memory alone.
    text = json.dumps(params, default=str).ljust(len(before))
    for i, start in enumerate(range(0, len(text), _RDB_VALUE_LENGTH)):
        chunk = text[start : start + _RDB_VALUE_LENGTH]
        study._storage.set_trial_system_attr(trial._trial_id, f"{RELATIVE_PARAMS_ATTR}:{i}", chunk)
    return text


def chosen_meanwhile(
    study: Study, trial: FrozenTrial, seen: Sequence[FrozenTrial], params: Mapping[str, Any]
) -> bool:
    """Return whether a worker that asked in the same instant chose the same point.

    Both have shared their point before they look; the younger trial gives way.

    Args:
        study: The trial's.
        trial: Running, its point shared.
        seen: The trials by which the point was chosen.
        params: The point.
    """
    running = study._get_trials(deepcopy=False, states=(TrialState.RUNNING,), use_cache=False)
    now, before = (
        {
            t.number
            for t in trials
            if t.state == TrialState.RUNNING and params.items() <= known_params(t).items()
        }
        for trials in (running, seen)
    )
    return any(number < trial.number for number in now - before)
