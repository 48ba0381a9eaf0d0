"""A simulated service as a tuning task: no GPU, no vLLM, seconds for a study."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import yaml

from objectives.engines.base import EngineCrash
from objectives.engines.command import option
from objectives.parameter_values import values_of
from objectives.serving import ServingObjective
from objectives.simulated_services import find_service
from objectives.spaces import SpaceError
from objectives.spaces import change
from objectives.spaces.changes import unknown_parameter
from objectives.spaces.space import holds
from optuna_scoot.tuning.baseline import read_baseline
from optuna_scoot.tuning.defaults import DEFAULT_SERVICE
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.load import Load
from optuna_scoot.tuning.space_report import SpaceReport
from optuna_scoot.tuning.task import TuningTask
from optuna_scoot.tuning.task import aim_settings
from optuna_scoot.tuning.task import aims
from optuna_scoot.tuning.task import describe_loads
from optuna_scoot.tuning.task import input_errors
from optuna_scoot.tuning.task import serving_task


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from optuna.distributions import BaseDistribution

    from objectives.simulated_services import Service
    from objectives.spaces import EngineSpace


def simulated_task(
    service: str = DEFAULT_SERVICE,
    load: Load = Load(),  # noqa: B008 (frozen)
    *,
    objective: str | Sequence[str] | None = None,
    slo: Sequence[str] = (),
    engine_args: Mapping[str, Any] | None = None,
    params: Mapping[str, BaseDistribution | None] | None = None,
    baseline: Mapping[str, Any] | str | Path | None = None,
    early_end: bool = False,
) -> TuningTask:
    """Return the task of tuning a simulated service. A model of the engine predicts all times.

    Args:
        service: Application, GPUs and model, as in "bot-2xa100-13b".
        load: What the engine faces; trace and rate are the service's unless given.
        objective: As for ``vllm_task``; by default the service's.
        slo: As for ``vllm_task``.
        engine_args: Parameters of the service that have one value in every trial.
        params: As for ``vllm_task``.
        baseline: As for ``vllm_task``; every flag has to be a parameter of the service.
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
        objective = objective or found.mode
        wanted = aims(objective, slo)
        own = own.for_goals(wanted["goals"])
        requests = own.read()
        workload = own.schedule(requests, found.model.max_model_len)
        try:
            engine = found.engine(workload)
        except EngineCrash as crash:
            raise InputError(
                f"the default configuration of service {found.name} cannot bear this load"
                f" ({crash.detail}); lower `rate`"
            ) from None
        given = read_baseline(baseline)
        fixed, space = _space(found, engine_args or {}, params or {})
        engine = replace(engine, defaults=engine.defaults.updated(fixed))
        space = space.starting_from(given)
        length = found.model.max_model_len
        test = own.capacity_test(requests, length)
        made = ServingObjective(
            engine, workload, space=space, capacity=test, early_end=early_end, **wanted
        )
        task = serving_task(
            made,
            load=describe_loads(made, requests),
            settings={
                **load.settings(workload),
                **aim_settings(objective, slo),
                **({"engine arguments": fixed} if fixed else {}),
                **({"baseline": given} if given else {}),
            },
            workloads=lambda number: own.order(number).schedule(requests, length),
            capacity_tests=lambda number: own.order(number).capacity_test(
                requests, length, alone=True
            ),
        )
        return replace(task, serve_args=fixed)


def simulated_space_report(
    service: str = DEFAULT_SERVICE,
    *,
    engine_args: Mapping[str, Any] | None = None,
    params: Mapping[str, BaseDistribution | None] | None = None,
    baseline: Mapping[str, Any] | str | Path | None = None,
) -> SpaceReport:
    """Return what would be tuned of a simulated service.

    Arguments as of ``simulated_task``, and raises as it.
    """
    with input_errors():
        found = find_service(service)
        fixed, space = _space(found, engine_args or {}, params or {})
        space = space.starting_from(read_baseline(baseline))
        return SpaceReport(f"simulated engine {found.name}", space, fixed)


def _space(
    service: Service,
    fixed: Mapping[str, Any],
    params: Mapping[str, BaseDistribution | None],
) -> tuple[dict[str, Any], EngineSpace]:
    """Return what has one value, and what is tuned.

    Raises:
        SpaceError: The service has no such parameter or value.
    """
    space = service.space
    values: dict[str, Any] = {}
    for name in (*fixed, *params):
        if name not in space.parameters:
            raise unknown_parameter(
                f"service {service.name}", option(name), list(map(option, space.parameters))
            )
    for name, value in fixed.items():
        if name in params:
            raise SpaceError(f"{option(name)} is tuned and fixed at once: drop one of them")
        values[name] = yaml.safe_load(value) if isinstance(value, str) else value
        if not holds(space.parameters[name], values[name]):
            allowed = values_of(space.parameters[name])
            raise SpaceError(f"{option(name)} {value}: it is {allowed}")
    return values, change(space, params, {}).fix(values)
