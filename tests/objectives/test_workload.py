"""Workloads: which request is due when, and what becomes of those that are too long."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from objectives.arrivals import gamma_arrivals
from objectives.traces import Trace
from objectives.traces import TraceRequest
from objectives.workload import WorkloadError
from objectives.workload import build_workload
from objectives.workload import clip_request


FIVE = Trace("five", tuple(TraceRequest(10 * i, i) for i in range(1, 6)))
TIMED = Trace(
    "timed", tuple(TraceRequest(100 * i, 10, arrival_time=50.0 + i * i) for i in range(1, 6))
)


def test_requests_follow_the_trace_round_and_round_at_the_drawn_times() -> None:
    workload = build_workload(FIVE, rate=3.0, duration=10.0, burstiness=0.5, seed=4)
    times = gamma_arrivals(3.0, 10.0, 0.5, seed=4)
    assert len(times) > 10
    assert [s.time for s in workload.requests] == times.tolist()
    assert [s.index for s in workload.requests] == list(range(len(times)))
    assert [s.request for s in workload.requests] == [
        FIVE.requests[i % 5] for i in range(len(times))
    ]
    assert (workload.name, workload.duration) == ("five", 10.0)
    assert workload.offered_rate == len(times) / 10


def test_another_load_reads_on_in_the_trace() -> None:
    first = build_workload(FIVE, rate=3.0, duration=10.0)
    second = build_workload(FIVE, rate=3.0, duration=10.0, first=7)
    assert [s.request for s in second.requests] == [
        FIVE.requests[(7 + i) % 5] for i in range(len(first.requests))
    ]
    assert [s.index for s in second.requests] == list(range(len(first.requests)))
    assert [s.time for s in second.requests] == [s.time for s in first.requests]


def test_a_shuffle_permutes_the_requests_and_leaves_the_times() -> None:
    plain = build_workload(FIVE, rate=3.0, duration=10.0)
    shuffled = build_workload(FIVE, rate=3.0, duration=10.0, shuffle_seed=1)
    assert [s.time for s in shuffled.requests] == [s.time for s in plain.requests]
    first = [s.request for s in shuffled.requests[:5]]
    assert first != list(FIVE.requests)
    assert sorted(first, key=lambda r: r.output_tokens) == list(FIVE.requests)
    again = build_workload(FIVE, rate=3.0, duration=10.0, shuffle_seed=1)
    assert again == shuffled


def test_a_replay_has_the_times_of_the_trace_and_ends_with_it() -> None:
    workload = build_workload(TIMED, duration=20.0, replay=True)
    assert [s.time for s in workload.requests] == [0.0, 3.0, 8.0, 15.0]
    whole = build_workload(TIMED, duration=1000.0, replay=True)
    assert [s.request for s in whole.requests] == list(TIMED.requests)


def test_a_replay_is_scaled_to_a_rate() -> None:
    workload = build_workload(TIMED, rate=2.0, duration=1000.0, replay=True)
    assert workload.requests[-1].time == pytest.approx(2.0)  # 4 gaps at 2 a second


def test_too_long_requests_are_refused_with_their_number() -> None:
    with pytest.raises(WorkloadError, match=r"4 of 10 requests .* model's 40 \(the longest 55\)"):
        build_workload(FIVE, rate=1.0, duration=10.0, burstiness=np.inf, max_model_len=40)


def test_too_long_requests_are_clipped_and_counted() -> None:
    workload = build_workload(
        FIVE, rate=1.0, duration=10.0, burstiness=np.inf, max_model_len=40, too_long="clip"
    )
    assert workload.n_clipped == 4
    sizes = [(s.request.prompt_tokens, s.request.output_tokens) for s in workload.requests]
    assert sizes == 2 * [(10, 1), (20, 2), (30, 3), (36, 4), (35, 5)]


def test_too_long_requests_are_dropped_and_counted() -> None:
    workload = build_workload(
        FIVE, rate=1.0, duration=6.0, burstiness=np.inf, max_model_len=40, too_long="drop"
    )
    assert (workload.n_dropped, workload.n_clipped) == (2, 0)
    assert [s.request.output_tokens for s in workload.requests] == [1, 2, 3, 1, 2, 3]


def test_dropping_from_a_replay_leaves_the_others_their_times() -> None:
    sizes = (500, 100, 200, 600, 300, 400)
    timed = (TraceRequest(size, 10, arrival_time=float(i)) for i, size in enumerate(sizes))
    workload = build_workload(
        Trace("t", tuple(timed)), duration=9.0, replay=True, max_model_len=320, too_long="drop"
    )
    assert [(s.time, s.request.prompt_tokens) for s in workload.requests] == [
        (0.0, 100),
        (1.0, 200),
        (3.0, 300),
    ]


def test_clipping_fills_the_room_and_cuts_no_more_than_it_must() -> None:
    rng = np.random.default_rng(0)
    for prompt, output, limit, share in rng.integers((1, 1, 2, 0), (300, 300, 300, 2), (2000, 4)):
        shared = int(share * (prompt - 1))
        request = TraceRequest(
            int(prompt), int(output), prefix_id="p" if shared else None, prefix_tokens=shared
        )
        clipped = clip_request(request, int(limit))
        if prompt + output <= limit:
            assert clipped is request
            continue
        assert clipped.prompt_tokens + clipped.output_tokens == limit
        assert clipped.prompt_tokens <= prompt
        assert clipped.output_tokens <= output
        assert clipped.prefix_tokens == min(shared, clipped.prompt_tokens)
        if clipped.output_tokens < output:  # the answer gives way last
            assert clipped.prompt_tokens == min(prompt, limit - limit // 2)


@pytest.mark.parametrize(
    ("trace", "arguments", "message"),
    [
        (FIVE, {}, "give a rate"),
        (FIVE, {"rate": 0.0}, "rate must be a positive"),
        (FIVE, {"rate": 0.001}, "no request arrives within 10 s"),
        (FIVE, {"replay": True}, "no arrival times"),
        (TIMED, {"replay": True, "burstiness": 2.0}, "burstiness"),
        (FIVE, {"rate": 1.0, "too_long": "maybe"}, "refuse, clip, drop"),
        (FIVE, {"rate": 1.0, "max_model_len": 5, "too_long": "drop"}, "no request .* fits"),
        (FIVE, {"rate": 1.0, "max_model_len": 1, "too_long": "clip"}, "no room"),
        (Trace("t", (TraceRequest(0, 1, prompt="hi"),)), {"rate": 1.0}, "count_tokens"),
    ],
)
def test_what_makes_no_workload_is_refused(
    trace: Trace, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(WorkloadError, match=message):
        build_workload(trace, **{"duration": 10.0, **arguments})
