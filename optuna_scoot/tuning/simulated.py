"""A simulated service as a tuning task: no GPU, no vLLM, seconds for a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objectives.engines.base import EngineCrash
from objectives.serving import ServingObjective
from objectives.simulated_services import find_service
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.load import DEFAULT_DURATION
from optuna_scoot.tuning.load import Load
from optuna_scoot.tuning.load import describe_load
from optuna_scoot.tuning.task import TuningTask
from optuna_scoot.tuning.task import input_errors
from optuna_scoot.tuning.task import serving_task


if TYPE_CHECKING:
    from pathlib import Path

    from objectives.serving import Mode
    from objectives.trace_formats.stamps import TimeUnit
    from objectives.traces import Trace
    from objectives.workload import TooLong


DEFAULT_SERVICE = "bot-2xa100-13b"


def simulated_task(
    service: str = DEFAULT_SERVICE,
    *,
    trace: str | Path | Trace | None = None,
    objective: Mode | None = None,
    rate: float | None = None,
    duration: float = DEFAULT_DURATION,
    burstiness: float = 1.0,
    replay: bool = False,
    trace_time_unit: TimeUnit | None = None,
    too_long: TooLong = "clip",
    workload_seed: int = 0,
) -> TuningTask:
    """Return the task of tuning a simulated service. A model of the engine predicts all times.

    Args:
        service: Application, GPUs and model, as in "bot-2xa100-13b".
        trace: As for ``vllm_task``; by default the service's.
        objective: What is to improve; by default the service's.
        rate: Requests a second that arrive; by default the service's, or with ``replay`` the
            trace's.
        duration: Seconds of arrivals in each trial.
        burstiness: 1 is Poisson, less comes in bursts.
        replay: Take the arrival times of the trace.
        trace_time_unit: What the times of the trace count, where its format does not tell it.
        too_long: What becomes of requests too long for the model.
        workload_seed: Seed of arrivals and prompts; the same in all trials.

    Raises:
        InputError: There is no such service or trace, or its default configuration cannot bear
            the load.
    """
    with input_errors():
        found = find_service(service)
        load = Load(
            trace or found.application,
            rate=rate if rate is not None or replay else found.rate,
            duration=duration,
            burstiness=burstiness,
            replay=replay,
            time_unit=trace_time_unit,
            too_long=too_long,
            seed=workload_seed,
        )
        requests = load.read()
        workload = load.schedule(requests, found.model.max_model_len)
        try:
            engine = found.engine(workload)
        except EngineCrash as crash:
            raise InputError(
                f"the default configuration of service {found.name} cannot bear this load"
                f" ({crash.detail}); lower `rate`"
            ) from None
        return serving_task(
            ServingObjective(engine, workload, space=found.space, mode=objective or found.mode),
            load=describe_load(workload, requests.notes),
            settings={**load.settings(workload), "rate": rate},
        )
