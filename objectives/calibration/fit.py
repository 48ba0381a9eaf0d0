"""Fit the coefficients of the step time to measured runs, and judge how well they predict others.

The fit minimises

    sum over runs and metrics of rho(log(predicted / measured)^2) + sum of (w * log(c / c0))^2

over the coefficients c, with rho soft-L1 so that one odd run does not bend the rest, and w a
small pull towards the starting values c0 for coefficients that the runs do not determine. The fit
starts from several places and keeps the best: an iteration is bound by arithmetic or by bandwidth,
and a search that sits on the wrong side of that maximum does not cross it. How good the result is
must be judged on runs that were held out: their mean absolute percentage error, and Spearman's
rank correlation, which is what tuning needs (which configuration is better).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.stats import spearmanr

from objectives.calibration.measured_runs import CalibrationError
from objectives.calibration.measured_runs import MeasuredRun
from objectives.engines.base import EngineCrash
from objectives.engines.simulated.config import EngineConfig
from objectives.engines.simulated.engine import SimulatedEngine
from objectives.engines.simulated.hardware import PROCESSOR
from objectives.engines.simulated.hardware import ModelShape
from objectives.engines.simulated.step_time import StepCoefficients
from objectives.metrics import MetricsError
from objectives.metrics import summarize


# vLLM 0.32 on a processor: prompts are always cut to fit, and blocks are large.
CURRENT_DEFAULTS = EngineConfig(enable_chunked_prefill=True, block_size=128)
COMPARED_METRICS = ("ttft_ms_mean", "tpot_ms_mean", "request_throughput")
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
# The sides of the roofline, and the changes of their logarithms from which the fit starts.
SIDES = ("gemm_efficiency", "weight_bandwidth_efficiency")
STARTING_CHANGES = (-2.0, 0.0, 2.0)
STEP = 0.05  # of the finite differences: the simulation jumps a little everywhere


Vector = npt.NDArray[np.float64]


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


def processor_engine(
    model: ModelShape, kv_cache_bytes: float, defaults: EngineConfig = CURRENT_DEFAULTS
) -> SimulatedEngine:
    """Return the model of a current vLLM on a processor, before it is fitted.

    Args:
        model: See ``read_model_shape``.
        kv_cache_bytes: ``VLLM_CPU_KVCACHE_SPACE``, in bytes.
        defaults: What the engine takes for parameters that a run does not set.
    """
    return SimulatedEngine(
        f"{model.name} on a processor",
        PROCESSOR,
        1,
        model,
        defaults=defaults,
        exclusive_caching=False,
        kv_cache_bytes=kv_cache_bytes,
    )


def calibrate(
    engine: SimulatedEngine,
    runs: Sequence[MeasuredRun],
    *,
    held_out: Iterable[int] = (),
    names: Sequence[str] = FITTED,
) -> Calibration:
    """Fit coefficients to measured runs.

    Args:
        engine: The model of the machine; the fit starts at and around its coefficients.
        runs: At least two that are not held out.
        held_out: Indices of runs that are only predicted.
        names: The coefficients to fit, fields of ``StepCoefficients``, all > 0 at the start.

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
    fits = [
        least_squares(
            residuals,
            first,
            bounds=(1.0 - LARGEST_CHANGE, 1.0 + LARGEST_CHANGE),
            diff_step=[STEP] * len(names),
            loss="soft_l1",
            f_scale=0.2,
            max_nfev=40,
        )
        for first in _starting_points(names)
    ]
    model = with_values(min(fits, key=lambda fit: float(fit.cost)).x)
    return Calibration(
        model.coefficients,
        prediction_errors(model, train),
        prediction_errors(model, [runs[i] for i in sorted(test)]),
    )


def _starting_points(names: Sequence[str]) -> list[Vector]:
    """Return the points from which the fit starts, as x = 1 + log(c / c0)."""
    changes = [STARTING_CHANGES if name in SIDES else (0.0,) for name in names]
    return [1.0 + np.array(point) for point in product(*changes)]


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
    for metric in COMPARED_METRICS:
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
            for metric in COMPARED_METRICS
        ]
    )


def _check(
    start: StepCoefficients, runs: Sequence[MeasuredRun], test: set[int], names: Sequence[str]
) -> None:
    if not test <= set(range(len(runs))):
        raise CalibrationError(f"held-out runs {sorted(test)} are not all among {len(runs)} runs")
    if len(runs) - len(test) < 2:
        raise CalibrationError("at least two measured runs are needed besides those held out")
    for name in names:
        if getattr(start, name, 0.0) <= 0.0:
            raise CalibrationError(f"there is no positive coefficient {name!r} to start from")
    for i, run in enumerate(runs):
        missing = [metric for metric in COMPARED_METRICS if not run.metrics.get(metric, 0.0) > 0.0]
        if missing:
            raise CalibrationError(f"measured run {i} has no positive {', '.join(missing)}")
