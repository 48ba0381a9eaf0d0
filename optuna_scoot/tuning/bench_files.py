"""The default and the best as files in the layout of ``vllm bench serve --save-result``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from typing import Any

from objectives.capacity import CAPACITY
from objectives.metrics import bench_result
from objectives.redaction import without_secrets
from objectives.trial_metrics import metrics_of
from optuna_scoot.tuning.result_files import finite


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from optuna_scoot.tuning.report import Report
    from optuna_scoot.tuning.task import TuningTask


def bench_files(report: Report, task: TuningTask) -> dict[str, str]:
    """Return the texts of ``default.bench.json`` and ``best.bench.json``, as far as measured.

    Nothing is returned for a simulated engine: no tool that reads such files would see that its
    figures are of none.

    Args:
        report: What the study found.
        task: What was tuned.
    """
    if task.simulated:
        return {}
    trials = {"default": report.default, "best": report.best}
    return {
        f"{name}.bench.json": json.dumps(finite(_bench_json(trial, task)), indent=2) + "\n"
        for name, trial in trials.items()
        if trial is not None and "completed" in metrics_of(trial)
    }


def _bench_json(trial: FrozenTrial, task: TuningTask) -> dict[str, Any]:
    args = without_secrets(task.serve_args)
    model = str(args.get("model", task.objective.engine.description))
    capacity = trial.user_attrs.get(CAPACITY, {})
    ended = trial.datetime_complete
    return bench_result(
        metrics_of(trial),
        date="" if ended is None else ended.strftime("%Y%m%d-%H%M%S"),
        model=model,
        tokenizer=str(args.get("tokenizer", model)),
        rate=capacity.get("rate", task.settings.get("rate")),
        burstiness=task.settings.get("burstiness", 1.0),
    )
