"""The metrics of a run in the layout that ``vllm bench serve --save-result`` writes.

Names and units are vLLM's, for the tools that read such files. What is there for each request, as
``latencies``, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from objectives.metrics.own_share import LATENCIES
from objectives.metrics.records import RequestRecord


_TOTALS = {
    "duration": "duration_s",
    "completed": "completed",
    "failed": "failed",
    "total_input_tokens": "total_input_tokens",
    "total_output_tokens": "total_output_tokens",
    "request_throughput": "request_throughput",
    "request_goodput": "goodput",
    "output_throughput": "output_throughput",
    "total_token_throughput": "total_token_throughput",
    "max_output_tokens_per_s": "max_output_tokens_per_s",
    "max_concurrent_requests": "max_concurrent_requests",
}
_COUNTS = (
    "completed",
    "failed",
    "total_input_tokens",
    "total_output_tokens",
    "max_concurrent_requests",
)


def peaks(records: Sequence[RequestRecord]) -> dict[str, float]:
    """Return the most token events and the most requests under way in any second of a run.

    Seconds are counted from the first request that completed, and only those that did are, as in
    ``vllm bench serve``.

    Args:
        records: One record a request, failed ones included.

    Returns:
        ``max_output_tokens_per_s`` and ``max_concurrent_requests``; both 0 where none completed.
    """
    done = [record for record in records if record.completed]
    if not done:
        return {"max_output_tokens_per_s": 0.0, "max_concurrent_requests": 0.0}
    sent = np.array([record.sent for record in done])
    begin = sent.min()
    first = (sent - begin).astype(int)
    last = np.array([record.sent + record.latency - begin for record in done]).astype(int)
    tokens, under_way = np.zeros(last.max() + 1, dtype=int), np.zeros(last.max() + 2, dtype=int)
    for record in done:
        gaps = np.cumsum([record.sent + record.ttft, *record.inter_token_latencies])
        np.add.at(tokens, np.minimum((gaps - begin).astype(int), last.max()), 1)
    np.add.at(under_way, first, 1)
    np.add.at(under_way, last + 1, -1)
    return {
        "max_output_tokens_per_s": float(tokens.max()),
        "max_concurrent_requests": float(np.cumsum(under_way).max()),
    }


def bench_result(
    metrics: Mapping[str, float],
    *,
    date: str,
    model: str,
    tokenizer: str,
    rate: float | None,
    burstiness: float,
) -> dict[str, Any]:
    """Return a run as ``vllm bench serve --save-result`` would have written it.

    Args:
        metrics: Of ``ServingMetrics.as_dict``, with what ``peaks`` returns.
        date: When, as in "20260131-235959".
        model: Name or folder.
        tokenizer: Name or folder.
        rate: Requests a second that were offered; None: as the trace has them.
        burstiness: Of the arrivals.

    Returns:
        What JSON takes, with vLLM's names: latencies in milliseconds, the duration in seconds,
        rates a second. 0 where no request defines a latency, as vLLM has it.
    """
    totals: dict[str, float | int | None] = {
        theirs: metrics.get(ours) for theirs, ours in _TOTALS.items()
    }
    for name in _COUNTS:
        totals[name] = int(totals[name] or 0)
    latencies = {}
    for latency in LATENCIES:
        for statistic in _statistics(metrics, latency):
            word = "median" if statistic == "p50" else statistic
            latencies[f"{word}_{latency}_ms"] = metrics.get(f"{latency}_ms_{statistic}", 0.0)
    return {
        "date": date,
        "endpoint_type": "openai",
        "backend": "openai",
        "label": None,
        "model_id": model,
        "tokenizer_id": tokenizer,
        "num_prompts": int(metrics["completed"] + metrics["failed"]),
        "request_rate": "inf" if rate is None else rate,
        "burstiness": burstiness,
        "max_concurrency": None,
        **totals,
        "rtfx": 0.0,
        **latencies,
    }


def _statistics(metrics: Mapping[str, float], latency: str) -> list[str]:
    """Return mean, median and standard deviation, and the percentiles that were measured."""
    names = (re.fullmatch(rf"{latency}_ms_(p[\d.]+)", name) for name in metrics)
    measured = {name[1] for name in names if name is not None}
    percentiles = sorted({"p90", "p95", "p99", *measured} - {"p50"}, key=lambda p: float(p[1:]))
    return ["mean", "p50", "std", *percentiles]
