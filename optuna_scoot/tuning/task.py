"""What is tuned: an objective that measures an engine, and what has to be known of it besides."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

from objectives.engines.base import ExternalFailure
from objectives.engines.command import EngineArgumentError
from objectives.engines.server_engine import ServerEngine
from objectives.engines.simulated.engine import SimulatedEngine
from objectives.goals import GoalError
from objectives.goals import Limit
from objectives.goals import parse_goals
from objectives.lengths import LengthError
from objectives.prompts import PromptError
from objectives.redaction import without_secrets
from objectives.serving import ObjectiveError
from objectives.simulated_services import ServiceError
from objectives.spaces import SpaceError
from objectives.traces import TraceError
from objectives.workload import WorkloadError
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.load import describe_load
from optuna_scoot.tuning.load import describe_rate_loads
from optuna_scoot.tuning.load import workload_settings
from optuna_scoot.tuning.pace import TYPICAL_LOADS
from optuna_scoot.tuning.pace import TYPICAL_STARTUP_S
from optuna_scoot.tuning.pace import Prospect


if TYPE_CHECKING:
    from objectives.capacity import CapacityTest
    from objectives.engines.base import Engine
    from objectives.serving import ServingObjective
    from objectives.traces import Trace
    from objectives.workload import Workload


_USER_ERRORS = (
    EngineArgumentError,
    GoalError,
    LengthError,
    ObjectiveError,
    PromptError,
    ServiceError,
    SpaceError,
    TraceError,
    WorkloadError,
)


@dataclass(frozen=True)
class TuningTask:
    """What is tuned. Made by ``vllm_task``, ``simulated_task`` and ``serving_task``.

    Attributes:
        objective: Measures a configuration, on an engine started afresh for every trial.
        load: The load in words: "trace bot, 500 requests in 100 s (5 requests/s)".
        settings: What has to be the same for trials to be comparable, without secrets.
        simulated: Whether nothing real is measured.
        serve_args: Model and arguments that ``vllm serve`` needs besides the parameters; may hold
            secrets.
        flags: The options that the engine has; empty where it has none.
        workloads: Makes the load of an arrival order, by its number from 1: other arrivals of the
            same kind. None where only the one workload is known.
        capacity_tests: Makes the loads of a capacity in such an order; None where the capacity is
            not what is optimised.
        prospect: What is known of a trial's time; None where the engine is not known to run
            in real time.
    """

    objective: ServingObjective
    load: str
    settings: Mapping[str, Any]
    simulated: bool = False
    serve_args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    flags: frozenset[str] = frozenset()
    workloads: Callable[[int], Workload] | None = field(default=None, repr=False)
    capacity_tests: Callable[[int], CapacityTest | None] | None = field(default=None, repr=False)

    @property
    def baseline(self) -> Mapping[str, Any]:
        """Return the flags that stand for the engine's defaults; empty where nothing does."""
        given: Mapping[str, Any] = self.settings.get("baseline", {})
        return given

    prospect: Prospect | None = None

    @property
    def title(self) -> str:
        """Return engine and load in words; a simulated engine says that it is one."""
        return f"{self.objective.engine.description}, {self.load}"


def serving_task(
    objective: ServingObjective,
    *,
    load: str | None = None,
    settings: Mapping[str, Any] | None = None,
    workloads: Callable[[int], Workload] | None = None,
    capacity_tests: Callable[[int], CapacityTest | None] | None = None,
    n_gpus: int | None = None,
) -> TuningTask:
    """Return the task of an objective of your own, with any engine, workload and space.

    Args:
        objective: What measures a trial.
        load: The load in words; by default those of the workload.
        settings: What else than the engine has to be the same for trials to be comparable; by
            default what can be told of workload and objective. Values that JSON has.
        workloads: Makes the load of an arrival order, by its number from 1; needed by ``verify``.
        capacity_tests: Makes the loads of a capacity in an order, where that is optimised.
        n_gpus: GPUs of the engine, for the estimate of GPU-hours; by default all that it sees.

    Raises:
        InputError: The engine, a vLLM, cannot serve the workload on this machine.
    """
    engine = objective.engine
    workload = objective.workload
    if settings is None:
        settings = {
            **workload_settings(workload),
            "least share of completed requests": objective.min_completed_share,
        }
    serve_args: dict[str, Any] = {}
    flags: frozenset[str] = frozenset()
    prospect = None
    with input_errors():
        if isinstance(engine, ServerEngine):
            engine.check(workload)
            serve_args = {"model": engine.model, **engine.engine_args}
            flags = engine.capabilities.flags
            n_gpus = engine.capabilities.n_devices if n_gpus is None else n_gpus
            n_loads = 1 if objective.capacity is None else TYPICAL_LOADS
            prospect = Prospect(workload.duration, TYPICAL_STARTUP_S, n_gpus, n_loads)
        return TuningTask(
            objective=objective,
            load=describe_load(workload) if load is None else load,
            settings={**_engine_settings(engine), **settings},
            simulated=isinstance(engine, SimulatedEngine),
            serve_args=serve_args,
            flags=flags,
            workloads=workloads,
            capacity_tests=capacity_tests,
            prospect=prospect,
        )


def describe_loads(objective: ServingObjective, trace: Trace) -> str:
    """Return in words what an engine faces in a trial: a load, or several at different rates."""
    if objective.capacity is None:
        return describe_load(objective.workload, trace.notes)
    return describe_rate_loads(trace, objective.capacity, objective.limits, trace.notes)


def aims(objective: str | Sequence[str], slo: Sequence[str]) -> dict[str, Any]:
    """Return goals and limits in words as arguments of ``ServingObjective``.

    Raises:
        GoalError: Something is not a metric, goal or limit.
    """
    return {"goals": parse_goals(objective), "limits": [Limit.parse(text) for text in slo]}


def aim_settings(objective: str | Sequence[str], slo: Sequence[str]) -> dict[str, Any]:
    """Return what of goals and limits has to be the same for trials to be comparable."""
    settings: dict[str, Any] = {}
    if not isinstance(objective, str):  # modes are told apart by the study's name
        settings["goals"] = ", ".join(f"{g.direction} {g.metric}" for g in parse_goals(objective))
    if slo:
        settings["limits"] = sorted(str(Limit.parse(text)) for text in slo)
    return settings


def _engine_settings(engine: Engine) -> dict[str, Any]:
    known: dict[str, Any] = {"engine": engine.description}
    if isinstance(engine, ServerEngine):
        known["model"] = engine.model
        known["engine arguments"] = without_secrets(engine.engine_args)
    return known


@contextlib.contextmanager
def input_errors() -> Iterator[None]:
    """Turn what objectives refuse, or what is missing around an engine, into ``InputError``."""
    try:
        yield
    except _USER_ERRORS as error:
        raise InputError(str(error)) from None
    except ExternalFailure as failure:
        raise InputError(failure.detail) from None
