"""Tune an LLM engine from Python: what the command ``optuna-scoot tune`` does, as a library.

    from optuna_scoot.tuning import Load, tune, verify, vllm_task

    task = vllm_task("meta-llama/Llama-3.1-8B-Instruct", Load("bot", rate=5.0))
    result = tune(task, n_trials=30, storage="sqlite:///scoot.db", study_name="chat")
    result.best.params, result.best.values, result.default.values, result.crashes
    result.save("runs/chat")
    print(verify(task, result.study).verdict.sentence)

A task is a real vLLM (``vllm_task``), another engine (``server_task``), a simulated service
(``simulated_task``) or any ``ServingObjective`` (``serving_task``). Importing the package is
light: torch loads with ``ScootSampler``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.own_objectives import require_own_objectives


require_own_objectives()

if TYPE_CHECKING:
    from optuna_scoot.tuning.errors import InputError
    from optuna_scoot.tuning.errors import StoppedError
    from optuna_scoot.tuning.errors import TuningError
    from optuna_scoot.tuning.errors import TuningInterrupted
    from optuna_scoot.tuning.exported import export
    from optuna_scoot.tuning.load import Load
    from optuna_scoot.tuning.measurements import verify
    from optuna_scoot.tuning.observer import Observer
    from optuna_scoot.tuning.report import Metric
    from optuna_scoot.tuning.report import Report
    from optuna_scoot.tuning.result import TuningResult
    from optuna_scoot.tuning.run import tune
    from optuna_scoot.tuning.server import server_task
    from optuna_scoot.tuning.simulated import simulated_task
    from optuna_scoot.tuning.task import TuningTask
    from optuna_scoot.tuning.task import serving_task
    from optuna_scoot.tuning.verdict import Measured
    from optuna_scoot.tuning.verdict import Verdict
    from optuna_scoot.tuning.verification import Verification
    from optuna_scoot.tuning.vllm import vllm_task


__all__ = [
    "InputError",
    "Load",
    "Measured",
    "Metric",
    "Observer",
    "Report",
    "StoppedError",
    "TuningError",
    "TuningInterrupted",
    "TuningResult",
    "TuningTask",
    "Verdict",
    "Verification",
    "export",
    "server_task",
    "serving_task",
    "simulated_task",
    "tune",
    "verify",
    "vllm_task",
]

_HOMES = {
    "InputError": "optuna_scoot.tuning.errors",
    "Load": "optuna_scoot.tuning.load",
    "Measured": "optuna_scoot.tuning.verdict",
    "Metric": "optuna_scoot.tuning.report",
    "Observer": "optuna_scoot.tuning.observer",
    "Report": "optuna_scoot.tuning.report",
    "StoppedError": "optuna_scoot.tuning.errors",
    "TuningError": "optuna_scoot.tuning.errors",
    "TuningInterrupted": "optuna_scoot.tuning.errors",
    "TuningResult": "optuna_scoot.tuning.result",
    "TuningTask": "optuna_scoot.tuning.task",
    "Verdict": "optuna_scoot.tuning.verdict",
    "Verification": "optuna_scoot.tuning.verification",
    "export": "optuna_scoot.tuning.exported",
    "server_task": "optuna_scoot.tuning.server",
    "serving_task": "optuna_scoot.tuning.task",
    "simulated_task": "optuna_scoot.tuning.simulated",
    "tune": "optuna_scoot.tuning.run",
    "verify": "optuna_scoot.tuning.measurements",
    "vllm_task": "optuna_scoot.tuning.vllm",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
