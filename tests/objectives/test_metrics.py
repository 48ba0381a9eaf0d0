"""The metrics by worked examples."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from objectives.metrics import FailureKind
from objectives.metrics import GoodputSLO
from objectives.metrics import LatencySummary
from objectives.metrics import LoadResult
from objectives.metrics import MetricsError
from objectives.metrics import NoCompletedRequests
from objectives.metrics import RequestRecord
from objectives.metrics import ServingMetrics
from objectives.metrics import summarize


# sent, first token, last token: TTFT 100 ms, E2EL 500 ms, TPOT (500 - 100) / (5 - 1) = 100 ms.
# Its 5 tokens came in 3 events.
FIVE_TOKENS = RequestRecord(0, 1.0, 1.0, 1.1, 1.5, 10, 5, (0.3, 0.1))
# TTFT 300 ms, E2EL 900 ms, TPOT 600 / 2 = 300 ms. It was sent 50 ms late: that is not latency.
THREE_TOKENS = RequestRecord(1, 1.95, 2.0, 2.3, 2.9, 20, 3, (0.2, 0.4))
# TTFT = E2EL = 200 ms, no TPOT.
ONE_TOKEN = RequestRecord(2, 3.0, 3.0, 3.2, 3.2, 30, 1)
FAILED = RequestRecord(3, 3.5, 3.5, 3.6, 3.7, 40, 2, (0.1,), "timeout: no complete answer")
RECORDS = (FIVE_TOKENS, THREE_TOKENS, ONE_TOKEN, FAILED)


def test_every_metric_of_four_requests() -> None:
    metrics = summarize(RECORDS, duration=4.0).as_dict()
    expected = {
        "completed": 3,
        "failed": 1,
        "duration_s": 4.0,
        "total_input_tokens": 60,
        "total_output_tokens": 9,
        "request_throughput": 0.75,
        "output_throughput": 2.25,
        "total_token_throughput": 17.25,
        "ttft_ms_mean": 200,
        "ttft_ms_p50": 200,
        "ttft_ms_p95": 290,  # sorted 100, 200, 300: position 0.95 * 2 = 1.9
        "ttft_ms_p99": 298,
        "ttft_ms_std": math.sqrt(20000 / 3),  # of the population
        "e2el_ms_mean": 1600 / 3,
        "e2el_ms_p50": 500,
        "e2el_ms_p90": 820,  # sorted 200, 500, 900: position 1.8
        "tpot_ms_mean": 200,  # of the two requests that have one
        "tpot_ms_p90": 280,
        "itl_ms_mean": 250,  # of the four gaps of the completed requests
        "itl_ms_p50": 250,
        "itl_ms_p99": 397,
        "scheduled_ttft_ms_mean": 650 / 3,  # 100, 300 and the 50 that it was sent late, 200
        "scheduled_e2el_ms_p50": 500,
        "scheduled_e2el_ms_mean": 550,
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert "goodput" not in metrics


@pytest.mark.parametrize(
    ("slo", "good"),
    [
        (GoodputSLO(ttft_ms=250), 2),
        (GoodputSLO(ttft_ms=150), 1),
        (GoodputSLO(tpot_ms=50), 1),  # a request of one token keeps every limit on TPOT
        (GoodputSLO(tpot_ms=100.01, e2el_ms=501), 2),
        (GoodputSLO(ttft_ms=250, tpot_ms=50), 1),
        (GoodputSLO(e2el_ms=100_000), 3),  # the failed one never counts
        (GoodputSLO(e2el_ms=100), 0),
    ],
)
def test_goodput_counts_the_requests_within_every_limit(slo: GoodputSLO, good: int) -> None:
    assert summarize(RECORDS, 4.0, slo).goodput == good / 4.0
    assert summarize(RECORDS, 4.0, slo).as_dict()["goodput"] == good / 4.0


def test_a_limit_that_is_met_exactly_is_met() -> None:
    record = RequestRecord(0, 0.0, 0.0, 0.25, 0.5, 1, 2, (0.25,))
    assert GoodputSLO(ttft_ms=250, tpot_ms=250, e2el_ms=500).met_by(record)
    for missed in ({"ttft_ms": 249.9}, {"tpot_ms": 249.9}, {"e2el_ms": 499.9}):
        assert not GoodputSLO(**missed).met_by(record)


def test_a_failed_request_keeps_no_limit() -> None:
    assert not GoodputSLO(e2el_ms=1e9).met_by(FAILED)


def test_a_limit_may_be_below_a_millisecond() -> None:
    assert not GoodputSLO(tpot_ms=0.5).met_by(FIVE_TOKENS)
    assert GoodputSLO(tpot_ms=0.5).met_by(ONE_TOKEN)


@pytest.mark.parametrize(
    "limits",
    [{}, {"ttft_ms": 0.0}, {"e2el_ms": math.nan}, {"ttft_ms": 100.0, "tpot_ms": -1.0}],
)
def test_an_slo_without_positive_limits_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(MetricsError):
        GoodputSLO(**limits)


def test_without_a_duration_the_last_token_ends_the_run() -> None:
    assert summarize(RECORDS).duration_s == 3.2  # the failed request's last token does not count


def test_a_run_may_be_shorter_than_a_second() -> None:
    quick = RequestRecord(0, 0.0, 0.0, 0.1, 0.2, 1, 2, (0.1,))
    never = RequestRecord(1, 0.1, 0.1, None, None, 1, 0, (), "connection: refused")
    metrics = summarize((quick, never), 0.25)
    assert metrics.request_throughput == 4
    assert metrics.value("duration_s") == 0.25
    assert metrics.value("e2el_ms_mean") == pytest.approx((200 + 250) / 2)
    assert summarize((quick, never), 0.25, longest_s=0.3).value("duration_s") == 0.4


def test_nothing_completed_is_an_error_and_never_zeros() -> None:
    with pytest.raises(NoCompletedRequests, match=r"none of 1 requests completed \(timeout: no"):
        summarize([FAILED], 4.0)
    with pytest.raises(NoCompletedRequests, match="no request was made"):
        summarize([], 4.0)


def test_what_no_request_defines_is_absent_and_never_zero() -> None:
    metrics = summarize([ONE_TOKEN], 4.0)
    assert metrics.tpot_ms is None
    assert metrics.itl_ms is None
    assert not any(name.startswith(("tpot", "itl")) for name in metrics.as_dict())
    assert metrics.value("ttft_ms_mean") == pytest.approx(200)
    with pytest.raises(MetricsError, match="no metric 'tpot_ms_mean'"):
        metrics.value("tpot_ms_mean")


def test_a_failed_request_counts_as_one_that_took_the_whole_run() -> None:
    metrics = summarize(RECORDS, 4.0, GoodputSLO(ttft_ms=250))
    expected = {
        "ttft_ms_mean": 1150,  # 100, 300, 200 and 4000
        "ttft_ms_p50": 250,
        "e2el_ms_mean": 1400,  # 500, 900, 200 and 4000
        "e2el_ms_p95": 3535,  # position 0.95 * 3 = 2.85 between 900 and 4000
        "tpot_ms_mean": 4400 / 3,  # 100, 300 and, with an unknown number of tokens, 4000
        "itl_ms_mean": 1000,  # 300, 100, 200, 400 and 4000
        "request_throughput": 0.75,
        "output_throughput": 2.25,
        "total_token_throughput": 17.25,
        "goodput": 0.5,
        "completed": 3,
        "failed": 1,
    }
    assert {name: metrics.value(name) for name in expected} == pytest.approx(expected)
    assert metrics.as_dict()["ttft_ms_mean"] == pytest.approx(200)  # as vLLM reports it


def test_a_failed_request_counts_as_the_latest_answer_where_a_limit_is_known() -> None:
    failed = replace(FAILED, requested_tokens=6)
    metrics = summarize((*RECORDS[:3], failed), 4.0, longest_s=10.0)
    expected = {
        "ttft_ms_mean": 2650,  # 100, 300, 200 and 10000
        "e2el_ms_mean": 2900,
        "tpot_ms_mean": 800,  # 100, 300 and 10000 / 5
        "itl_ms_mean": 51000 / 9,  # 300, 100, 200, 400 and five of 10000
        "request_throughput": 3 / 13.5,  # it was sent at 3.5 s
        "duration_s": 13.5,
    }
    assert {name: metrics.value(name) for name in expected} == pytest.approx(expected)
    assert metrics.duration_s == 4.0
    one_token = summarize((*RECORDS[:3], replace(failed, requested_tokens=1)), 4.0, longest_s=10.0)
    assert one_token.value("tpot_ms_mean") == pytest.approx(200)  # it never had a TPOT
    assert one_token.value("ttft_ms_mean") == pytest.approx(2650)


def test_without_failures_what_is_optimised_is_what_is_reported() -> None:
    metrics = summarize(RECORDS[:3], 4.0, GoodputSLO(e2el_ms=600), longest_s=300.0)
    assert {name: metrics.value(name) for name in metrics.as_dict()} == metrics.as_dict()


def test_no_answer_counts_as_worse_than_a_failure() -> None:
    slow = replace(FIVE_TOKENS, last_token=100.0)  # beyond what the caller took for the longest
    metrics = summarize((slow, FAILED), 4.0, longest_s=10.0)
    assert metrics.value("e2el_ms_mean") == pytest.approx(99_000)


LIMIT = 30.0
SLO = GoodputSLO(ttft_ms=4000, e2el_ms=15_000)


def random_run(rng: np.random.Generator) -> list[RequestRecord]:
    """Requests of up to LIMIT seconds; some fail, early or late, with and without tokens."""
    records = []
    for index in range(rng.integers(2, 12)):
        sent = float(rng.uniform(0, 20))
        n_tokens = int(rng.integers(1, 6))
        latency = float(rng.uniform(0, 1) ** 3 * LIMIT)
        cuts = np.sort(rng.uniform(0, latency, rng.integers(0, n_tokens)))
        times = [*(sent + cuts).tolist(), sent + latency]
        gaps = tuple(later - earlier for earlier, later in pairwise(times))
        records.append(
            RequestRecord(
                index, sent, sent, times[0], times[-1], 5, n_tokens, gaps, None, n_tokens
            )
        )
    return [failed(record, rng) if rng.random() < 0.2 else record for record in records]


def failed(record: RequestRecord, rng: np.random.Generator) -> RequestRecord:
    """The same request, not answered to its end."""
    if rng.random() < 0.5:
        nothing = replace(record, first_token=None, last_token=None, inter_token_latencies=())
        return replace(nothing, error="connection: refused", output_tokens=0)
    gaps = record.inter_token_latencies[: rng.integers(0, 4)]
    last = (record.first_token or 0.0) + sum(gaps)
    broken = replace(record, last_token=last, inter_token_latencies=gaps, output_tokens=0)
    return replace(broken, error="stream: broken off")


def duration_of(records: list[RequestRecord], arrivals: float = 20.0) -> float:
    return max(arrivals, *(record.last_token or record.sent for record in records))


def assert_no_better(after: ServingMetrics, before: ServingMetrics) -> None:
    for name in after.optimised.keys() & before.optimised.keys():
        if name.endswith(("throughput", "goodput")):
            assert after.value(name) <= before.value(name) * (1 + 1e-12), name
        elif name.endswith(("mean", "p50", "p90", "p95", "p99")):
            assert after.value(name) >= before.value(name) * (1 - 1e-12), name


@pytest.mark.parametrize("known", [True, False])
def test_failing_one_more_request_never_improves_what_is_optimised(known: bool) -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        records = random_run(rng)
        if sum(record.completed for record in records) < 2:
            continue
        # Where no limit is known, a run is not over before all that could have come.
        fixed = None if known else duration_of(records)
        limit = LIMIT if known else None
        before = summarize(records, fixed or duration_of(records), SLO, limit)
        for i, record in enumerate(records):
            if record.completed:
                worse = [*records[:i], failed(record, rng), *records[i + 1 :]]
                after = summarize(worse, fixed or duration_of(worse), SLO, limit)
                assert_no_better(after, before)


@pytest.mark.parametrize("duration", [0.0, -1.0, math.nan, math.inf])
def test_a_duration_is_a_positive_number(duration: float) -> None:
    with pytest.raises(MetricsError, match="duration"):
        summarize(RECORDS, duration)


def test_percentiles_interpolate_linearly() -> None:
    summary = LatencySummary.of_seconds([0.04, 0.01, 0.03, 0.02])
    assert summary is not None
    assert (summary.p50, summary.p90, summary.p95, summary.p99) == pytest.approx(
        (25.0, 37.0, 38.5, 39.7)
    )
    assert LatencySummary.of_seconds([]) is None


def test_a_record_without_tokens_has_no_latency() -> None:
    record = RequestRecord(0, 0.0, 0.0, None, None, 5, 0, (), "connection: refused")
    assert math.isnan(record.ttft)
    assert math.isnan(record.latency)
    assert record.tpot is None
    assert not record.completed
    assert record.failure_kind is FailureKind.CONNECTION


def test_the_text_of_an_error_opens_with_its_kind() -> None:
    texts = {
        "connection": FailureKind.CONNECTION,
        "http status": FailureKind.HTTP_STATUS,
        "stream": FailureKind.STREAM,
        "timeout": FailureKind.TIMEOUT,
        "drain timeout": FailureKind.DRAIN_TIMEOUT,
        "aborted": FailureKind.ABORTED,
        "client": FailureKind.CLIENT,
    }
    assert set(texts.values()) == set(FailureKind)
    for text, kind in texts.items():
        assert kind.value == text
        assert replace(FAILED, error=f"{text}: why: more").failure_kind is kind
    assert replace(FAILED, error="unheard of").failure_kind is FailureKind.STREAM
    assert FIVE_TOKENS.failure_kind is None


def test_a_load_result_that_is_told_nothing_was_in_time_and_as_asked() -> None:
    result = LoadResult(RECORDS, 4.0)
    assert (result.max_lateness_s, result.p99_lateness_s, result.too_late) == (0.0, 0.0, False)
    assert (result.short_outputs, result.prompt_length_mismatches) == (0, 0)
    assert result.longest_s is None


def test_a_load_result_counts_what_failed_and_why() -> None:
    refused = RequestRecord(4, 0.0, 0.0, None, None, 5, 0, (), "connection: refused")
    result = LoadResult((*RECORDS, refused), 4.0, p99_lateness_s=0.2, lateness_limit_s=0.1)
    assert (result.completed, result.failed) == (3, 2)
    assert result.failures() == {FailureKind.TIMEOUT: 1, FailureKind.CONNECTION: 1}
    assert result.too_late
    assert not LoadResult(RECORDS, 4.0, max_lateness_s=9.0).too_late
