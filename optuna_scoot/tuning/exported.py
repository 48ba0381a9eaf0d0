"""A trial of a tuned study as the configuration file of an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.trial import TrialState

from objectives.serving import CRASH_REASON
from objectives.serving import ENDED_EARLY
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.report import limits_of
from optuna_scoot.tuning.report import study_metrics
from optuna_scoot.tuning.serving_config import Serving


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


def export(study: Study, number: int) -> str:
    """Return a trial's configuration as ``vllm serve --config`` reads it.

    It holds the overrides alone, with the default's value beside each. Neither the engine nor what
    was tuned is needed, only the study.

    Args:
        study: One that ``tune`` made, or the measurements of ``verify``.
        number: The trial's.

    Raises:
        InputError: There is no such trial, it has no values or is of something else, or the study
            does not say what its engine is served with.
    """
    serving = Serving.load(study)
    found = [t for t in study.get_trials(deepcopy=False) if t.number == number]
    if not found:
        raise InputError(f"`trial` {number}: study {study.study_name!r} has no such trial")
    (trial,) = found
    if trial.state != TrialState.COMPLETE:
        why = trial.user_attrs.get(CRASH_REASON) or trial.user_attrs.get(ENDED_EARLY)
        why = why or f"its state is {trial.state.name}"
        raise InputError(f"`trial` {number}: it has no values ({why}); take one that completed")
    if foreign := trial.params.keys() - serving.default.keys():
        names = ", ".join(sorted(foreign))
        raise InputError(f"`trial` {number}: it has {names}, which the study does not tune")
    return serving.yaml({**serving.default, **trial.params}, _heading(study, trial))


def _heading(study: Study, trial: FrozenTrial) -> list[str]:
    metrics = study_metrics(study)
    values = [f"{m.name} {v:.4g}" for m, v in zip(metrics, trial.values, strict=True)]
    lines = [
        f"trial {trial.number} of study {study.study_name}, by optuna-scoot",
        f"measured once: {', '.join(values)}",
    ]
    missed = {name: excess for name, excess in limits_of(trial).items() if excess > 0.0}
    return lines + [f"misses {name} by {100 * excess:.3g} %" for name, excess in missed.items()]
