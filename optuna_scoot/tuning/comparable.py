"""See that a study's trials are those of a task, and can be compared with further ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from optuna.distributions import check_distribution_compatibility

from objectives.parameter_values import values_of
from objectives.serving import DEFAULT_CONFIGURATION
from optuna_scoot.trials.outcomes import enqueued_params
from optuna_scoot.tuning.bookkeeping import ORDER
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.serving_config import Serving
from optuna_scoot.tuning.storage import SETTINGS
from optuna_scoot.tuning.storage import check_directions


if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from optuna_scoot.tuning.task import TuningTask


ELSEWHERE = "give another name with `study_name`"
"""Ends every refusal."""


def adopt(study: Study, task: TuningTask, *, measurements: bool = False) -> None:
    """Make a study this task's, or see that it is: only then is anything written down in it.

    Args:
        study: New, empty, or of this task.
        task: What is tuned.
        measurements: Whether it is to hold the measurements of a verdict.

    Raises:
        InputError: As ``check_comparable``.
    """
    check_comparable(study, task, measurements=measurements)
    task.objective.prepare(study)
    study.set_user_attr(SETTINGS, _settings(task))
    Serving.of(task).store(study)


def check_comparable(study: Study, task: TuningTask, *, measurements: bool = False) -> None:
    """Refuse a study whose trials cannot be compared with further ones; write nothing.

    Args:
        study: Any.
        task: What is tuned.
        measurements: Whether it is to hold the measurements of a verdict.

    Raises:
        InputError: The study has other objectives or parameters, was tuned with another engine,
            load or set of arguments, or has trials of which nobody knows how they were made.
    """
    check_directions(study, task.objective.directions)
    trials = study.get_trials(deepcopy=False)
    _check_parameters(study, trials, task)
    _check_settings(study, trials, task)
    _check_names(study, task)
    _check_purpose(study, trials, measurements)


def _check_parameters(study: Study, trials: Sequence[FrozenTrial], task: TuningTask) -> None:
    parameters = task.objective.space.parameters
    for trial in trials:
        foreign = {*trial.params, *enqueued_params(trial)} - parameters.keys()
        if foreign:
            raise InputError(
                f"study {study.study_name!r} is of something else: its trial {trial.number} has"
                f" {', '.join(sorted(foreign))}, which is not tuned here; {ELSEWHERE}"
            )
        for name, distribution in trial.distributions.items():
            _check_distribution(study, distribution, parameters[name], name)


def _check_distribution(
    study: Study, found: BaseDistribution, wanted: BaseDistribution, name: str
) -> None:
    try:
        check_distribution_compatibility(found, wanted)
    except ValueError:
        raise InputError(
            f"study {study.study_name!r} has other choices for {name} ({values_of(found)}"
            f" then, {values_of(wanted)} now); {ELSEWHERE}"
        ) from None


def _check_settings(study: Study, trials: Sequence[FrozenTrial], task: TuningTask) -> None:
    found = study.user_attrs.get(SETTINGS)
    if not isinstance(found, dict):
        # What only waits, enqueued beforehand, tells nothing yet that could be compared.
        if any(trial.state.is_finished() or trial.params for trial in trials):
            raise InputError(
                f"study {study.study_name!r} has trials and does not say with which engine and"
                f" load they were measured: they could not be compared; {ELSEWHERE}"
            )
        return
    wanted = _settings(task)
    names = dict.fromkeys([*found, *wanted])
    changed = [name for name in names if found.get(name) != wanted.get(name)]
    if changed:
        changes = ", ".join(f"{n} {found.get(n)} then, {wanted.get(n)} now" for n in changed)
        raise InputError(
            f"study {study.study_name!r} was tuned differently ({changes}):"
            f" its trials could not be compared; {ELSEWHERE}"
        )


def _settings(task: TuningTask) -> Any:
    """Return a task's settings as the storage gives them back."""
    return json.loads(json.dumps(dict(task.settings)))


def _check_names(study: Study, task: TuningTask) -> None:
    found, wanted = study.metric_names, task.objective.metric_names
    if found is not None and found != wanted:
        raise InputError(
            f"study {study.study_name!r} exists and has other objectives"
            f" ({', '.join(found)} instead of {', '.join(wanted)}); {ELSEWHERE}"
        )


def _check_purpose(study: Study, trials: Sequence[FrozenTrial], measurements: bool) -> None:
    """Keep trials that were tuned, and measurements of them under other loads, apart."""
    attrs = [trial.user_attrs for trial in trials]
    if not measurements and any(ORDER in one for one in attrs):
        raise InputError(
            f"study {study.study_name!r} holds the measurements of a verdict; {ELSEWHERE}"
        )
    if measurements and any(DEFAULT_CONFIGURATION in one for one in attrs):
        raise InputError(
            f"study {study.study_name!r} was tuned itself, where the measurements of the verdict"
            " are to go: this one cannot be verified"
        )
