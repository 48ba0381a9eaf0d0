"""The options of ``optuna-scoot tune`` and ``verify``: their names, what they take and mean."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from pathlib import Path
from typing import Any
from typing import get_args

import click
import yaml

from objectives.engines.command import EngineArgumentError
from objectives.engines.command import parse_engine_arguments
from objectives.goals import Mode
from objectives.spaces import SpaceError
from objectives.spaces import parse_change
from objectives.trace_formats.stamps import UNITS
from objectives.trace_formats.stamps import TimeUnit
from objectives.workload import TooLong
from optuna_scoot.cli.errors import BadInput
from optuna_scoot.tuning.defaults import DEFAULT_DURATION
from optuna_scoot.tuning.defaults import DEFAULT_FINALISTS
from optuna_scoot.tuning.defaults import DEFAULT_ORDERS
from optuna_scoot.tuning.defaults import DEFAULT_SERVICE
from optuna_scoot.tuning.defaults import DEFAULT_TRIALS
from optuna_scoot.tuning.defaults import LEAST_ORDERS
from optuna_scoot.tuning.samplers import SAMPLERS


ENGINES = ("vllm", "sglang", "trtllm", "command", "simulated")
OBJECTIVES: tuple[Mode, ...] = get_args(Mode)
RUNS = Path("runs")


@dataclass(frozen=True)
class TaskOptions:
    """The options that say what is tuned, as given; None where the engine or the service decides.

    Attributes are named after the options; ``docs/tune.md`` describes each.
    """

    engine: str
    service: str | None
    model: str | None
    trace: str | None
    trace_time_unit: TimeUnit | None
    objective: Mode | None
    minimize: tuple[str, ...]
    maximize: tuple[str, ...]
    slo: tuple[str, ...]
    early_end: bool
    rate: float | None
    duration: float | None
    burstiness: float
    replay: bool
    too_long: TooLong | None
    workload_seed: int
    storage: str = field(repr=False)
    study: str | None
    output: Path | None
    python: str | None
    engine_command: str | None = field(repr=False)
    engine_args: dict[str, Any] = field(repr=False)
    n_gpus: int | None
    port: int | None
    startup_timeout: float
    params: tuple[str, ...]
    constraints: tuple[str, ...]
    baseline: dict[str, Any] | Path | None


@dataclass(frozen=True)
class TuneOptions(TaskOptions):
    """All options of ``tune`` as given."""

    trials: int
    max_hours: float | None
    stop_when_converged: bool
    sampler: str
    seed: int | None
    enqueue: tuple[dict[str, Any], ...]
    verify: int | None
    finalists: int
    workers: int

    @property
    def orders(self) -> int:
        """Return under how many arrival orders finalists are measured in the end, 0 for none."""
        if self.verify is not None:
            return self.verify
        return 0 if self.engine == "simulated" else DEFAULT_ORDERS


class Option(click.Option):
    """An option that refuses an empty word, as a variable of a script that is not set leaves."""

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Return the value as the command takes it."""
        if "" in (value if isinstance(value, tuple | list) else (value,)):
            raise click.BadParameter("nothing is given", ctx=ctx, param=self)
        return super().process_value(ctx, value)


option = functools.partial(click.option, cls=Option)


