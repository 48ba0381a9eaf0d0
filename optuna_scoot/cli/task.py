"""What the options of ``tune`` and ``verify`` name to be tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from objectives.spaces import parse_change
from optuna_scoot import tuning


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from objectives.loadgen import Progress
    from optuna_scoot.cli.options import TaskOptions


# Options that are arguments of the library, under the same names and with its defaults.
LOAD_OPTIONS = (
    "trace",
    "rate",
    "duration",
    "burstiness",
    "replay",
    "trace_time_unit",
    "too_long",
)
ENGINE_OPTIONS = (
    "engine",
    "model",
    "python",
    "engine_command",
    "engine_args",
    "n_gpus",
    "port",
    "startup_timeout",
)


def make_task(
    options: TaskOptions,
    log_dir: Path,
    on_progress: Callable[[Progress], None] | None = None,
    gpu_locks: str | Path | None = None,
) -> tuning.TuningTask:
    """Return what the options name to be tuned.

    Args:
        options: Free of contradictions.
        log_dir: Folder of the engine's logs.
        on_progress: Called a few times a second while a trial's load runs.
        gpu_locks: Folder by which the workers of one machine share its GPUs.

    Raises:
        InputError: Something does not exist, cannot be read, or does not fit together.
    """

    def given(*names: str) -> dict[str, Any]:
        values = {name: getattr(options, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    load = tuning.Load(**given(*LOAD_OPTIONS), seed=options.workload_seed)
    aims: dict[str, Any] = {**given("objective", "baseline", "early_end"), "slo": options.slo}
    if options.minimize or options.maximize:
        aims["objective"] = [
            *(f"minimize {metric}" for metric in options.minimize),
            *(f"maximize {metric}" for metric in options.maximize),
        ]
    aims["params"] = dict(map(parse_change, options.params))
    if options.engine == "simulated":
        return tuning.simulated_task(load=load, **given("service", "engine_args"), **aims)
    return tuning.server_task(
        load=load,
        log_dir=log_dir,
        on_progress=on_progress,
        gpu_locks=gpu_locks,
        **given(*ENGINE_OPTIONS),
        **aims,
    )
