"""The limits that were measured of a trial, and a copy of them for optuna-dashboard.

``trial.set_constraint`` stores a system attribute a constraint. optuna-dashboard 0.21 reads the
list that Optuna before 5.0 stored, and shows every trial without it as feasible.
``copy_for_dashboard`` adds that list, and ``measured_constraints`` takes it for what it is, not
for further constraints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.samplers import GPSampler
from optuna.trial import TrialState


if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial


LIMITS = "limits"
"""User attribute: "kept", or which constraints the trial misses by how much."""
_LIST = "constraints"
_NAMED = "constraints:"
_LARGEST = 1e9
"""What stands for infinity, which a browser cannot read."""


def measured_constraints(trial: FrozenTrial) -> dict[str, float]:
    """Return each measured constraint by its name, ≤ 0 where it is kept; no copy of one.

    Args:
        trial: In any state.
    """
    if _has_copy(trial.system_attrs):
        return _named(trial.system_attrs)
    return {name: float(value) for name, value in dict(trial.constraints).items()}


def copy_for_dashboard(study: Study, trial: Trial) -> None:
    """Store a running trial's constraints once more, as optuna-dashboard shows them.

    That is as a list, by which it tells apart what is feasible, and in words, for it has none for
    which constraint is missed by how much.

    Samplers of Optuna count the copy as further constraints. So a study whose earlier trials have
    none, as of an earlier version, stays without; and so does one of ``GPSampler``, which models
    each: the others add up or compare violations, where twice the sum is in the same order.

    Args:
        study: The trial's.
        trial: It runs, and has all the constraints that it will have.
    """
    storage = study._storage
    named = _named(storage.get_trial(trial._trial_id).system_attrs)
    if not named:
        return
    trial.set_user_attr(LIMITS, _in_words(named))
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    earlier = [t.system_attrs for t in done if _named(t.system_attrs)]
    if all(map(_has_copy, earlier)) and (earlier or not isinstance(study.sampler, GPSampler)):
        storage.set_trial_system_attr(trial._trial_id, _LIST, _as_list(named))


def _in_words(named: Mapping[str, float]) -> str:
    missed = {name: excess for name, excess in named.items() if excess > 0.0}
    told = ", ".join(f"{name} by {100 * excess:.3g} %" for name, excess in missed.items())
    return f"misses {told}" if missed else "kept"


def _has_copy(system_attrs: Mapping[str, Any]) -> bool:
    named = _named(system_attrs)
    return bool(named) and system_attrs.get(_LIST) == _as_list(named)


def _named(system_attrs: Mapping[str, Any]) -> dict[str, float]:
    return {
        key.removeprefix(_NAMED): float(value)
        for key, value in system_attrs.items()
        if key.startswith(_NAMED)
    }


def _as_list(named: Mapping[str, float]) -> list[float]:
    return [min(_LARGEST, max(-_LARGEST, named[name])) for name in sorted(named)]
