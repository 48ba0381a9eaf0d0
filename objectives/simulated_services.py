"""Ready services: the paper's applications on its machines with its models (section V-A).

A name reads application-machine-model: ``bot-2xa100-13b`` is the chat trace on two A100 with
LLaMA2-13B. Rates are the paper's. What the paper does not state, the time-out of the clients, is
set here with the default configuration in mind: a multiple of what it needs, so that the default
runs and configurations that queue much longer do not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from objectives.engines.simulated.config import EngineConfig
from objectives.engines.simulated.engine import SimulatedEngine
from objectives.engines.simulated.hardware import GPU
from objectives.engines.simulated.hardware import GPUS
from objectives.engines.simulated.hardware import MODELS
from objectives.engines.simulated.hardware import ModelShape
from objectives.engines.simulated.memory import minimum_gpus
from objectives.goals import Mode
from objectives.metrics import ServingMetrics
from objectives.metrics import summarize
from objectives.serving import ServingObjective
from objectives.spaces import EngineSpace
from objectives.spaces import paper_space
from objectives.traces import Trace
from objectives.traces import load_trace
from objectives.workload import Workload
from objectives.workload import build_workload


DURATION = 100.0  # seconds of load, section V-A
MACHINES = ("2xa10", "4xa10", "2xa100", "4xa100")
TIMEOUT_QUANTILE = 0.95  # the share of requests that must be answered in time


class ServiceError(ValueError):
    """There is no such service; the message lists the ones that exist."""


@dataclass(frozen=True, slots=True)
class Application:
    """One of the paper's applications.

    Attributes:
        rate_a10: Requests a second on A10; twice that on A100.
        mode: What is optimised.
        patience_s: Least time-out of a client, in seconds without a token.
        patience_factor: The time-out as a multiple of what the default configuration needs, where
            that is more.
    """

    rate_a10: float
    mode: Mode
    patience_s: float
    patience_factor: float


APPLICATIONS: Mapping[str, Application] = {
    "sql": Application(5.0, "ttft-tpot", 3.0, 1.5),
    "bot": Application(5.0, "ttft-tpot", 3.0, 1.2),
    "cls": Application(10.0, "p95-latency", 1.0, 1.5),
    "rec": Application(15.0, "throughput", 60.0, 2.0),
}


@dataclass(frozen=True, slots=True)
class Service:
    """An application on a machine with a model.

    Attributes:
        application: "sql", "bot", "cls" or "rec".
        gpu: The accelerator.
        n_gpus: How many.
        model: The model's shape.
    """

    application: str
    gpu: GPU
    n_gpus: int
    model: ModelShape

    @property
    def name(self) -> str:
        """Return the name that ``find_service`` understands."""
        return f"{self.application}-{self.n_gpus}x{self.gpu.name}-{self.model.name}"

    @property
    def rate(self) -> float:
        """Return the requests a second."""
        return APPLICATIONS[self.application].rate_a10 * (1.0 if self.gpu.name == "a10" else 2.0)

    @property
    def mode(self) -> Mode:
        """Return what is optimised."""
        return APPLICATIONS[self.application].mode

    @property
    def space(self) -> EngineSpace:
        """Return Table I of the paper, without tensor parallelism where only one degree runs."""
        least = minimum_gpus(self.gpu, self.model)
        space = paper_space(self.n_gpus, self.model.max_model_len, least_tensor_parallel=least)
        return space.fix({"tensor_parallel_size": least}) if least == self.n_gpus else space

    def workload(self, seed: int = 0, duration: float = DURATION) -> Workload:
        """Schedule the application's trace: Poisson arrivals, the requests' order by the seed."""
        return build_workload(
            _bundled_trace(self.application),
            rate=self.rate,
            duration=duration,
            seed=seed,
            shuffle_seed=seed,
            max_model_len=self.model.max_model_len,
            too_long="clip",
        )

    def engine(self, workload: Workload) -> SimulatedEngine:
        """Return the service's engine, with the time-out that suits this workload."""
        least = minimum_gpus(self.gpu, self.model)
        engine = SimulatedEngine(
            self.name,
            self.gpu,
            self.n_gpus,
            self.model,
            defaults=EngineConfig(
                tensor_parallel_size=least,
                max_num_batched_tokens=max(2048, self.model.max_model_len),
            ),
        )
        with engine.start({}, "default") as running:
            waits = [record.ttft for record in running.serve(workload).records]
        needed = float(np.quantile(waits, TIMEOUT_QUANTILE))
        application = APPLICATIONS[self.application]
        patience = max(application.patience_s, application.patience_factor * needed)
        return dataclasses.replace(engine, patience=round(patience, 1))


@dataclass(frozen=True, slots=True)
class ReadyService:
    """A service with a workload: all that an objective needs.

    Attributes:
        engine: The simulated engine.
        workload: The requests of every trial.
        space: What is tuned.
        mode: What is optimised.
    """

    engine: SimulatedEngine
    workload: Workload
    space: EngineSpace
    mode: Mode

    def measure(self, params: Mapping[str, Any]) -> ServingMetrics:
        """Evaluate one configuration without a study.

        Raises:
            EngineCrash: The configuration cannot start or cannot bear the load.
        """
        with self.engine.start(params, "measure") as running:
            result = running.serve(self.workload)
        return summarize(result.records, result.duration)


def service_names() -> tuple[str, ...]:
    """Return the names of all ready services."""
    return tuple(
        f"{application}-{machine}-{model}"
        for application in APPLICATIONS
        for machine in MACHINES
        for model in MODELS
    )


def find_service(name: str) -> Service:
    """Return the service of a name such as "bot-2xa100-13b".

    Raises:
        ServiceError: There is none.
    """
    if name not in service_names():
        raise ServiceError(
            f"there is no simulated service {name!r}: a name is an application "
            f"({', '.join(APPLICATIONS)}), a machine ({', '.join(MACHINES)}) and a model "
            f"({', '.join(MODELS)}), as in bot-2xa100-13b"
        )
    application, machine, model = name.split("-")
    count, gpu = machine.split("x")
    return Service(application, GPUS[gpu], int(count), MODELS[model])


def ready_service(name: str, seed: int = 0, duration: float = DURATION) -> ReadyService:
    """Build a service's engine, workload and space once, for many evaluations.

    Args:
        name: One of ``service_names``.
        seed: Seed of the arrivals and of the requests' order.
        duration: Seconds over which requests arrive, > 0.

    Raises:
        ServiceError: There is no such service.
    """
    service = find_service(name)
    workload = service.workload(seed, duration)
    return ReadyService(service.engine(workload), workload, service.space, service.mode)


def make_objective(name: str, seed: int = 0, duration: float = DURATION) -> ServingObjective:
    """Return the service's objective for ``study.optimize``; arguments as ``ready_service``."""
    ready = ready_service(name, seed, duration)
    return ServingObjective(ready.engine, ready.workload, space=ready.space, mode=ready.mode)


@cache
def _bundled_trace(application: str) -> Trace:
    return load_trace(application)
