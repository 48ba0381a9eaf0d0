"""The installed vLLM computes the same metrics as this project from the same timings."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectives.loadgen import run
from objectives.metrics import PERCENTILES
from objectives.metrics import GoodputSLO
from objectives.metrics import RequestRecord
from objectives.metrics import peaks
from objectives.metrics import summarize
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload
from tests.objectives.completions_server import Answer
from tests.objectives.completions_server import CompletionsServer


ROOT = Path(__file__).parents[2]
VLLM_PYTHON = Path(os.environ.get("VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))

# Runs in vLLM's environment: records in, the metrics of `vllm bench serve` out.
PROGRAM = """
import json, sys
from vllm.benchmarks.lib.endpoint_request_func import RequestFuncOutput
from vllm.benchmarks.serve import calculate_metrics

runs = json.load(open(sys.argv[1]))
results = []
for run in runs:
    outputs = [RequestFuncOutput(**output) for output in run["outputs"]]
    metrics, _ = calculate_metrics(
        [], outputs, run["duration"], None, run["percentiles"], run["goodput"]
    )
    results.append(vars(metrics))
json.dump(results, open(sys.argv[2], "w"), default=float)
"""


# What vLLM does not compute.
OWN = {"duration_s", "arrival_rate", "admission_rate"}


def as_vllm_output(record: RequestRecord) -> dict[str, Any]:
    """Put a record into the fields in which vLLM's client keeps a request."""
    output: dict[str, Any] = {
        "success": record.completed,
        "prompt_len": record.prompt_tokens,
        "output_tokens": record.output_tokens,
        "start_time": record.sent,
        "error": record.error or "",
    }
    if record.first_token is not None:
        output |= {
            "ttft": record.ttft,
            "latency": record.latency,
            "itl": list(record.inter_token_latencies),
        }
    return output


def ask_vllm(
    runs: Sequence[tuple[Sequence[RequestRecord], float]], slo: dict[str, float], folder: Path
) -> list[dict[str, Any]]:
    assert VLLM_PYTHON.is_file(), f"no vLLM at {VLLM_PYTHON}: make setup-vllm installs it"
    questions = [
        {
            "outputs": [as_vllm_output(record) for record in records],
            "duration": duration,
            "percentiles": PERCENTILES,
            "goodput": slo,
        }
        for records, duration in runs
    ]
    (folder / "questions.json").write_text(json.dumps(questions))
    command = [VLLM_PYTHON, "-c", PROGRAM, folder / "questions.json", folder / "answers.json"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads((folder / "answers.json").read_text())
    assert isinstance(answers, list)
    return answers


def in_our_names(vllm: dict[str, Any]) -> dict[str, float]:
    names = {
        "completed": "completed",
        "failed": "failed",
        "total_input": "total_input_tokens",
        "total_output": "total_output_tokens",
        "request_throughput": "request_throughput",
        "output_throughput": "output_throughput",
        "total_token_throughput": "total_token_throughput",
        "request_goodput": "goodput",
    }
    renamed = {ours: float(vllm[theirs]) for theirs, ours in names.items()}
    for latency in ("ttft", "tpot", "itl", "e2el"):
        for statistic in ("mean", "std"):
            renamed[f"{latency}_ms_{statistic}"] = vllm[f"{statistic}_{latency}_ms"]
        for percentile, value in vllm[f"percentiles_{latency}_ms"]:
            renamed[f"{latency}_ms_p{percentile}"] = value
    return renamed


def records_of_a_real_run() -> tuple[tuple[RequestRecord, ...], float]:
    """Let this project's client meet a server that answers some requests and fails others."""
    rng = np.random.default_rng(8)
    chunks = [
        [(float(rng.random()) / 50, int(rng.integers(1, 5))) for _ in range(rng.integers(1, 12))]
        for _ in range(40)
    ]

    def answer(number: int, _body: dict[str, Any]) -> Answer:
        end = "disconnect" if number % 13 == 5 else "done"
        return Answer(status=500 if number % 17 == 3 else 200, chunks=chunks[number], end=end)

    requests = (ScheduledRequest(i, 0.02 * i, TraceRequest(7, 4)) for i in range(40))
    with CompletionsServer(answer) as server:
        result = run(server.url, "m", Workload(tuple(requests), "test", 1.0), ["x"] * 40)
    assert (result.completed, result.failed) == (34, 6)
    return result.records, result.duration


def random_records() -> tuple[RequestRecord, ...]:
    """Records over six orders of magnitude, with answers of one token and failures."""
    rng = np.random.default_rng(9)
    records = []
    for index in range(300):
        n_events = int(rng.integers(1, 20))
        n_tokens = n_events + int(rng.integers(0, 10)) if n_events > 1 else 1
        sent = float(rng.random() * 100)
        gaps = 10 ** rng.uniform(-5, 1, n_events)
        events = sent + np.cumsum(gaps)
        itl = tuple(float(gap) for gap in np.diff(events))
        error = "timeout: late" if rng.random() < 0.1 else None
        n_prompt = int(rng.integers(1, 4000))
        first, last = float(events[0]), float(events[-1])
        records.append(
            RequestRecord(index, sent, sent, first, last, n_prompt, n_tokens, itl, error)
        )
    return tuple(records)


def test_vllm_computes_the_same_metrics(tmp_path: Path) -> None:
    slo = {"ttft": 20.0, "tpot": 9.0, "e2el": 120.0}
    runs = [records_of_a_real_run(), (random_records(), 140.0)]
    answers = ask_vllm(runs, slo, tmp_path)
    limits = GoodputSLO(ttft_ms=20.0, tpot_ms=9.0, e2el_ms=120.0)
    for (records, duration), answer in zip(runs, answers, strict=True):
        ours = summarize(records, duration, limits).as_dict()
        theirs = in_our_names(answer)
        own = {name for name in ours if name.startswith("scheduled_")} | OWN
        assert set(ours) == set(theirs) | own
        assert 0 <= ours["goodput"] <= ours["request_throughput"]
        assert peaks(records) == {name: answer[name] for name in peaks(records)}
        assert {name: ours[name] for name in theirs} == pytest.approx(theirs, rel=1e-9)
    assert 0 < answers[1]["request_goodput"] < answers[1]["request_throughput"]
