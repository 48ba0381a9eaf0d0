"""What a run can still come to: by hand, by a plain queue, and against runs that went on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest

from objectives.early_end import EarlyEnd
from objectives.engines.simulated import SimulatedEngine
from objectives.engines.simulated.hardware import A10
from objectives.engines.simulated.hardware import LLAMA2_7B
from objectives.goals import Goal
from objectives.goals import Limit
from objectives.goals import Metric
from objectives.metrics import GoodputSLO
from objectives.metrics import RequestRecord
from objectives.metrics import summarize
from objectives.outlook import Outlook
from objectives.outlook import certain
from objectives.outlook import likely
from objectives.outlook import so_far
from objectives.traces import TraceRequest
from objectives.traces import load_trace
from objectives.workload import ScheduledRequest
from objectives.workload import Workload
from objectives.workload import build_workload


ENGINE = SimulatedEngine("test", A10, 2, LLAMA2_7B)
SLO = GoodputSLO(ttft_ms=500.0)
LATENCIES = ("mean ttft", "p50 ttft", "p99 ttft", "mean tpot", "p90 tpot", "mean e2el", "p95 e2el")
RATES = ("throughput", "output_throughput", "goodput")


def workload(times: Sequence[float], tokens: int = 5, prompt: int = 8) -> Workload:
    requests = tuple(
        ScheduledRequest(i, t, TraceRequest(prompt_tokens=prompt, output_tokens=tokens))
        for i, t in enumerate(times)
    )
    return Workload(requests, "w", duration=max(times) + 1.0)


def record(
    index: int, sent: float, first: float | None = None, last: float | None = None, n: int = 5
) -> RequestRecord:
    return RequestRecord(index, sent, sent, first, last, 8, n if last else 0)


def failed(index: int, sent: float) -> RequestRecord:
    return dataclasses.replace(record(index, sent), error="stream: broken off")


HALF = [  # answered, half answered, waiting; the fourth is not sent at 3 s
    record(0, 0.0, 0.5, 2.5),
    record(1, 1.0, 2.0),
    record(2, 2.0),
]


def test_what_is_certain_by_hand() -> None:
    outlook = certain(workload([0.0, 1.0, 2.0, 4.0]), HALF, 3.0)

    assert outlook.ttft.tolist() == [0.5, 1.0, 1.0, 0.0]
    assert outlook.e2el.tolist() == [2.5, 2.0, 1.0, 0.0]
    assert outlook.tpot.tolist() == [0.5, 0.25, 0.0, 0.0]  # 2 s over 4 tokens, 1 s over 4
    assert outlook.duration == 4.0  # the last one has not even come
    assert outlook.best(Metric.parse("mean ttft")) == pytest.approx(2500.0 / 4)
    assert outlook.best(Metric.parse("p50 e2el")) == pytest.approx(1500.0)
    assert outlook.best(Metric.parse("throughput")) == 1.0
    assert outlook.best(Metric.parse("goodput"), SLO) == 2 / 4.0  # 0.5 s, and the one to come


def test_what_has_been_counts_those_sent_alone() -> None:
    outlook = so_far(workload([0.0, 1.0, 2.0, 4.0]), HALF, 3.0)

    assert outlook.ttft.tolist() == [0.5, 1.0, 1.0]
    assert outlook.best(Metric.parse("throughput")) == pytest.approx(1 / 3)


def test_a_failed_request_bounds_no_latency_and_completes_nothing() -> None:
    outlook = certain(workload([0.0, 1.0]), [failed(0, 0.0), record(1, 1.0)], 4.0)

    assert outlook.ttft.tolist() == [0.0, 3.0]
    assert outlook.best(Metric.parse("throughput")) == 1 / 4


def test_gaps_between_tokens_tell_nothing_beforehand() -> None:
    assert certain(workload([0.0]), [record(0, 0.0)], 9.0).best(Metric.parse("p99 itl")) == 0.0


def queue_by_hand(arrivals: Sequence[float], pace: float) -> list[float]:
    """First tokens of a server that begins one request every 1 / pace seconds."""
    firsts, start = [], -math.inf
    for arrival in arrivals:
        start = max(arrival, start + 1.0 / pace)
        firsts.append(start)
    return firsts


def test_a_queue_that_grows_is_told_to_its_end() -> None:
    # 10 requests a second for 40 s, of which 4 a second are begun.
    times = [i / 10 for i in range(400)]
    firsts = queue_by_hand(times, 4.0)
    load = workload(times, tokens=1)
    now = 16.0
    records = [
        record(i, t, *((f, f, 1) if f <= now else (None, None)))
        for i, (t, f) in enumerate(zip(times, firsts, strict=True))
        if t <= now
    ]
    outlook = likely(load, records, now)

    assert outlook is not None
    truth = np.array(firsts) - np.array(times)
    # A quarter of the time holds at most one request more than its 16.
    assert outlook.ttft.mean() == pytest.approx(truth.mean(), rel=0.15)
    assert outlook.ttft.mean() <= truth.mean()
    assert certain(load, records, now).ttft.mean() < 0.25 * truth.mean()


def test_without_a_queue_that_grows_nothing_is_likely() -> None:
    times = [i / 10 for i in range(100)]
    calm = [record(i, t, t + 0.05, t + 0.2) for i, t in enumerate(times) if t <= 5.0]
    assert likely(workload(times), calm, 5.0) is None


@pytest.mark.parametrize("rate", [1.0, 5.0, 12.0])
def test_no_run_ends_better_than_what_was_certain(rate: float) -> None:
    load = build_workload(load_trace("bot"), rate=rate, duration=20, max_model_len=4096)
    seen: list[Outlook] = []

    def look(records: Sequence[RequestRecord], now: float) -> None:
        seen.append(certain(load, records, now))

    result = ENGINE.start({}, "x").serve(load, look)
    metrics = summarize(result.records, result.duration, SLO)

    assert len(seen) >= 20
    for name in (*LATENCIES, *RATES):
        metric = Metric.parse(name)
        bounds = [outlook.best(metric, SLO) for outlook in seen]
        final = metrics.value(metric.flat)
        if name in RATES:
            assert min(bounds) >= final * (1 - 1e-9)
        else:
            assert max(bounds) <= final * (1 + 1e-9)
            assert bounds == sorted(bounds)  # it is known better and better


def test_a_limit_ends_a_run_once_too_many_requests_have_exceeded_it() -> None:
    # p90 of 20: interpolated between the 2nd and the 3rd largest; two late ones do not miss it.
    load = workload([0.1 * i for i in range(20)])
    judge = EarlyEnd(
        load,
        Goal.parse("throughput", "maximize"),
        1e-6,
        [Limit.parse("p90 ttft <= 1 s")],
    )
    late = [record(i, 0.1 * i) for i in range(3)]
    assert judge(late, 1.15) is None
    reason = judge(late, 9.0)
    assert reason is not None
    assert "is certain to miss p90 ttft <= 1000 ms" in reason
    assert judge.verdict is not None
    assert judge.verdict.is_certain
    assert judge.verdict.excess["p90 ttft <= 1000 ms"] > 0.0


def test_a_goal_ends_a_run_once_the_best_is_out_of_reach() -> None:
    load = workload([0.0, 1.0])
    judge = EarlyEnd(load, Goal.parse("mean ttft", "minimize"), 1000.0)
    assert judge([record(0, 0.0)], 2.0) is None  # 1 s on average is still possible
    assert judge([record(0, 0.0)], 2.1) is not None
    assert judge.verdict is not None
    assert judge.verdict.value == pytest.approx(2100.0)  # of the one that was sent

    faster = EarlyEnd(load, Goal.parse("throughput", "maximize"), 1.0)
    assert faster([record(0, 0.0), record(1, 1.0)], 1.9) is None
    assert faster([record(0, 0.0), record(1, 1.0)], 2.1) is not None
