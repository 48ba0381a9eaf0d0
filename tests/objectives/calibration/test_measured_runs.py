from __future__ import annotations

import json
from pathlib import Path

import pytest

from objectives.calibration.measured_runs import CalibrationError
from objectives.calibration.measured_runs import MeasuredRun
from objectives.calibration.measured_runs import measure_runs
from objectives.calibration.measured_runs import read_measured_runs
from objectives.calibration.measured_runs import read_model_shape
from objectives.calibration.measured_runs import write_measured_runs
from objectives.engines.base import EngineCrash
from objectives.engines.simulated import SimulatedEngine
from objectives.engines.simulated.hardware import A10
from objectives.engines.simulated.hardware import LLAMA2_7B
from objectives.metrics import summarize
from objectives.traces import load_trace
from objectives.workload import build_workload


ENGINE = SimulatedEngine("test", A10, 1, LLAMA2_7B)
SETTINGS = ({}, {"max_num_seqs": 4}, {"enable_prefix_caching": True})


def measured() -> list[MeasuredRun]:
    load = build_workload(load_trace("sql"), rate=2.0, duration=10.0)
    return list(measure_runs(ENGINE, load, SETTINGS))


def test_each_setting_is_measured_on_an_engine_of_its_own() -> None:
    runs = measured()
    assert [run.params for run in runs] == list(SETTINGS)
    for run in runs:
        result = ENGINE.start(run.params, "x").serve(run.workload)
        ttft = summarize(result.records, result.duration).ttft_ms.mean
        assert run.metrics["ttft_ms_mean"] == pytest.approx(ttft, abs=1e-4)


def test_a_setting_that_crashes_is_not_measured() -> None:
    load = build_workload(load_trace("sql"), rate=2.0, duration=10.0)
    with pytest.raises(EngineCrash):
        list(measure_runs(ENGINE, load, [{"max_num_batched_tokens": 64}]))


def test_runs_survive_writing_and_reading(tmp_path: Path) -> None:
    runs = measured()
    write_measured_runs(tmp_path / "runs.json", runs)
    again = read_measured_runs(tmp_path / "runs.json")
    assert [run.params for run in again] == [run.params for run in runs]
    assert [run.metrics for run in again] == [run.metrics for run in runs]
    assert again[0].workload is again[2].workload
    for run, copy in zip(runs, again, strict=True):
        assert [s.request for s in copy.workload.requests] == [
            s.request for s in run.workload.requests
        ]
        times = [s.time for s in run.workload.requests]
        assert [s.time for s in copy.workload.requests] == pytest.approx(times, abs=1e-4)


@pytest.mark.parametrize("text", ["", "[]", '{"workloads": [], "runs": [{"params": {}}]}'])
def test_a_bad_file_is_explained(tmp_path: Path, text: str) -> None:
    path = tmp_path / "runs.json"
    path.write_text(text)
    with pytest.raises(CalibrationError, match="does not hold measured runs"):
        read_measured_runs(path)


def test_a_models_shape_is_read_from_its_configuration(tmp_path: Path) -> None:
    config = {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 4096,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    shape = read_model_shape(tmp_path, max_model_len=2048)
    # The input embedding, 4096 * 32000 weights, is not multiplied; norms are left out.
    assert shape.parameters == pytest.approx(LLAMA2_7B.parameters - 4096 * 32000, rel=1e-3)
    assert shape.kv_bytes_per_token == LLAMA2_7B.kv_bytes_per_token
    assert shape.max_model_len == 2048
    with pytest.raises(CalibrationError, match="cannot read"):
        read_model_shape(tmp_path / "missing")
