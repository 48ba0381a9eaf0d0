"""Measure one vLLM server with this project's load generator and with vLLM's own, in turn.

    PYTHONPATH=. python tests/vllm/agree_with_vllm_bench.py --model DIR --python PYTHON_WITH_VLLM

Both clients send the same prompts, ask for the same output lengths and start every request at the
same moments. The server does not cache prefixes, so that no run warms the next. It is a
measurement and no test: two runs of one client differ as well. With --together both clients load
the server at the same time, so that what disturbs the machine disturbs both alike; with
--known-delays the server is one that only waits.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from objectives import loadgen
from objectives.engines.vllm import VllmEngine
from objectives.metrics import summarize
from objectives.prompts import build_prompts
from objectives.prompts import load_tokenizer
from objectives.synthetic_traces import LengthLaw
from objectives.synthetic_traces import TraceRecipe
from objectives.synthetic_traces import generate
from objectives.workload import Workload
from objectives.workload import build_workload
from tests.objectives.completions_server import Answer
from tests.objectives.completions_server import CompletionsServer


# Short enough that a model of 77 million weights serves some a second on two cores.
SHORT = TraceRecipe(
    "short",
    question=LengthLaw(median=200, sigma=0.4, low=40, high=400),
    answer=LengthLaw(median=60, sigma=0.4, low=16, high=128),
)

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
print("ready", flush=True)
sys.stdin.readline()
result = asyncio.run(benchmark(
    task_type=TaskType.GENERATION, endpoint_type="openai", base_url=run["url"],
    api_url=run["url"] + "/v1/completions", model_id=run["model"], model_name=run["model"],
    tokenizer=object(), input_requests=requests, logprobs=None, request_rate=float("inf"),
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
    url: str, model_name: str, workload: Workload, prompts: tuple[str, ...]
) -> dict[str, float]:
    result = loadgen.run(url, model_name, workload, prompts)
    assert result.short_outputs == 0
    metrics = summarize(result.records, result.duration).as_dict()
    return {**metrics, "lateness_ms_p99": 1000 * result.p99_lateness_s}


class VllmClient:
    """vLLM's load generator in its own process, loaded and waiting for the word to start."""

    def __init__(
        self,
        python: Path,
        url: str,
        model_name: str,
        workload: Workload,
        prompts: tuple[str, ...],
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        asked, self._answered = (Path(self._folder.name) / name for name in ("ask", "answer"))
        question = {
            "url": url,
            "model": model_name,
            "requests": [
                (prompt, s.request.prompt_tokens, s.request.output_tokens, s.time)
                for s, prompt in zip(workload.requests, prompts, strict=True)
            ],
        }
        asked.write_text(json.dumps(question))
        self._process = subprocess.Popen(
            [python, "-c", PROGRAM, asked, self._answered],
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()).strip() != "ready":
            assert line, "vLLM's load generator did not start"

    def start(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def metrics(self) -> dict[str, float]:
        self._process.communicate()
        answer: dict[str, Any] = json.loads(self._answered.read_text())
        self._folder.cleanup()
        names = {name: name for name in ("completed", "request_throughput", "output_throughput")}
        for latency in ("ttft", "tpot", "itl", "e2el"):
            names[f"mean_{latency}_ms"] = f"{latency}_ms_mean"
            names[f"p99_{latency}_ms"] = f"{latency}_ms_p99"
        return {ours: answer[theirs] for theirs, ours in names.items()}


def show(title: str, ours: dict[str, float], theirs: dict[str, float]) -> None:
    print(f"{title:20} {'this project':>12} {'vLLM':>12}")
    for name in METRICS:
        gap = ours[name] / theirs[name] - 1
        print(f"{name:20} {ours[name]:12.4g} {theirs[name]:12.4g} {gap:+8.1%}")
    print(f"{'lateness_ms_p99':20} {ours['lateness_ms_p99']:12.4g}", flush=True)


def compare(arguments: argparse.Namespace, url: str, model_name: str, words: Tokenizer) -> None:
    for rate in arguments.rates:
        workload = build_workload(generate(SHORT), rate=rate, duration=arguments.duration)
        prompts = build_prompts(workload, words)
        print(f"\n{rate:g} requests/s, {len(prompts)} requests", flush=True)
        measured_by_us(url, model_name, workload, prompts)  # what comes first pays for first use
        for number in range(1, arguments.repeat + 1):
            client = VllmClient(arguments.python, url, model_name, workload, prompts)
            if arguments.together:
                client.start()
                ours = measured_by_us(url, model_name, workload, prompts)
            else:
                ours = measured_by_us(url, model_name, workload, prompts)
                client.start()
            show(f"round {number}", ours, client.metrics())


def known_delays(_number: int, body: dict[str, Any]) -> Answer:
    """A first token after half a second, then two tokens every tenth of a second."""
    n_tokens = body["max_tokens"]
    later = [(0.1, 2)] * ((n_tokens - 1) // 2) + [(0.1, 1)] * ((n_tokens - 1) % 2)
    return Answer(chunks=[(0.5, 1), *later])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of a model")
    parser.add_argument("--python", type=Path, default=Path(".venv-vllm/bin/python"))
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 6.0])
    parser.add_argument("--duration", type=float, default=20.0)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--together", action="store_true", help="at once instead of in turn")
    parser.add_argument(
        "--known-delays", action="store_true", help="a server of known delays instead of vLLM"
    )
    arguments = parser.parse_args()
    words = load_tokenizer(arguments.model)
    if arguments.known_delays:
        with CompletionsServer(known_delays) as known:
            compare(arguments, known.url, "known", words)
        return
    engine = VllmEngine(
        arguments.model,
        python=arguments.python,
        engine_args={
            "dtype": "float32",
            "max_model_len": 1024,
            "enforce_eager": True,
            "enable_prefix_caching": False,
        },
        env={"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"},
    )
    with engine.start({}, "agree") as server:
        compare(arguments, server.address.url, server.address.model_name, words)


if __name__ == "__main__":
    main()
