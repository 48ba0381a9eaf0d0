"""What ``vllm bench serve --save-result`` writes of a server, beside this project's file of it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from objectives.loadgen import run
from objectives.metrics import GoodputSLO
from objectives.metrics import bench_result
from objectives.metrics import peaks
from objectives.metrics import summarize
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload
from tests.objectives.completions_server import Answer
from tests.objectives.completions_server import CompletionsServer


N = 6
ANSWER = Answer(chunks=[(0.1, 1)] * 4)
LEFT_OUT = {"latencies", "queue_times"}
"""vLLM has them for each request."""

# Runs in vLLM's environment: `vllm bench serve` without the command, which a CPU build lacks.
BENCH_SERVE = """
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser

parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""


def written_by_vllm(python: str, url: str, model: Path, folder: Path) -> dict[str, Any]:
    command = [python, "-c", BENCH_SERVE, "--backend", "openai"]
    command += ["--base-url", url, "--model", "m", "--tokenizer", str(model)]
    command += ["--dataset-name", "random", "--random-input-len", "7", "--random-output-len", "4"]
    command += ["--num-prompts", str(N), "--request-rate", "20", "--goodput", "ttft:1000"]
    command += ["--percentile-metrics", "ttft,tpot,itl,e2el"]
    command += ["--metric-percentiles", "90,95,99", "--save-result", "--disable-tqdm"]
    command += ["--result-dir", str(folder), "--result-filename", "vllm.json"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((folder / "vllm.json").read_text())
    assert isinstance(result, dict)
    return result


def written_by_us(url: str, model: Path) -> dict[str, Any]:
    request = TraceRequest(prompt_tokens=7, output_tokens=4)
    scheduled = tuple(ScheduledRequest(i, i / 20, request) for i in range(N))
    result = run(url, "m", Workload(scheduled, "known", N / 20), ["x"] * N)
    metrics = summarize(result.records, result.duration, GoodputSLO(ttft_ms=1000.0))
    return bench_result(
        {**metrics.as_dict(), **peaks(result.records)},
        date="20260131-120000",
        model="m",
        tokenizer=str(model),
        rate=20.0,
        burstiness=1.0,
    )


def test_the_file_has_vllms_names_types_and_units(
    vllm_python: str, model: Path, tmp_path: Path
) -> None:
    with CompletionsServer(lambda _number, _body: ANSWER) as server:
        theirs = written_by_vllm(vllm_python, server.url, model, tmp_path)
        ours = json.loads(json.dumps(written_by_us(server.url, model)))
    assert set(ours) == set(theirs) - LEFT_OUT
    assert {name: type(ours[name]) for name in ours} == {name: type(theirs[name]) for name in ours}
    same = ("num_prompts", "request_rate", "burstiness", "completed", "failed", "backend")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    for latency in ("ttft", "tpot", "itl", "e2el"):  # another unit is off by a thousand
        name = f"median_{latency}_ms"
        assert ours[name] == pytest.approx(theirs[name], rel=0.5), name
