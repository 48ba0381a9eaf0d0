"""Fit the coefficients of the step time to measured runs, and tell how well they predict others.

A measured run is a configuration, the workload that was sent, and the metrics that a client saw on
a real engine. The fit minimises

    sum over runs and metrics of rho(log(predicted / measured)^2) + sum of (w * log(c / c0))^2

over the coefficients c, with rho soft-L1 so that one odd run does not bend the rest, and w a small
pull towards the starting values c0 for coefficients that the runs say nothing about. How good the
result is must be judged on runs that were held out: their mean absolute percentage error, and
Spearman's rank correlation, which is what tuning needs (which configuration is better).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.stats import spearmanr

from objectives.engines.base import EngineCrash
from objectives.engines.simulated.engine import SimulatedEngine
from objectives.engines.simulated.hardware import ModelShape
from objectives.engines.simulated.step_time import StepCoefficients
from objectives.metrics import MetricsError
from objectives.metrics import summarize
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


METRICS = ("ttft_ms_mean", "tpot_ms_mean", "request_throughput")
FITTED = (
    "gemm_efficiency",
    "weight_bandwidth_efficiency",
    "kv_bandwidth_efficiency",
    "cpu_step_s",
    "cpu_sequence_s",
    "cpu_prompt_token_s",
    "frontend_s",
)
PULL = 0.02  # w
CRASH_RESIDUAL = math.log(10.0)  # where the model says crash and the engine ran
LARGEST_CHANGE = 4.0  # of the logarithm of a coefficient
STEP = 0.05  # of the finite differences: the simulation jumps a little everywhere


Vector = npt.NDArray[np.float64]


class CalibrationError(ValueError):
    """The measured runs cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One configuration as it was measured.

    Attributes:
        params: Parameters of the configuration, as `SimulatedEngine.start` takes them.
        workload: What was sent.
        metrics: Flat names and values of `ServingMetrics.as_dict`.
    """

    params: Mapping[str, Any]
    workload: Workload
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MetricError:
    """How far predictions of one metric are from measurements.

    Attributes:
        mape: Mean absolute percentage error; 0.1 is ten percent.
        rank_correlation: Spearman's; NaN where all values are equal or there are fewer than 3.
        predicted: Values of the model; NaN where it says crash.
        measured: Values of the engine.
    """

    mape: float
    rank_correlation: float
    predicted: tuple[float, ...]
    measured: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The outcome of a fit.

    Attributes:
        coefficients: The fitted ones, and the rest as they were.
        fitted: Errors by metric on the runs that were fitted.
        held_out: Errors by metric on the others; empty where there were none.
    """

    coefficients: StepCoefficients
    fitted: Mapping[str, MetricError]
    held_out: Mapping[str, MetricError]


def calibrate(
    engine: SimulatedEngine,
    runs: Sequence[MeasuredRun],
    *,
    held_out: Iterable[int] = (),
    names: Sequence[str] = FITTED,
) -> Calibration:
    """Fit coefficients to measured runs.

    Args:
        engine: The model of the machine; its coefficients are where the fit starts.
        runs: At least two that are not held out.
        held_out: Indices of runs that are only predicted.
        names: The coefficients to fit, fields of `StepCoefficients`, all > 0 at the start.

    Raises:
        CalibrationError: There are too few runs, a metric is missing, or a name is unknown.
    """
    test = set(held_out)
    _check(engine.coefficients, runs, test, names)
    train = [run for i, run in enumerate(runs) if i not in test]
    start = np.array([getattr(engine.coefficients, name) for name in names])

    def with_values(x: Vector) -> SimulatedEngine:
        values = dict(zip(names, (start * np.exp(x - 1.0)).tolist(), strict=True))
        coefficients = dataclasses.replace(engine.coefficients, **values)
        return dataclasses.replace(engine, coefficients=coefficients)

    def residuals(x: Vector) -> Vector:
        model = with_values(x)
        misses = [_log_ratios(predict(model, run), run.metrics) for run in train]
        return np.concatenate([*misses, PULL * (x - 1.0)])

    # x = 1 + log(c / c0): steps of finite differences are relative to x, which must not be 0.
    fit = least_squares(
        residuals,
        np.ones(len(names)),
        bounds=(1.0 - LARGEST_CHANGE, 1.0 + LARGEST_CHANGE),
        diff_step=[STEP] * len(names),
        loss="soft_l1",
        f_scale=0.2,
        max_nfev=40,
    )
    model = with_values(fit.x)
    return Calibration(
        model.coefficients,
        prediction_errors(model, train),
        prediction_errors(model, [runs[i] for i in sorted(test)]),
    )


def predict(engine: SimulatedEngine, run: MeasuredRun) -> dict[str, float]:
    """Return what the model predicts for a run's configuration: empty where it says crash."""
    try:
        with engine.start(run.params, "calibration") as running:
            result = running.serve(run.workload)
        return summarize(result.records, result.duration).as_dict()
    except (EngineCrash, MetricsError):
        return {}


