"""The metrics by worked examples."""

from __future__ import annotations

import math

import pytest

from objectives.metrics import FailureKind
from objectives.metrics import GoodputSLO
from objectives.metrics import LatencySummary
from objectives.metrics import LoadResult
from objectives.metrics import MetricsError
from objectives.metrics import NoCompletedRequests
from objectives.metrics import RequestRecord
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


@pytest.mark.parametrize("limits", [{}, {"ttft_ms": 0.0}, {"e2el_ms": math.nan}])
def test_an_slo_without_positive_limits_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(MetricsError):
        GoodputSLO(**limits)


def test_without_a_duration_the_last_token_ends_the_run() -> None:
    assert summarize(RECORDS).duration_s == 3.2  # the failed request's last token does not count


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


def test_a_load_result_counts_what_failed_and_why() -> None:
    refused = RequestRecord(4, 0.0, 0.0, None, None, 5, 0, (), "connection: refused")
    result = LoadResult((*RECORDS, refused), 4.0, p99_lateness_s=0.2, lateness_limit_s=0.1)
    assert (result.completed, result.failed) == (3, 2)
    assert result.failures() == {FailureKind.TIMEOUT: 1, FailureKind.CONNECTION: 1}
    assert result.too_late
    assert not LoadResult(RECORDS, 4.0, max_lateness_s=9.0).too_late
