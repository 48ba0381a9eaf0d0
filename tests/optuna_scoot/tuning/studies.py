"""Small studies with known trials, for the tests of tuning and of the command."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from objectives.serving import ServingObjective


DISTRIBUTIONS = {
    "max_num_seqs": IntDistribution(1, 1024, log=True),
    "block_size": CategoricalDistribution([8, 16, 32]),
    "enable_chunked_prefill": CategoricalDistribution([False, True]),
}
DEFAULT_PARAMS = {"max_num_seqs": 256, "block_size": 16, "enable_chunked_prefill": False}


def two_objective_study(
    metric_names: tuple[str, ...] = ("TTFT", "TPOT"),
    directions: tuple[str, ...] = ("minimize", "minimize"),
    storage: Any = None,
) -> optuna.Study:
    """An empty study with named metrics."""
    study = optuna.create_study(directions=list(directions), storage=storage)
    study.set_metric_names(list(metric_names))
    return study


def add(
    study: optuna.Study,
    values: tuple[float, ...] | None,
    user_attrs: dict[str, Any] | None = None,
    constraints: dict[str, float] | None = None,
    **params: Any,
) -> FrozenTrial:
    """Add one finished trial; without values it failed."""
    trial = optuna.create_trial(
        state=TrialState.FAIL if values is None else TrialState.COMPLETE,
        values=None if values is None else list(values),
        params={**DEFAULT_PARAMS, **params},
        distributions=DISTRIBUTIONS,
        user_attrs=user_attrs or {},
        constraints=constraints,
    )
    study.add_trial(trial)
    return study.trials[-1]


def enqueue_default(study: optuna.Study, params: dict[str, Any]) -> None:
    """Enqueue a default configuration as a `ServingObjective` does, whatever the parameters."""
    space = SimpleNamespace(default=params)
    ServingObjective.enqueue_default(SimpleNamespace(space=space), study)  # type: ignore[arg-type]


def add_default(study: optuna.Study, values: tuple[float, ...] | None) -> FrozenTrial:
    """Add the default configuration's trial."""
    return add(study, values, {"default_configuration": True})


def tuned_study() -> optuna.Study:
    """A default, a front of three, a dominated trial, two crashes and an interrupted trial.

    The default has (TTFT, TPOT) = (1000, 100). HV of one point, eq. 11: trial 1: (1000 - 100) *
    (100 - 99) = 900; trial 2: (1000 - 500) * (100 - 50) = 25000; trial 3 is worse in TTFT: 0.
    """
    study = two_objective_study()
    add_default(study, (1000.0, 100.0))  # 0
    add(study, (100.0, 99.0), max_num_seqs=512)  # 1
    add(study, (500.0, 50.0), max_num_seqs=64, enable_chunked_prefill=True)  # 2
    add(study, (1200.0, 20.0), block_size=32)  # 3
    add(study, (600.0, 60.0), max_num_seqs=65)  # 4: dominated by 2
    add(study, None, {"crash_reason": "out_of_memory"}, max_num_seqs=1024)  # 5
    add(study, None, {"crash_reason": "out_of_memory"}, max_num_seqs=1000)  # 6
    add(study, None, {"failure_is_external": True, "external_reason": "interrupted"})  # 7
    return study
