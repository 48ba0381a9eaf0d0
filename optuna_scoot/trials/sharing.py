"""Points that workers show each other: a running trial's parameters, before it suggests them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

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
    """Return whether another worker chose the same point while this one was thinking.

    Every worker shares its point before it looks: of two, the one that shared last sees the
    other's, whose trial may have ended already. Who sees one gives way.

    Args:
        study: The trial's.
        trial: Running, its point shared.
        seen: The trials by which the point was chosen.
        params: The point.
    """
    now = study._get_trials(deepcopy=False, use_cache=False)
    finished_before = {t.number for t in seen if t.state.is_finished()}
    chosen, before = (
        {t.number for t in trials if params.items() <= known_params(t).items()}
        for trials in (
            [t for t in now if t.number not in finished_before],
            [t for t in seen if not t.state.is_finished()],
        )
    )
    return bool(chosen - before - {trial.number})
