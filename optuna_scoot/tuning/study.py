"""Open the study, and see that what it holds can be compared with what follows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import optuna
from optuna.distributions import check_distribution_compatibility
from optuna.study import StudyDirection

from optuna_scoot.tuning.errors import InputError


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.study import Study

    from optuna_scoot.tuning.task import TuningTask


SETTINGS = "tuned_with"
"""Study attribute: what has to be the same for its trials to be comparable."""


def open_study(
    storage: BaseStorage | None,
    name: str | None,
    directions: Sequence[str],
    sampler: BaseSampler,
) -> Study:
    """Load the study of this name, or make it.

    Args:
        storage: Where it lives; None keeps it in memory.
        name: The study's name; None lets Optuna make one up.
        directions: "minimize" or "maximize" for each objective.
        sampler: What suggests its further trials.

    Raises:
        InputError: A study of this name exists with other objectives.
    """
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=[StudyDirection[direction.upper()] for direction in directions],
        sampler=sampler,
        load_if_exists=True,
    )
    found = [direction.name.lower() for direction in study.directions]
    if found != list(directions):
        raise InputError(
            f"study {name!r} exists and has other objectives"
            f" ({', '.join(found)} instead of {', '.join(directions)});"
            " give another name with `study_name`"
        )
    return study


def check_comparable(study: Study, task: TuningTask) -> None:
    """Refuse a study whose trials cannot be compared with further ones.

    Raises:
        InputError: The study was tuned with another engine, load or set of arguments, or has
            other choices for a parameter.
    """
    parameters = task.objective.space.parameters
    for trial in study.get_trials(deepcopy=False):
        for name in trial.distributions.keys() & parameters.keys():
            _check_distribution(study, trial.distributions[name], parameters[name], name)
    wanted = json.loads(json.dumps(dict(task.settings)))
    found = study.user_attrs.get(SETTINGS)
    if found is None:
        study.set_user_attr(SETTINGS, wanted)
        return
    names = dict.fromkeys([*found, *wanted])
    changed = [name for name in names if found.get(name) != wanted.get(name)]
    if changed:
        changes = ", ".join(f"{n} {found.get(n)} then, {wanted.get(n)} now" for n in changed)
        raise InputError(
            f"study {study.study_name!r} was tuned differently ({changes}):"
            " its trials could not be compared; give another name with `study_name`"
        )


def _check_distribution(
    study: Study, found: BaseDistribution, wanted: BaseDistribution, name: str
) -> None:
    try:
        check_distribution_compatibility(found, wanted)
    except ValueError:
        raise InputError(
            f"study {study.study_name!r} has other choices for {name} ({found}"
            f" then, {wanted} now); give another name with `study_name`"
        ) from None
