"""The options of ``tune`` and ``verify`` as given, and what contradicts each other among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import get_args

from objectives.goals import Mode
from objectives.trace_formats.stamps import TimeUnit
from objectives.workload import TooLong
from optuna_scoot.cli.errors import BadInput
from optuna_scoot.tuning.defaults import DEFAULT_ORDERS
from optuna_scoot.tuning.defaults import DEFAULT_SERVICE


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
