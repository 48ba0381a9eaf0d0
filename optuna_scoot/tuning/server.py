"""A real engine, a server on this machine, as a tuning task."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from objectives.engines.command import options_in
from objectives.engines.ports import check_port
from objectives.engines.server_engine import ServerEngine
from objectives.engines.sglang import SglangEngine
from objectives.engines.template import TemplateEngine
from objectives.engines.trtllm import TrtllmEngine
from objectives.engines.vllm import VllmEngine
from objectives.lengths import stated_length
from objectives.serving import ServingObjective
from objectives.spaces import TUNABLE
from objectives.spaces import EngineSpace
from objectives.spaces import sglang
from objectives.spaces import sglang_space
from objectives.spaces import trtllm
from objectives.spaces import trtllm_space
from objectives.spaces import vllm_space
from objectives.spaces.template import template_space
from objectives.spaces.untuned import untuned
from optuna_scoot.tuning.baseline import read_baseline
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
    from optuna.distributions import BaseDistribution

    from objectives.engines.capabilities import EngineCapabilities
    from objectives.loadgen import Progress
    from objectives.workload import TooLong


@dataclass(frozen=True)
class Kind:
    """A kind of engine.

    Attributes:
        engine: Starts it.
        space: Makes its space of what the installed one says.
        tunable: What of a baseline may be tuned, rather than held, without being named.
    """

    engine: type[ServerEngine]
    space: Callable[..., EngineSpace]
    tunable: frozenset[str]


KINDS = {
    "vllm": Kind(VllmEngine, vllm_space, TUNABLE),
    "sglang": Kind(SglangEngine, sglang_space, sglang.TUNABLE),
    "trtllm": Kind(TrtllmEngine, trtllm_space, trtllm.TUNABLE),
    "command": Kind(TemplateEngine, template_space, frozenset()),
}
"""The engines by the names of ``optuna-scoot tune --engine``."""
Params = Mapping[str, "BaseDistribution | None"]
LOG_FOLDER = Path("runs") / "engine-logs"


def server_task(
    model: str,
    load: Load,
    *,
    engine: str = "vllm",
    objective: str | Sequence[str] = "ttft-tpot",
    slo: Sequence[str] = (),
    early_end: bool = False,
    python: str | Path | None = None,
    engine_command: str | Sequence[str] | None = None,
    engine_args: Mapping[str, Any] | None = None,
    params: Params | None = None,
    baseline: Mapping[str, Any] | str | Path | None = None,
    n_gpus: int | None = None,
    port: int | None = None,
    startup_timeout: float = 600.0,
    log_dir: str | Path = LOG_FOLDER,
    on_progress: Callable[[Progress], None] | None = None,
    gpu_locks: str | Path | None = None,
) -> TuningTask:
    """Return the task of tuning an engine under a load. Asks the installed one what it takes.

    Args:
        model: Folder or hub name of the model.
        load: What the engine faces in every trial.
        engine: Its kind, one of ``KINDS``.
        objective: What is to improve: "ttft-tpot", "p95-latency", "throughput", or goals as in
            ["minimize p99 ttft", "maximize goodput"]; ["maximize rate"] looks for the highest
            request rate that keeps ``slo``.
        slo: Limits that a configuration has to keep, as in ["p99 ttft <= 500 ms"].
        early_end: Whether a trial is ended once it cannot become the best or misses a limit; for
            one goal alone.
        python: Interpreter of the environment that has the engine; for vLLM by default the
            command ``vllm``, else this interpreter.
        engine_command: A whole command that starts the engine instead, up to the model's name; of
            the kind "command" with places for what changes (``TemplateEngine``).
        engine_args: Arguments for the engine in every trial, named with underscores; not tuned
            then.
        params: Parameters that are tuned with other values than by default, or besides; None: with
            the values that are offered for it.
        baseline: The flags that the service has now, by name or as a file of ``vllm serve
            --config``: measured first, and what everything is compared with. Those that are tuned
            take the place of the engine's defaults, the others hold in every trial.
        n_gpus: GPUs of the service; by default all that the engine sees.
        port: Port of the engine; by default a free one for every trial.
        startup_timeout: Seconds after which an engine that does not get ready counts as crashed.
        log_dir: Folder of the engines' logs.
        on_progress: Called a few times a second while a trial's load runs.
        gpu_locks: Folder by which several processes on this machine share its GPUs: each trial's
            engine waits until as many as it needs are free, and sees those alone.

    Raises:
        InputError: Something does not exist, cannot be read, or does not fit together.
    """
    with input_errors():
        wanted = aims(objective, slo)
        load = load.for_goals(wanted["goals"])
        requests = load.read()
        given = read_baseline(baseline)
        server = _engine(
            engine,
            model,
            given,
            params,
            engine_args,
            python=python,
            command=_words(engine_command),
            log_dir=log_dir,
            port=port,
            startup_timeout=startup_timeout,
            on_progress=on_progress,
            gpu_locks=gpu_locks,
        )
        if port is not None:
            check_port(server.host, port)
        capabilities = server.capabilities
        requests = server.count_texts(requests)
        length = _model_length(server, capabilities, load.too_long)
        workload = load.schedule(requests, length)
        server, space = _with_space(engine, server, given, params, n_gpus, length)
        test = load.capacity_test(requests, length)
        made = ServingObjective(
            server, workload, space=space, capacity=test, early_end=early_end, **wanted
        )
        return serving_task(
            made,
            load=f"model {model}, {describe_loads(made, requests)}",
            settings={
                **load.settings(workload),
                **aim_settings(objective, slo),
                **({"baseline": given} if given else {}),
            },
            workloads=lambda number: load.order(number).schedule(requests, length),
            capacity_tests=lambda number: load.order(number).capacity_test(
                requests, length, alone=True
            ),
            n_gpus=n_gpus,
        )


def server_space_report(
    model: str,
    *,
    engine: str = "vllm",
    python: str | Path | None = None,
    engine_command: str | Sequence[str] | None = None,
    engine_args: Mapping[str, Any] | None = None,
    params: Params | None = None,
    baseline: Mapping[str, Any] | str | Path | None = None,
    n_gpus: int | None = None,
) -> SpaceReport:
    """Return what would be tuned of an engine, and why the rest is not.

    Arguments as of ``server_task``, and raises as it.
    """
    with input_errors():
        given = read_baseline(baseline)
        command = _words(engine_command)
        server = _engine(engine, model, given, params, engine_args, python=python, command=command)
        known = server.capabilities
        length = _model_length(server, known, None)
        server, space = _with_space(engine, server, given, params, n_gpus, length)
        kept = (*space.parameters, *space.offered, *server.engine_args)
        rest = untuned(known.groups, known.flags, kept, known.device)
        return SpaceReport(server.description, space, server.engine_args, rest)


def _engine(
    kind: str,
    model: str,
    baseline: Mapping[str, Any],
    params: Params | None,
    engine_args: Mapping[str, Any] | None,
    **more: Any,
) -> ServerEngine:
    """Return the engine, for which what a baseline sets and is not tuned holds in every trial."""
    if kind not in KINDS:
        raise InputError(f"`engine` {kind!r}: one of {', '.join(KINDS)}")
    found = KINDS[kind]
    tunable = {*found.tunable, *(params or {})}
    fixed = {name: value for name, value in baseline.items() if name not in tunable}
    return found.engine(model, engine_args={**fixed, **(engine_args or {})}, **more)


def _with_space(
    kind: str,
    engine: ServerEngine,
    baseline: Mapping[str, Any],
    params: Params | None,
    n_gpus: int | None,
    length: int | None,
) -> tuple[ServerEngine, EngineSpace]:
    """Return what is tuned, and the engine with what of a baseline is not.

    Raises:
        InputError: There are not so many GPUs, or the engine's command sets what would be tuned.
        SpaceError: The engine has no such parameter, or its values do not fit.
    """
    capabilities = engine.capabilities
    if n_gpus is not None and 0 < capabilities.n_devices < n_gpus:
        raise InputError(f"`n_gpus` {n_gpus}: the engine sees {capabilities.n_devices}")
    fixed = engine.engine_args
    started_from = {name: v for name, v in baseline.items() if name not in fixed}
    told = {name: v for name, v in started_from.items() if name in (params or {})}
    known = replace(capabilities, defaults={**capabilities.defaults, **told})
    space = KINDS[kind].space(
        known, n_gpus=n_gpus, max_model_len=length, fixed=fixed, params=params
    )
    _check_tuned_once(engine, space)
    tuned = {n: v for n, v in started_from.items() if n in space.parameters}
    space = space.starting_from(tuned)
    if rest := {n: v for n, v in started_from.items() if n not in tuned}:
        # Where engine or machine leave one value, it is not tuned, but holds.
        engine = engine.with_arguments({**fixed, **rest})
    return engine, space


def _words(command: str | Sequence[str] | None) -> list[str] | None:
    """Return the words of a command line.

    Raises:
        InputError: A quotation does not end.
    """
    if command is None:
        return None
    try:
        return shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise InputError(f"`engine_command`: {error}") from None


def _model_length(
    engine: ServerEngine, capabilities: EngineCapabilities, too_long: TooLong | None
) -> int | None:
    """Return the longest sequence that is served: as the user's words tell it, else the engine.

    An engine that is asked does not know of the words of the command that starts it.

    Raises:
        InputError: Nobody tells it, and the user says what to do with longer requests.
        LengthError: What the user says is not a number of tokens.
    """
    stated = stated_length(engine.engine_args, engine.command)
    length = stated or capabilities.max_model_len
    if length is None and too_long is not None:
        raise InputError(
            f"`too_long` {too_long}: nothing tells how long a sequence the model takes;"
            " add `engine_args` max-model-len=N"
        )
    return length


def _check_tuned_once(engine: ServerEngine, space: EngineSpace) -> None:
    """Refuse a command that sets what is to be tuned.

    Raises:
        InputError: It does.
    """
    if twice := sorted(space.parameters.keys() & options_in(engine.command or ())):
        raise InputError(
            f"`engine_command` sets {', '.join(twice)}, which would be tuned: give it with"
            " `engine_args` instead"
        )
