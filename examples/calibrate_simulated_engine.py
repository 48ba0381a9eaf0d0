"""Fit the simulated engine to a real vLLM on this machine's processor, and say how well it does.

    python examples/calibrate_simulated_engine.py RUNS.json --measure --model DIR --python PYTHON
    python examples/calibrate_simulated_engine.py RUNS.json

The first measures a dozen configurations of the model in DIR (``make_random_llama.py`` makes one)
with the vLLM of the interpreter PYTHON, about a minute each, into RUNS.json. Both then fit the
step time's coefficients to two thirds of the runs and compare predictions with the other third,
which the fit has not seen. Nothing else should run on the machine while it measures.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np

from objectives.calibration.fit import COMPARED_METRICS
from objectives.calibration.fit import FITTED
from objectives.calibration.fit import calibrate
from objectives.calibration.fit import prediction_errors
from objectives.calibration.fit import processor_engine
from objectives.calibration.measured_runs import CalibrationError
from objectives.calibration.measured_runs import MeasuredRun
from objectives.calibration.measured_runs import measure_runs
from objectives.calibration.measured_runs import read_measured_runs
from objectives.calibration.measured_runs import write_measured_runs
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.simulated.hardware import ModelShape
from objectives.engines.vllm import VllmEngine
from objectives.traces import Trace
from objectives.traces import TraceRequest
from objectives.workload import Workload
from objectives.workload import build_workload


# What ``make_random_llama.py`` makes; ``read_model_shape`` reads it from the folder.
RANDOM_LLAMA_77M = ModelShape("llama-77m", 73.92e6, 10, 768, 2304, 12, 6, 4096, 2048)
KV_CACHE_GIB = 2
DTYPE = "float32"  # many processors have no instructions for bfloat16, and are slow at it
BYTES_RATIO = 4 / 2  # the model's shape counts two bytes a number; the fit makes up for the speed
OFFLINE = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
# (max_num_seqs, max_num_batched_tokens), spread over the logarithm of both.
SETTINGS = (
    (256, 2048),
    (8, 2048),
    (32, 128),
    (16, 512),
    (4, 1024),
    (64, 256),
    (2, 2048),
    (24, 1024),
    (256, 512),
    (32, 64),
    (12, 128),
)
HELD_OUT_EVERY = 3


def workload(rate: float, duration: float) -> Workload:
    """Return 110 tokens in and 48 out, give or take 60 percent: more than two cores can bear."""
    lengths = np.random.default_rng(0).uniform(0.4, 1.6, size=(500, 2)) * (110, 48)
    requests = tuple(TraceRequest(round(prompt), round(output)) for prompt, output in lengths)
    return build_workload(Trace("uniform", requests), rate=rate, duration=duration)


def measure(arguments: argparse.Namespace) -> None:
    """Run every setting on the real engine, a fresh one each; each run is kept as it ends."""
    vllm = VllmEngine(
        arguments.model,
        python=arguments.python,
        engine_args={"dtype": DTYPE, "max_model_len": 2048, "enforce_eager": True},
        env={
            "VLLM_CPU_KVCACHE_SPACE": str(KV_CACHE_GIB),
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
        },
    )
    load = workload(arguments.rate, arguments.duration)
    settings = [{"max_num_seqs": s, "max_num_batched_tokens": t} for s, t in SETTINGS]
    runs: list[MeasuredRun] = []
    for run in measure_runs(vllm, load, settings):
        runs.append(run)
        write_measured_runs(arguments.runs, runs)
        print(run.params, {metric: run.metrics[metric] for metric in COMPARED_METRICS}, flush=True)


def report(runs: list[MeasuredRun]) -> None:
    """Fit, and print coefficients and errors."""
    held_out = range(HELD_OUT_EVERY - 1, len(runs), HELD_OUT_EVERY)
    start = processor_engine(RANDOM_LLAMA_77M, KV_CACHE_GIB * 2.0**30 / BYTES_RATIO)
    calibration = calibrate(start, runs, held_out=held_out)
    for name in FITTED:
        value = getattr(calibration.coefficients, name)
        print(f"{name:28s} {value:.4g}  (from {getattr(start.coefficients, name):.4g})")
    fitted = dataclasses.replace(start, coefficients=calibration.coefficients)
    everything = prediction_errors(fitted, runs)
    print(f"\n{len(runs)} runs, {len(held_out)} of them held out")
    print(f"{'':20s} {'error fitted':>13s} {'error held out':>15s} {'rank held out':>14s}", end="")
    print(f" {'rank of all':>12s}")
    for metric in COMPARED_METRICS:
        seen, unseen = calibration.fitted[metric], calibration.held_out[metric]
        print(f"{metric:20s} {seen.mape:13.1%} {unseen.mape:15.1%}", end="")
        print(f" {unseen.rank_correlation:14.2f} {everything[metric].rank_correlation:12.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, help="JSON file of measured runs")
    parser.add_argument("--measure", action="store_true", help="measure them first")
    parser.add_argument("--model", help="folder of the model")
    parser.add_argument("--python", help="interpreter of the environment that holds vLLM")
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second (10)")
    parser.add_argument("--duration", type=float, default=10.0, help="seconds of arrivals (10)")
    arguments = parser.parse_args()
    try:
        if arguments.measure:
            if arguments.model is None:
                parser.error("--measure needs --model")
            measure(arguments)
        report(read_measured_runs(arguments.runs))
    except (CalibrationError, EngineCrash, ExternalFailure) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
