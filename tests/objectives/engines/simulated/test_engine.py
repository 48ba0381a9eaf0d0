from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from objectives.engines.base import CrashReason
from objectives.engines.base import Engine
from objectives.engines.base import EngineCrash
from objectives.engines.base import RunningEngine
from objectives.engines.simulated import SimulatedEngine
from objectives.engines.simulated.hardware import A10
from objectives.engines.simulated.hardware import A100
from objectives.engines.simulated.hardware import LLAMA2_7B
from objectives.metrics import FailureKind
from objectives.metrics import RequestRecord
from objectives.metrics import summarize
from objectives.traces import load_trace
from objectives.workload import ScheduledRequest
from objectives.workload import TraceRequest
from objectives.workload import Workload
from objectives.workload import build_workload


ENGINE = SimulatedEngine("test", A10, 2, LLAMA2_7B)


def workload(rate: float = 3.0, seed: int = 0, duration: float = 30.0) -> Workload:
    trace = load_trace("bot")
    return build_workload(trace, rate=rate, duration=duration, seed=seed, max_model_len=4096)


def mean_ttft(engine: SimulatedEngine, load: Workload, **params: object) -> float:
    result = engine.start(params, "x").serve(load)
    return summarize(result.records, result.duration).ttft_ms.mean


def test_it_is_an_engine_and_says_that_it_is_simulated() -> None:
    assert isinstance(ENGINE, Engine)
    assert ENGINE.description == "simulated engine test"
    with ENGINE.start({"tensor_parallel_size": 2}, "x") as running:
        assert isinstance(running, RunningEngine)
        assert running.info["simulated"] is True
        assert running.info["replicas"] == 1


def test_every_request_comes_back_with_all_its_tokens() -> None:
    load = workload()
    result = ENGINE.start({}, "x").serve(load)
    assert len(result.records) == len(load.requests)
    for scheduled, record in zip(load.requests, result.records, strict=True):
        assert record.completed
        assert record.index == scheduled.index
        assert record.sent == scheduled.time
        assert record.prompt_tokens == scheduled.request.prompt_tokens
        assert record.output_tokens == scheduled.request.output_tokens
        assert len(record.inter_token_latencies) == record.output_tokens - 1
        assert min(record.inter_token_latencies, default=1.0) > 0
        assert record.first_token is not None
        assert record.last_token is not None
        assert record.first_token > record.sent
        spread = sum(record.inter_token_latencies)
        assert record.last_token - record.first_token == pytest.approx(spread)
    assert result.duration == max(r.last_token or 0.0 for r in result.records)


def test_the_same_workload_gives_the_same_records() -> None:
    first = ENGINE.start({"max_num_seqs": 64}, "a").serve(workload())
    second = ENGINE.start({"max_num_seqs": 64}, "b").serve(workload())
    assert first == second


def test_time_to_first_token_grows_with_the_load() -> None:
    ttfts = [mean_ttft(ENGINE, workload(rate, duration=100.0)) for rate in (0.5, 2, 4, 8)]
    assert ttfts == sorted(ttfts)
    assert ttfts[-1] > 20 * ttfts[0]


def test_few_sequences_trade_time_to_first_token_for_time_per_token() -> None:
    load = workload(rate=6.0, duration=60.0)
    results = {}
    for max_num_seqs in (8, 256):
        result = ENGINE.start({"max_num_seqs": max_num_seqs}, "x").serve(load)
        results[max_num_seqs] = summarize(result.records, result.duration)
    assert results[8].tpot_ms is not None
    assert results[256].tpot_ms is not None
    assert results[8].tpot_ms.mean < 0.8 * results[256].tpot_ms.mean
    assert results[8].ttft_ms.mean > 1.2 * results[256].ttft_ms.mean


def test_free_gpus_serve_replicas() -> None:
    engine = SimulatedEngine("test", A100, 4, LLAMA2_7B)
    quiet, busy = workload(rate=1.0), workload(rate=40.0)
    one, four = ({"tensor_parallel_size": degree} for degree in (1, 4))
    assert engine.start(one, "x").n_replicas == 4
    assert engine.start(four, "x").n_replicas == 1
    assert mean_ttft(engine, quiet, **four) < mean_ttft(engine, quiet, **one)
    assert mean_ttft(engine, busy, **one) < mean_ttft(engine, busy, **four)


