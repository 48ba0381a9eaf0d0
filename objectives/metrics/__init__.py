"""From request records to serving metrics, by the definitions of ``vllm bench serve``.

Symbols, for a request that completed: ``sent`` is the moment it was sent, ``first_token`` and
``last_token`` the moments of its first and last streamed token event, ``n`` its output tokens.

    TTFT = first_token - sent                   time to first token
    E2EL = last_token - sent                    end-to-end latency
    TPOT = (E2EL - TTFT) / (n - 1), n > 1       time per output token
    ITL  = gaps between successive events       inter-token latency, pooled over all requests
    request throughput = completed / duration   duration: start of the run to the end of the drain
    goodput = completed within every given limit / duration

Where this differs from ``vllm bench serve`` on purpose: a metric that no request defines is absent
instead of zero, and a run in which nothing completed is an error.

These rest on the requests that completed, so that a server which drops its slowest requests looks
fast. What is optimised, ``ServingMetrics.value``, therefore counts a failed request as one that
was answered as late as a request may be. See ``docs/metrics.md``.
"""

from __future__ import annotations

from objectives.metrics.admission import Admission
from objectives.metrics.admission import queue_grows
from objectives.metrics.bench_layout import bench_result
from objectives.metrics.bench_layout import peaks
from objectives.metrics.own_share import LATENCIES
from objectives.metrics.own_share import OwnShare
from objectives.metrics.records import FailureKind
from objectives.metrics.records import LoadResult
from objectives.metrics.records import RequestRecord
from objectives.metrics.records import ShouldEnd
from objectives.metrics.summary import PERCENTILES
from objectives.metrics.summary import GoodputSLO
from objectives.metrics.summary import LatencySummary
from objectives.metrics.summary import MetricsError
from objectives.metrics.summary import NoCompletedRequests
from objectives.metrics.summary import ServingMetrics
from objectives.metrics.summary import summarize


__all__ = [
    "LATENCIES",
    "PERCENTILES",
    "Admission",
    "FailureKind",
    "GoodputSLO",
    "LatencySummary",
    "LoadResult",
    "MetricsError",
    "NoCompletedRequests",
    "OwnShare",
    "RequestRecord",
    "ServingMetrics",
    "ShouldEnd",
    "bench_result",
    "peaks",
    "queue_grows",
    "summarize",
]
