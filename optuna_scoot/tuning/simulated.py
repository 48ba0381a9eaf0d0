"""A simulated service as a tuning task: no GPU, no vLLM, seconds for a study."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from objectives.engines.base import EngineCrash
from objectives.serving import ServingObjective
from objectives.simulated_services import find_service
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.load import Load
from optuna_scoot.tuning.load import describe_load
from optuna_scoot.tuning.task import TuningTask
from optuna_scoot.tuning.task import aim_settings
from optuna_scoot.tuning.task import aims
from optuna_scoot.tuning.task import input_errors
from optuna_scoot.tuning.task import serving_task


if TYPE_CHECKING:
    from collections.abc import Sequence


DEFAULT_SERVICE = "bot-2xa100-13b"


def simulated_task(
    service: str = DEFAULT_SERVICE,
    load: Load = Load(),  # noqa: B008 (frozen)
    *,
    objective: str | Sequence[str] | None = None,
    slo: Sequence[str] = (),
    early_end: bool = False,
) -> TuningTask:
    """Return the task of tuning a simulated service. A model of the engine predicts all times.

    Args:
        service: Application, GPUs and model, as in "bot-2xa100-13b".
        load: What the engine faces; trace and rate are the service's unless given.
        objective: As for ``vllm_task``; by default the service's.
        slo: As for ``vllm_task``.
        early_end: As for ``vllm_task``.

    Raises:
        InputError: There is no such service or trace, or its default configuration cannot bear
            the load.
    """
    with input_errors():
        found = find_service(service)
        own = replace(
            load,
            trace=load.trace or found.application,
            rate=load.rate if load.rate is not None or load.replay else found.rate,
            too_long=load.too_long or "clip",
        )
        requests = own.read()
        workload = own.schedule(requests, found.model.max_model_len)
        try:
            engine = found.engine(workload)
        except EngineCrash as crash:
            raise InputError(
                f"the default configuration of service {found.name} cannot bear this load"
                f" ({crash.detail}); lower `rate`"
            ) from None
        objective = objective or found.mode
        return serving_task(
            ServingObjective(
                engine, workload, space=found.space, early_end=early_end, **aims(objective, slo)
            ),
            load=describe_load(workload, requests.notes),
            settings={**load.settings(workload), **aim_settings(objective, slo)},
        )
