"""What is tuned: an engine, the load that it faces in every trial, and its space.

`make_target` turns the options into these and refuses what cannot work before a trial is spent.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.command import EngineArgumentError
from objectives.engines.command import options_in
from objectives.engines.ports import check_port
from objectives.engines.vllm import VllmEngine
from objectives.lengths import LengthError
from objectives.lengths import stated_length
from objectives.prompts import PromptError
from objectives.redaction import without_secrets
from objectives.simulated_services import ServiceError
from objectives.simulated_services import find_service
from objectives.spaces import SpaceError
from objectives.spaces import vllm_space
from objectives.traces import Trace
from objectives.traces import TraceError
from objectives.traces import load_trace
from objectives.workload import WorkloadError
from objectives.workload import build_workload
from optuna_scoot.cli.errors import InputError
from optuna_scoot.cli.options import DEFAULT_DURATION
from optuna_scoot.cli.options import DEFAULT_SERVICE
from optuna_scoot.cli.options import objective_mode
from optuna_scoot.cli.progress import LoadWatch
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.constraints.known import ConstraintError
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.space.search_space import SearchSpace


if TYPE_CHECKING:
    from objectives.engines.base import Engine
    from objectives.engines.capabilities import EngineCapabilities
    from objectives.serving import Mode
    from objectives.spaces import EngineSpace
    from objectives.workload import TooLong
    from objectives.workload import Workload
    from optuna_scoot.cli.options import TuneOptions


LOG_FOLDER = "engine-logs"
_USER_ERRORS = (
    EngineArgumentError,
    LengthError,
    PromptError,
    ServiceError,
    SpaceError,
    TraceError,
    WorkloadError,
)


@dataclass(frozen=True)
class Target:
    """What is tuned.

    Attributes:
        engine: Started afresh for every trial.
        workload: What it faces in every trial.
        space: The parameters, their known constraints and default.
        mode: What is optimised.
        simulated: Whether nothing real is measured.
        load: The load in words: "trace bot, 5 requests/s for 100 s".
        watch: Told by the engine how far the load of a trial is.
        serve_args: Model and arguments that `vllm serve` needs besides the parameters; may hold
            secrets.
        flags: The options that the engine has; empty where it has none.
        settings: What has to be the same for trials to be comparable, without secrets.
    """

    engine: Engine
    workload: Workload
    space: EngineSpace
    mode: Mode
    simulated: bool
    load: str
    watch: LoadWatch
    serve_args: dict[str, Any] = field(repr=False)
    flags: frozenset[str]
    settings: dict[str, Any]

    @property
    def title(self) -> str:
        """Engine and load in words; a simulated engine says that it is one."""
        return f"{self.engine.description}, {self.load}"


def make_target(options: TuneOptions, output: Path) -> Target:
    """Build engine, workload and space.

    Args:
        options: Checked for contradictions already.
        output: Folder of this run; the engine's logs go below it.

    Raises:
        InputError: Something does not exist, cannot be read, or does not fit together.
    """
    try:
        target = _vllm(options, output) if options.engine == "vllm" else _simulated(options)
        return _with_constraints(target, options)
    except _USER_ERRORS as error:
        raise InputError(str(error)) from None
    except ConstraintError as error:
        raise InputError(f"--constraint: {error}") from None
    except ExternalFailure as failure:
        raise InputError(failure.detail) from None


def _vllm(options: TuneOptions, output: Path) -> Target:
    assert options.model is not None
    assert options.trace is not None
    watch = LoadWatch()
    trace = load_trace(options.trace, options.trace_time_unit)
    engine = VllmEngine(
        options.model,
        python=options.python,
        command=_words(options.engine_command),
        engine_args=options.engine_args,
        log_dir=output / LOG_FOLDER,
        port=options.port,
        startup_timeout=options.startup_timeout,
        on_progress=watch,
    )
    if options.port is not None:
        check_port(engine.host, options.port)
    capabilities = engine.capabilities
    if options.n_gpus is not None and 0 < capabilities.n_devices < options.n_gpus:
        raise InputError(f"--n-gpus {options.n_gpus}: the engine sees {capabilities.n_devices}")
    trace = engine.count_texts(trace)
    length = _model_length(capabilities, options)
    too_long = options.too_long or "refuse"
    workload = _workload(options, trace, options.rate, length, too_long)
    engine.check(workload)
    space = vllm_space(
        capabilities, n_gpus=options.n_gpus, max_model_len=length, fixed=options.engine_args
    )
    if twice := sorted(space.parameters.keys() & options_in(engine.command or ())):
        raise InputError(
            f"--engine-command sets {', '.join(twice)}, which would be tuned: give it with"
            " --engine-arg instead"
        )
    public = without_secrets(options.engine_args)
    return Target(
        engine=engine,
        workload=workload,
        space=space,
        mode=objective_mode(options),
        simulated=False,
        watch=watch,
        load=f"model {options.model}, {describe_load(trace, workload)}",
        serve_args={"model": options.model, **options.engine_args},
        flags=capabilities.flags,
        settings={
            "engine": engine.description,
            "model": options.model,
            "engine arguments": public,
            **load_settings(options, workload),
        },
    )


def _model_length(capabilities: EngineCapabilities, options: TuneOptions) -> int | None:
    """The longest sequence that is served: as the user's words tell it, else the engine.

    An engine that is asked does not know of the words of the command that starts it.

    Raises:
        InputError: Nobody tells it, and the user says what to do with longer requests.
        LengthError: What the user says is no number of tokens.
    """
    stated = stated_length(options.engine_args, _words(options.engine_command))
    length = stated or capabilities.max_model_len
    if length is None and options.too_long is not None:
        raise InputError(
            f"--too-long {options.too_long}: nothing tells how long a sequence the model takes;"
            " add --engine-arg max-model-len=N"
        )
    return length


def _words(command: str | None) -> list[str] | None:
    """The words of a command line.

    Raises:
        InputError: A quotation does not end.
    """
    try:
        return None if command is None else shlex.split(command)
    except ValueError as error:
        raise InputError(f"--engine-command: {error}") from None


def _simulated(options: TuneOptions) -> Target:
    """A ready service; options that say otherwise replace its own trace and rate."""
    service = find_service(options.service or DEFAULT_SERVICE)
    trace = load_trace(options.trace or service.application, options.trace_time_unit)
    rate = options.rate if options.rate is not None or options.replay else service.rate
    too_long = options.too_long or "clip"
    workload = _workload(options, trace, rate, service.model.max_model_len, too_long)
    try:
        engine = service.engine(workload)
    except EngineCrash as crash:
        raise InputError(
            f"the default configuration of service {service.name} cannot bear this load"
            f" ({crash.detail}); lower --rate"
        ) from None
    return Target(
        engine=engine,
        workload=workload,
        space=service.space,
        mode=service.mode if options.objective is None else objective_mode(options),
        simulated=True,
        watch=LoadWatch(),
        load=describe_load(trace, workload),
        serve_args={},
        flags=frozenset(),
        settings={"engine": engine.description, **load_settings(options, workload)},
    )


def _workload(
    options: TuneOptions,
    trace: Trace,
    rate: float | None,
    max_model_len: int | None,
    too_long: TooLong,
) -> Workload:
    return build_workload(
        trace,
        rate=rate,
        duration=options.duration or DEFAULT_DURATION,
        burstiness=options.burstiness,
        seed=options.workload_seed,
        replay=options.replay,
        max_model_len=max_model_len,
        too_long=too_long,
    )


def describe_load(trace: Trace, workload: Workload) -> str:
    """The load in words, with what was done to requests that were too long or no requests."""
    text = (
        f"trace {trace.name}, {len(workload.requests)} requests in {workload.duration:g} s"
        f" ({workload.offered_rate:.3g} requests/s)"
    )
    if workload.n_clipped:
        text += f", {workload.n_clipped} clipped"
    if workload.n_dropped:
        text += f", {workload.n_dropped} of the trace too long and dropped"
    return "".join([text, *(f"; {note}" for note in trace.notes)])


def load_settings(options: TuneOptions, workload: Workload) -> dict[str, Any]:
    """What determines the load."""
    requests = [scheduled.request for scheduled in workload.requests]
    return {
        "trace": workload.name,
        "trace time unit": options.trace_time_unit,
        "requests": len(requests),
        "tokens": sum(r.prompt_tokens + r.output_tokens for r in requests),
        "rate": options.rate,
        "duration": workload.duration,
        "burstiness": options.burstiness,
        "replay": options.replay,
        "workload seed": options.workload_seed,
    }


def _with_constraints(target: Target, options: TuneOptions) -> Target:
    """Add the user's constraints, and see that they and the enqueued configurations make sense.

    Raises:
        ConstraintError: A constraint is malformed, names an unknown parameter, or leaves nothing.
        InputError: An enqueued configuration names an unknown parameter or value.
    """
    space = target.space
    own = KnownConstraints(options.constraints, names=space.parameters)
    own.check_names(space.parameters)
    for params in options.enqueue:
        _check_configuration(params, space)
    if not options.constraints:
        return target
    constraints = (*space.known_constraints, *options.constraints)
    # One valid point is enough to know that the constraints leave something to suggest.
    Domain(SearchSpace(dict(space.parameters)), KnownConstraints(constraints)).sobol(1, seed=0)
    return replace(target, space=replace(space, known_constraints=constraints))


def _check_configuration(params: dict[str, Any], space: EngineSpace) -> None:
    for name, value in params.items():
        if name not in space.parameters:
            raise InputError(
                f"--enqueue: {name!r} is not tuned here; tuned are {', '.join(space.parameters)}"
            )
        distribution = space.parameters[name]
        try:
            inside = distribution._contains(distribution.to_internal_repr(value))
        except (TypeError, ValueError):
            inside = False
        if not inside:
            raise InputError(f"--enqueue: {name}={value} is not in {distribution}")