def test_caching_helps_where_prefixes_are_shared() -> None:
    load = build_workload(load_trace("sql"), rate=4.0, duration=50.0)
    plain = mean_ttft(ENGINE, load)
    assert mean_ttft(ENGINE, load, enable_prefix_caching=True) < plain / 2


def test_too_many_time_outs_are_a_crash() -> None:
    engine = dataclasses.replace(ENGINE, patience=2.0)
    with pytest.raises(EngineCrash) as caught:
        engine.start({}, "x").serve(workload(rate=10.0))
    assert caught.value.reason is CrashReason.REQUEST_TIMEOUTS


def test_a_few_time_outs_are_failed_requests() -> None:
    engine = dataclasses.replace(ENGINE, patience=1.0, max_timeout_share=1.0)
    result = engine.start({}, "x").serve(workload(rate=6.0))
    assert result.failures()[FailureKind.TIMEOUT] == result.failed > 0
    assert result.completed > 0
    waits = [record.ttft for record in result.records if record.completed]
    service = 1.5  # a prompt that began in time may end later
    assert max(waits) < 1.0 + service
    # In the values each counts as an answer that took the whole run.
    lost = [r for r in result.records if not r.completed]
    asked = [s.request.output_tokens for s in workload(rate=6.0).requests]
    assert [r.requested_tokens for r in lost] == [asked[r.index] for r in lost]
    metrics = summarize(result.records, result.duration)
    seconds = [*waits, *[result.duration] * len(lost)]
    assert metrics.value("ttft_ms_mean") == pytest.approx(1000 * sum(seconds) / len(seconds))


def test_a_request_longer_than_the_model_takes_is_refused_alone() -> None:
    requests = [TraceRequest(4000, 200), TraceRequest(100, 10)]
    load = Workload(tuple(ScheduledRequest(i, 0.0, r) for i, r in enumerate(requests)), "x", 1.0)
    result = ENGINE.start({}, "x").serve(load)
    assert [record.failure_kind for record in result.records] == [FailureKind.HTTP_STATUS, None]


def test_fast_forward_changes_no_record() -> None:
    slow = dataclasses.replace(ENGINE, fast_forward=False)
    load = workload(rate=5.0)
    for params in ({}, {"enable_chunked_prefill": True, "max_num_batched_tokens": 512}):
        assert ENGINE.start(params, "x").serve(load) == slow.start(params, "x").serve(load)


def test_throughput_is_bounded_by_the_roofline() -> None:
    load = workload(rate=50.0, duration=10.0)
    result = ENGINE.start({}, "x").serve(load)
    metrics = summarize(result.records, result.duration)
    tokens = metrics.total_input_tokens + metrics.total_output_tokens
    least = 2 * LLAMA2_7B.parameters * tokens / (2 * A10.peak_flops)
    assert metrics.duration_s > least


@pytest.mark.parametrize("chunked", [False, True])
def test_being_looked_at_changes_nothing(chunked: bool) -> None:
    load = workload(rate=6.0)
    seen: list[float] = []

    def look(records: Sequence[RequestRecord], now: float) -> None:
        assert all(record.sent <= now for record in records)
        seen.append(now)

    running = ENGINE.start({"enable_chunked_prefill": chunked}, "x")
    assert running.serve(load, look) == running.serve(load)
    assert len(seen) >= 30


def test_what_a_client_sees_of_a_run_is_what_comes_out() -> None:
    load = workload(rate=6.0)
    seen: list[tuple[float, list[RequestRecord]]] = []

    def look(records: Sequence[RequestRecord], now: float) -> None:
        seen.append((now, list(records)))

    final = ENGINE.start({}, "x").serve(load, look).records
    for now, records in seen:
        assert len(records) == sum(scheduled.time <= now for scheduled in load.requests)
        for record in records:
            whole = final[record.index]
            assert record.first_token in (None, whole.first_token)
            assert record.last_token in (None, whole.last_token)
            assert record.first_token is not None or whole.first_token > now
            assert record.last_token is not None or whole.last_token > now


def test_a_run_that_is_ended_says_why_and_what_it_had() -> None:
    load = workload(rate=6.0)
    running = ENGINE.start({}, "x")
    result = running.serve(load, lambda _records, now: "enough" if now >= 10.0 else None)

    assert result.ended_early == "enough"
    assert result.duration == 10.0
    assert len(result.records) == len(load.requests)
    whole = running.serve(load).records
    assert 0 < result.completed < sum(r.last_token <= 12.0 for r in whole if r.last_token)
    assert set(result.failures()) == {FailureKind.ABORTED}