def none_or_enough(_: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    """Return a number of arrival orders, 0 for none, or None."""
    if value is not None and 0 < value < LEAST_ORDERS:
        raise click.BadParameter(f"0, or at least {LEAST_ORDERS}", param=parameter)
    return value


def positive(_: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Return a finite number above zero, or None."""
    if value is not None and not (0 < value < math.inf):
        raise click.BadParameter(f"{value:g} is not a positive number", param=parameter)
    return value


def above_zero(_: click.Context, parameter: click.Parameter, value: float) -> float:
    """Return a number above zero, which may be infinite."""
    if not value > 0:
        raise click.BadParameter(f"{value:g} is not above zero", param=parameter)
    return value


def engine_arguments(
    _: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any]:
    """Return several ``name=value`` as one mapping."""
    try:
        return parse_engine_arguments(values)
    except EngineArgumentError as error:
        raise click.BadParameter(str(error), param=parameter) from None


def parameters(
    _: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Return parameters with the values that are wanted, as given, once they can be read."""
    try:
        names = [parse_change(value)[0] for value in values]
    except SpaceError as error:
        raise click.BadParameter(str(error), param=parameter) from None
    if twice := {name for name in names if names.count(name) > 1}:
        raise click.BadParameter(f"{min(twice)} is given twice", param=parameter)
    return values


def configurations(
    _: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[dict[str, Any], ...]:
    """Return configurations, each given as ``name=value,name=value`` with YAML's scalars."""
    return tuple(_configuration(value, parameter) for value in values)


def _configuration(text: str, parameter: click.Parameter) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for part in text.split(","):
        name, separator, value = part.partition("=")
        shown = name.split(maxsplit=1)[0] if name.strip() else name  # what follows may be secret
        if not separator or not name.strip():
            raise click.BadParameter(
                f"{shown!r} is not name=value; several are separated by commas", param=parameter
            )
        try:
            params[name.strip().replace("-", "_")] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise click.BadParameter(f"{shown!r} has no plain value", param=parameter) from None
    return params


def baseline_flags(
    _: click.Context, parameter: click.Parameter, value: str | None
) -> dict[str, Any] | Path | None:
    """Return a baseline: a YAML file, or ``name=value,name=value``."""
    if value is None:
        return None
    if "=" not in value or Path(value).suffix in (".yaml", ".yml"):
        return Path(value)
    return _configuration(value, parameter)


def study_name(options: TaskOptions) -> str:
    """Return the study's name: as given, else after what is tuned and for what."""
    if options.study is not None:
        return options.study
    if options.engine == "simulated":
        what = f"simulated-{options.service or DEFAULT_SERVICE}"
    else:
        what = f"{Path(options.model or '').name}-{Path(options.trace or '').stem}"
    if options.objective is not None:
        return f"{what}-{options.objective}"
    goals = [text.replace(" ", "-") for text in (*options.minimize, *options.maximize)]
    return "-".join([what, *goals])


def output_folder(options: TaskOptions) -> Path:
    """Return the folder of results and logs: as given, else one below ``runs``.

    Raises:
        BadInput: The study's name, which people take from elsewhere, would lead out of ``runs``.
    """
    name = study_name(options)
    if options.output is not None:
        return options.output
    if Path(name).is_absolute() or ".." in Path(name).parts or not Path(name).parts:
        raise BadInput(f"--study {name}: its results would not be below {RUNS}: give --output")
    return RUNS / name


def check_combination(options: TaskOptions) -> None:
    """Refuse options that contradict each other or are missing.

    Raises:
        BadInput: Says which.
    """
    if options.objective is not None and (options.minimize or options.maximize):
        raise BadInput("--objective: not with --minimize or --maximize, which take its place")
    if isinstance(options, TuneOptions) and options.workers > 1 and options.port is not None:
        raise BadInput("--port: not with several --workers, whose engines need a port each")
    check_engine(vars(options))
    if options.engine == "simulated":
        return
    if options.trace is None:
        raise BadInput("--trace is missing: sql, bot, cls, rec, or a .jsonl or .csv file")
    maximizes_rate = any(text.strip().lower() == "rate" for text in options.maximize)
    if options.rate is None and not options.replay and not maximizes_rate:
        raise BadInput("--rate is missing: requests a second; or --replay the trace's own times")


def check_engine(options: Mapping[str, Any]) -> None:
    """Refuse options of one engine given for another, and those that are missing for it.

    Args:
        options: By their names; those that a command does not have may be missing.

    Raises:
        BadInput: Says which.
    """
    if options["engine"] == "simulated":
        names = {
            "--model": "model",
            "--python": "python",
            "--engine-command": "engine_command",
            "--port": "port",
            "--n-gpus": "n_gpus",
        }
        if wrong := [shown for shown, name in names.items() if options.get(name) is not None]:
            raise BadInput(f"{', '.join(wrong)}: not with --engine simulated")
        return
    if options["service"] is not None:
        raise BadInput("--service names a simulated service: add --engine simulated")
    if options["model"] is None:
        raise BadInput(
            "--model is missing: a model's name or folder; to try without one: --engine simulated"
        )


STORAGE = option(
    "--storage",
    default="sqlite:///scoot.db",
    show_default=True,
    envvar="OPTUNA_SCOOT_STORAGE",
    show_envvar=True,
    help="Where the study is: a database's URL, journal:FILE, or grpc://HOST:PORT of a proxy. One"
    " with a password is better given in the environment.",
)
# In the order in which --help lists them.
_OPTIONS = [
    option(
        "--engine",
        type=click.Choice(ENGINES),
        default="vllm",
        show_default=True,
        help="What is tuned: a real engine, any server by its --engine-command, or a simulated "
        "service.",
    ),
    option("--model", help="Name or folder of the model that the engine serves."),
    option(
        "--service",
        help=f"Simulated service, as in {DEFAULT_SERVICE}: application, GPUs, model.",
    ),
    option(
        "--trace", help="sql, bot, cls or rec (bundled), or a .jsonl or .csv file of requests."
    ),
    option(
        "--trace-time-unit",
        type=click.Choice(UNITS),
        help="What the times of the trace count, where its format does not tell it.",
    ),
    option(
        "--objective",
        type=click.Choice(OBJECTIVES),
        help=f"What is to improve.  [default: {OBJECTIVES[0]}, or the service's]",
    ),
    option(
        "--minimize",
        multiple=True,
        metavar="METRIC",
        help='What is to improve instead, as in "p99 ttft"; several give several objectives.',
    ),
    option(
        "--maximize",
        multiple=True,
        metavar="METRIC",
        help="The same, as in goodput; rate: the highest request rate that keeps every --slo.",
    ),
    option(
        "--slo",
        multiple=True,
        metavar="LIMIT",
        help='What a configuration has to keep, as in "p99 ttft <= 500 ms".',
    ),
    option(
        "--early-end",
        is_flag=True,
        help="End a trial once it cannot become the best or misses a limit; with one goal.",
    ),
    option("--rate", type=float, callback=positive, help="Requests a second that arrive."),
    option(
        "--duration",
        type=float,
        callback=positive,
        help=f"Seconds of arrivals in each trial.  [default: {DEFAULT_DURATION:g}]",
    ),
    option(
        "--burstiness",
        type=float,
        default=1.0,
        callback=above_zero,
        show_default=True,
        help="1 is Poisson, less comes in bursts, inf at equal distances.",
    ),
    option("--replay", is_flag=True, help="Arrive at the trace's own times."),
    option(
        "--too-long",
        type=click.Choice(get_args(TooLong)),
        help="What becomes of requests too long for the model.  "
        "[default: refuse; clip for a service]",
    ),
    option(
        "--workload-seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Seed of arrivals and prompts; the same in all trials.",
    ),
    option(
        "--trials",
        type=click.IntRange(min=1),
        default=DEFAULT_TRIALS,
        show_default=True,
        help="The study's total, the default configuration and crashes included.",
    ),
    option(
        "--max-hours",
        type=float,
        callback=positive,
        metavar="HOURS",
        help="No trial begins that is not expected to end within this time of the run.",
    ),
    option(
        "--stop-when-converged",
        is_flag=True,
        help="End when the model expects next to no further gain; with the sampler scoot.",
    ),
    option(
        "--sampler",
        type=click.Choice(list(SAMPLERS)),
        default="scoot",
        show_default=True,
        help="What suggests the trials.",
    ),
    option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of the sampler."),
    STORAGE,
    option("--study", help="Name of the study; made or resumed.  [default: after the rest]"),
    option(
        "--output",
        type=click.Path(path_type=Path),
        help="Folder for results and engine logs.  [default: runs/STUDY]",
    ),
    option(
        "--python",
        metavar="PATH",
        help="Interpreter of the environment that has vLLM or SGLang.  [default: the command "
        "vllm, else this one]",
    ),
    option(
        "--engine-command",
        metavar="COMMAND",
        help="A whole command that starts the engine instead, up to the model's name; with "
        "--engine command it has {model}, {port} and {flags} where they belong.",
    ),
    option(
        "--engine-arg",
        "--fix",
        "engine_args",
        multiple=True,
        metavar="NAME=VALUE",
        callback=engine_arguments,
        help="Holds for the engine in every trial, as in max-model-len=4096; not tuned then.",
    ),
    option(
        "--n-gpus",
        "--gpus-per-worker",
        "n_gpus",
        type=click.IntRange(min=1),
        help="The most GPUs of one engine.  [default: all seen]",
    ),
    option(
        "--port", type=click.IntRange(1, 65535), help="Port of the engine.  [default: a free one]"
    ),
    option(
        "--startup-timeout",
        type=float,
        default=600.0,
        callback=positive,
        show_default=True,
        help="Seconds after which an engine that does not get ready counts as crashed.",
    ),
    option(
        "--param",
        "params",
        multiple=True,
        metavar="NAME[=VALUES]",
        callback=parameters,
        help="Tune this too, or in another range: NAME=16..512, NAME=1..64:log, NAME=0..8:2, "
        "NAME=a,b,c, or what `optuna-scoot space` offers: NAME.",
    ),
    option(
        "--constraint",
        "constraints",
        multiple=True,
        metavar="EXPRESSION",
        help='What holds for every configuration, as in "max_num_seqs <= 64".',
    ),
    option(
        "--baseline",
        metavar="FILE|NAME=VALUE,...",
        callback=baseline_flags,
        help="The flags that the service has now, or their YAML file: measured first, and what "
        "all is compared with.  [default: the engine's defaults]",
    ),
    option(
        "--enqueue",
        multiple=True,
        metavar="NAME=VALUE,...",
        callback=configurations,
        help="Try this right after the default configuration, of which it changes a few values.",
    ),
    option(
        "--verify",
        type=click.IntRange(min=0),
        callback=none_or_enough,
        metavar="ORDERS",
        help="In the end measure finalists and default again under so many arrival orders; 0: do "
        f"not.  [default: {DEFAULT_ORDERS}; 0 for a simulated service]",
    ),
]
_FINALISTS = option(
    "--finalists",
    type=click.IntRange(min=1),
    default=DEFAULT_FINALISTS,
    show_default=True,
    help="The most configurations that are measured so, besides the default.",
)
_WORKERS = option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes on this machine that run trials, each engine on GPUs of its own.",
)
_ORDERS = option(
    "--orders",
    type=click.IntRange(min=LEAST_ORDERS),
    default=DEFAULT_ORDERS,
    show_default=True,
    help="Arrival orders; more of them later cost only the further ones.",
)
OF_THE_SPACE = (
    "engine",
    "service",
    "model",
    "python",
    "engine_command",
    "engine_args",
    "n_gpus",
    "params",
    "constraints",
    "baseline",
)
_OF_THE_TASK = frozenset(field.name for field in fields(TaskOptions))


def tune_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function with all options of ``tune``."""
    for decorate in reversed([*_OPTIONS, _FINALISTS, _WORKERS]):
        function = decorate(function)
    return function


def space_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function with the options that say which engine is tuned, and in which space."""

    def all_options() -> None:
        """Take the parameters that click attaches."""

    for decorate in reversed(_OPTIONS):
        decorate(all_options)
    shared = [p for p in _attached(all_options) if p.name in OF_THE_SPACE]
    _attached(function).extend(shared)
    return function


def options_of_tune() -> click.Command:
    """Return a command that does nothing and has the options of ``tune``."""

    @click.command("tune")
    @tune_options
    def nothing(**_: Any) -> None:
        """Do nothing."""

    return nothing


def verify_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function with the options of ``verify``: what was tuned, and how to verify it."""

    def all_options() -> None:
        """Take the parameters that click attaches."""

    for decorate in reversed(_OPTIONS):
        decorate(all_options)
    shared = [p for p in _attached(all_options) if p.name in _OF_THE_TASK]
    _FINALISTS(function)
    _ORDERS(function)
    _attached(function).extend(shared)  # in the order of click, whose last is --help's first
    return function


def _attached(function: Callable[..., Any]) -> list[click.Parameter]:
    """Return the parameters that click's decorators have attached to a function."""
    parameters: list[click.Parameter] = vars(function)["__click_params__"]
    return parameters
