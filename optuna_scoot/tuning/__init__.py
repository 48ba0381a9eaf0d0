"""Tune an LLM engine from Python: what the command ``optuna-scoot tune`` does, as a library.

    from optuna_scoot.tuning import Load, tune, verify, vllm_task

    task = vllm_task("meta-llama/Llama-3.1-8B-Instruct", Load("bot", rate=5.0))
    result = tune(task, n_trials=30, storage="sqlite:///scoot.db", study_name="chat")
    result.best.params, result.best.values, result.default.values, result.crashes
    result.save("runs/chat")
    print(verify(task, result.study).verdict.sentence)

A task is a real vLLM (``vllm_task``), a simulated service (``simulated_task``) or any
``ServingObjective`` (``serving_task``). Importing the package is light: torch loads with
``ScootSampler``.
"""

# ruff: noqa: E402

from __future__ import annotations

from optuna_scoot.own_objectives import require_own_objectives


require_own_objectives()

from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.errors import StoppedError
from optuna_scoot.tuning.errors import TuningError
from optuna_scoot.tuning.errors import TuningInterrupted
from optuna_scoot.tuning.export import export
from optuna_scoot.tuning.load import Load
from optuna_scoot.tuning.measurements import verify
from optuna_scoot.tuning.observer import Observer
from optuna_scoot.tuning.report import Metric
from optuna_scoot.tuning.report import Report
from optuna_scoot.tuning.result import TuningResult
from optuna_scoot.tuning.run import tune
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
    "serving_task",
    "simulated_task",
    "tune",
    "verify",
    "vllm_task",
]
