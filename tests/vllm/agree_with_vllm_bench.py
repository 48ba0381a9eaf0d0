"""Measure one vLLM server with this project's load generator and with vLLM's own, in turn.

    python tests/vllm/agree_with_vllm_bench.py --model DIR --python PYTHON_WITH_VLLM

Both clients send the same prompts, ask for the same output lengths and start every request at the
same moments. The server does not cache prefixes, so that no run warms the next. It is a
measurement and no test: two runs of the same client differ as well, as the table shows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from objectives import loadgen
from objectives.engines.vllm import RunningVllm
from objectives.engines.vllm import VllmEngine
from objectives.metrics import summarize
from objectives.prompts import build_prompts
from objectives.prompts import load_tokenizer
from objectives.traces import load_trace
from objectives.workload import Workload
from objectives.workload import build_workload


METRICS = (
    "completed",
    "request_throughput",
    "output_throughput",
    "ttft_ms_mean",
    "ttft_ms_p99",
    "tpot_ms_mean",
    "itl_ms_mean",
    "e2el_ms_mean",
)

# Runs in vLLM's environment, with the functions that `vllm bench serve` consists of.
PROGRAM = """
import asyncio, json, sys
from vllm.benchmarks.datasets import SampleRequest
from vllm.benchmarks.serve import TaskType, benchmark

run = json.load(open(sys.argv[1]))
requests = [
    SampleRequest(prompt=prompt, prompt_len=n_in, expected_output_len=n_out, timestamp=time)
    for prompt, n_in, n_out, time in run["requests"]
]
result = asyncio.run(benchmark(
    task_type=TaskType.GENERATION, endpoint_type="openai", base_url=run["url"],
    api_url=run["url"] + "/v1/completions", model_id=run["model"], model_name=run["model"],
    tokenizer=None, input_requests=requests, logprobs=None, request_rate=float("inf"),
    burstiness=1.0, disable_tqdm=True, num_warmups=0, profile=False,
    selected_percentile_metrics=["ttft", "tpot", "itl", "e2el"], selected_percentiles=[99],
    ignore_eos=True, goodput_config_dict={}, max_concurrency=None, lora_modules=None,
    extra_headers=None, extra_body={"temperature": 0.0}, ready_check_timeout_sec=0,
    self_timed=True,
))
json.dump({k: v for k, v in result.items() if isinstance(v, (int, float))},
          open(sys.argv[2], "w"), default=float)
"""


def measured_by_us(
    server: RunningVllm, workload: Workload, prompts: tuple[str, ...]
) -> dict[str, float]:
    result = loadgen.run(server.address.url, server.address.model_name, workload, prompts)
    assert result.short_outputs == result.prompt_length_mismatches == 0
    metrics = summarize(result.records, result.duration).as_dict()
    return {**metrics, "lateness_ms_p99": 1000 * result.p99_lateness_s}


def measured_by_vllm(
    server: RunningVllm, workload: Workload, prompts: tuple[str, ...], python: Path
) -> dict[str, float]:
    requests = [
        (prompt, s.request.prompt_tokens, s.request.output_tokens, s.time)
        for s, prompt in zip(workload.requests, prompts, strict=True)
    ]
    question = {
        "url": server.address.url,
        "model": server.address.model_name,
        "requests": requests,
    }
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "question.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(question))
        command = [python, "-c", PROGRAM, asked, answered]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        answer: dict[str, Any] = json.loads(answered.read_text())
    names = {"completed": "completed", "request_throughput": "request_throughput"}
    names |= {"output_throughput": "output_throughput"}
    for latency in ("ttft", "tpot", "itl", "e2el"):
        names[f"mean_{latency}_ms"] = f"{latency}_ms_mean"
        names[f"p99_{latency}_ms"] = f"{latency}_ms_p99"
    return {ours: answer[theirs] for theirs, ours in names.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--python", type=Path, default=Path(".venv-vllm/bin/python"))
    parser.add_argument("--trace", default="bot")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5, 4.0])
    parser.add_argument("--duration", type=float, default=30.0)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--max-model-len", type=int, default=2048)
    arguments = parser.parse_args()
    engine = VllmEngine(
        arguments.model,
        python=arguments.python,
        engine_args={
            "dtype": "bfloat16",
            "max_model_len": arguments.max_model_len,
            "enforce_eager": True,
            "enable_prefix_caching": False,
        },
    )
    tokenizer = load_tokenizer(arguments.model)
    for rate in arguments.rates:
        workload = build_workload(
            load_trace(arguments.trace),
            rate=rate,
            duration=arguments.duration,
            max_model_len=arguments.max_model_len,
            too_long="clip",
        )
        prompts = build_prompts(workload, tokenizer)
        print(f"\n{rate:g} requests/s, {len(prompts)} requests", flush=True)
        with engine.start({}, f"agree-{rate:g}") as server:
            measured_by_us(server, workload, prompts)  # what comes first pays for first use
            for _ in range(arguments.repeat):
                ours = measured_by_us(server, workload, prompts)
                theirs = measured_by_vllm(server, workload, prompts, arguments.python)
                for name in METRICS:
                    gap = ours[name] / theirs[name] - 1
                    print(f"{name:20} {ours[name]:12.4g} {theirs[name]:12.4g} {gap:+8.1%}")
                print(f"{'lateness_ms_p99':20} {ours['lateness_ms_p99']:12.4g}", flush=True)


if __name__ == "__main__":
    main()