def prediction_errors(
    engine: SimulatedEngine, runs: Sequence[MeasuredRun]
) -> dict[str, MetricError]:
    """Return the errors of a model by metric; empty where there are no runs."""
    if not runs:
        return {}
    predictions = [predict(engine, run) for run in runs]
    errors = {}
    for metric in METRICS:
        predicted = np.array([p.get(metric, math.nan) for p in predictions])
        measured = np.array([run.metrics[metric] for run in runs])
        ran = np.isfinite(predicted)
        mape = float(np.mean(np.abs(predicted[ran] / measured[ran] - 1.0))) if ran.any() else 1.0
        errors[metric] = MetricError(
            mape,
            _rank_correlation(predicted[ran], measured[ran]),
            tuple(predicted.tolist()),
            tuple(measured.tolist()),
        )
    return errors


def _rank_correlation(a: Vector, b: Vector) -> float:
    if len(a) < 3 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return math.nan
    return float(spearmanr(a, b).statistic)


def _log_ratios(predicted: Mapping[str, float], measured: Mapping[str, float]) -> Vector:
    return np.array(
        [
            math.log(predicted[metric] / measured[metric]) if predicted else CRASH_RESIDUAL
            for metric in METRICS
        ]
    )


def _check(
    start: StepCoefficients, runs: Sequence[MeasuredRun], test: set[int], names: Sequence[str]
) -> None:
    if not test <= set(range(len(runs))):
        raise CalibrationError(f"held-out runs {sorted(test)} are not all among {len(runs)} runs")
    if len(runs) - len(test) < 2:
        raise CalibrationError("at least two measured runs are needed beside those held out")
    for name in names:
        if getattr(start, name, 0.0) <= 0.0:
            raise CalibrationError(f"there is no positive coefficient {name!r} to start from")
    for i, run in enumerate(runs):
        missing = [metric for metric in METRICS if not run.metrics.get(metric, 0.0) > 0.0]
        if missing:
            raise CalibrationError(f"measured run {i} has no positive {', '.join(missing)}")


def write_runs(path: Path, runs: Sequence[MeasuredRun]) -> None:
    """Write measured runs as JSON; a workload that several runs share is written once."""
    workloads: list[Workload] = []
    rows = []
    for run in runs:
        if run.workload not in workloads:
            workloads.append(run.workload)
        rows.append(
            {
                "params": dict(run.params),
                "workload": workloads.index(run.workload),
                "metrics": dict(run.metrics),
            }
        )
    document = {"workloads": [_workload_columns(w) for w in workloads], "runs": rows}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_runs(path: Path) -> list[MeasuredRun]:
    """Read what :func:`write_runs` wrote.

    Raises:
        CalibrationError: The file cannot be read or is of another form.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        workloads = [_workload(columns) for columns in document["workloads"]]
        return [
            MeasuredRun(row["params"], workloads[row["workload"]], row["metrics"])
            for row in document["runs"]
        ]
    except OSError as error:
        raise CalibrationError(f"cannot read measured runs from {path}: {error}") from error
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CalibrationError(f"{path} does not hold measured runs: {error!r}") from error


def _workload_columns(workload: Workload) -> dict[str, Any]:
    requests = workload.requests
    return {
        "name": workload.name,
        "duration": workload.duration,
        "times": [round(scheduled.time, 4) for scheduled in requests],
        "prompt_tokens": [scheduled.request.prompt_tokens for scheduled in requests],
        "output_tokens": [scheduled.request.output_tokens for scheduled in requests],
        "prefix_ids": [scheduled.request.prefix_id for scheduled in requests],
        "prefix_tokens": [scheduled.request.prefix_tokens for scheduled in requests],
    }


def _workload(columns: Mapping[str, Any]) -> Workload:
    fields = ("times", "prompt_tokens", "output_tokens", "prefix_ids", "prefix_tokens")
    rows = zip(*(columns[name] for name in fields), strict=True)
    requests = tuple(
        ScheduledRequest(
            i,
            float(time),
            TraceRequest(prompt, output, prefix_id=prefix_id, prefix_tokens=prefix_tokens),
        )
        for i, (time, prompt, output, prefix_id, prefix_tokens) in enumerate(rows)
    )
    return Workload(requests, columns["name"], columns["duration"])


def read_model_shape(folder: Path, max_model_len: int | None = None) -> ModelShape:
    """Read the shape of a Llama-like model from the ``config.json`` in its folder.

    Args:
        folder: The model's folder.
        max_model_len: Longest sequence that is served; by default the model's own.

    Raises:
        CalibrationError: There is no such file, or it does not describe such a model.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        hidden, layers = config["hidden_size"], config["num_hidden_layers"]
        heads, intermediate = config["num_attention_heads"], config["intermediate_size"]
        kv_heads = config.get("num_key_value_heads") or heads
        attention = hidden * hidden * (2.0 + 2.0 * kv_heads / heads)
        output = hidden * config["vocab_size"]  # the input embedding is looked up, not multiplied
        return ModelShape(
            folder.name,
            layers * (attention + 3.0 * hidden * intermediate) + output,
            layers,
            hidden,
            intermediate,
            heads,
            kv_heads,
            config["vocab_size"],
            max_model_len or config["max_position_embeddings"],
        )
    except OSError as error:
        raise CalibrationError(f"cannot read the model's configuration: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationError(f"{folder} holds no Llama-like model: {error!r}") from error
