"""The options of ``tune``, ``verify`` and ``space`` as ``--help`` lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any
from typing import get_args

import click

from objectives.trace_formats.stamps import UNITS
from objectives.workload import TooLong
from optuna_scoot.cli.option_types import above_zero
from optuna_scoot.cli.option_types import baseline_flags
from optuna_scoot.cli.option_types import configurations
from optuna_scoot.cli.option_types import engine_arguments
from optuna_scoot.cli.option_types import none_or_enough
from optuna_scoot.cli.option_types import option
from optuna_scoot.cli.option_types import parameters
from optuna_scoot.cli.option_types import positive
from optuna_scoot.cli.options import ENGINES
from optuna_scoot.cli.options import OBJECTIVES
from optuna_scoot.cli.options import TaskOptions
from optuna_scoot.tuning.defaults import DEFAULT_DURATION
from optuna_scoot.tuning.defaults import DEFAULT_FINALISTS
from optuna_scoot.tuning.defaults import DEFAULT_ORDERS
from optuna_scoot.tuning.defaults import DEFAULT_SERVICE
from optuna_scoot.tuning.defaults import DEFAULT_TRIALS
from optuna_scoot.tuning.defaults import LEAST_ORDERS
from optuna_scoot.tuning.samplers import SAMPLERS


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
