from __future__ import annotations

import dataclasses

import pytest

from objectives.calibration.fit import calibrate
from objectives.calibration.fit import predict
from objectives.calibration.fit import prediction_errors
from objectives.calibration.measured_runs import CalibrationError
from objectives.calibration.measured_runs import MeasuredRun
from objectives.engines.simulated import SimulatedEngine
from objectives.engines.simulated.hardware import A10
from objectives.engines.simulated.hardware import LLAMA2_7B
from objectives.engines.simulated.step_time import StepCoefficients
from objectives.traces import load_trace
from objectives.workload import Workload
from objectives.workload import build_workload


ENGINE = SimulatedEngine("test", A10, 1, LLAMA2_7B)
# A machine that the default coefficients describe badly.
TRUTH = StepCoefficients(
    gemm_efficiency=0.3,
    weight_bandwidth_efficiency=0.6,
    kv_bandwidth_efficiency=0.2,
    cpu_step_s=8e-3,
    cpu_sequence_s=2e-4,
)


def bot(rate: float) -> Workload:
    return build_workload(load_trace("bot"), rate=rate, duration=30.0, max_model_len=4096)


def measured() -> list[MeasuredRun]:
    machine = dataclasses.replace(ENGINE, coefficients=TRUTH)
    settings = [
        ({}, 0.5),
        ({}, 4.0),
        ({"max_num_seqs": 8}, 3.0),
        ({"max_num_seqs": 2}, 1.0),
        ({"enable_chunked_prefill": True, "max_num_batched_tokens": 512}, 3.0),
        ({"enable_chunked_prefill": True, "max_num_batched_tokens": 256}, 1.0),
        ({"max_num_seqs": 16}, 4.0),
        ({"enable_chunked_prefill": True, "max_num_batched_tokens": 1024}, 4.0),
    ]
    runs = [MeasuredRun(params, bot(rate), {}) for params, rate in settings]
    return [dataclasses.replace(run, metrics=predict(machine, run)) for run in runs]


def test_a_fit_predicts_runs_that_it_has_not_seen() -> None:
    runs = measured()
    before = prediction_errors(ENGINE, runs[-2:])
    calibration = calibrate(ENGINE, runs, held_out=[6, 7])
    assert before["tpot_ms_mean"].mape > 0.25
    for metric, error in calibration.held_out.items():
        assert error.mape < 0.05, metric
    for error in calibration.fitted.values():
        assert error.rank_correlation > 0.9
    assert calibration.coefficients.cpu_block_s == StepCoefficients().cpu_block_s


def test_errors_are_percentages_and_ranks() -> None:
    runs = [
        dataclasses.replace(run, metrics={m: v * factor for m, v in run.metrics.items()})
        for run, factor in zip(measured()[:3], (1.0, 0.5, 2.0), strict=True)
    ]
    machine = dataclasses.replace(ENGINE, coefficients=TRUTH)
    error = prediction_errors(machine, runs)["tpot_ms_mean"]
    assert error.mape == pytest.approx((0.0 + 1.0 + 0.5) / 3)
    ratios = [p / m for p, m in zip(error.predicted, error.measured, strict=True)]
    assert ratios == pytest.approx([1.0, 2.0, 0.5])


def test_a_run_that_the_model_cannot_start_is_predicted_as_nothing() -> None:
    run = MeasuredRun({"max_num_batched_tokens": 64}, bot(1.0), {})
    assert predict(ENGINE, run) == {}


def test_runs_that_cannot_be_fitted_are_refused() -> None:
    runs = measured()[:3]
    with pytest.raises(CalibrationError, match="at least two"):
        calibrate(ENGINE, runs, held_out=[0, 1])
    with pytest.raises(CalibrationError, match="not all among"):
        calibrate(ENGINE, runs, held_out=[3])
    with pytest.raises(CalibrationError, match="no positive coefficient"):
        calibrate(ENGINE, runs, names=["speed"])
    broken = [*runs, dataclasses.replace(runs[0], metrics={"ttft_ms_mean": 1.0})]
    with pytest.raises(CalibrationError, match="measured run 3 has no positive tpot_ms_mean"):
        calibrate(ENGINE, broken)
