"""A run in the layout of ``vllm bench serve --save-result``; what vLLM itself writes is compared
in tests/vllm."""

from __future__ import annotations

import pytest

from objectives.metrics import RequestRecord
from objectives.metrics import bench_result
from objectives.metrics import peaks
from objectives.metrics import summarize


# Seconds from the first request on: 0 to 2.6, 0.8 to 1.3, 3.1 to 3.2.
LONG = RequestRecord(0, 5.0, 5.0, 5.5, 7.6, 10, 9, (0.6, 0.1, 0.1, 0.1, 1.2))
SHORT = RequestRecord(1, 5.7, 5.8, 6.1, 6.3, 20, 3, (0.2,))
LATE = RequestRecord(2, 8.1, 8.1, 8.2, 8.2, 30, 1)
FAILED = RequestRecord(3, 5.1, 5.1, 6.0, 6.5, 40, 0, (0.1,) * 5, "stream: broken off")
RECORDS = (LONG, SHORT, LATE, FAILED)
METRICS = {**summarize(RECORDS, 4.0).as_dict(), **peaks(RECORDS)}


def test_peaks_are_the_most_events_and_requests_in_a_second_since_the_first_request() -> None:
    # Second 1: the long one's events at 1.1, 1.2, 1.3, 1.4 and the short one's at 1.1, 1.3.
    assert peaks(RECORDS) == {"max_output_tokens_per_s": 6.0, "max_concurrent_requests": 2.0}
    assert peaks((LATE,)) == {"max_output_tokens_per_s": 1.0, "max_concurrent_requests": 1.0}
    assert peaks((FAILED,)) == {"max_output_tokens_per_s": 0.0, "max_concurrent_requests": 0.0}


def test_every_figure_has_vllms_name_and_unit() -> None:
    result = bench_result(
        METRICS, date="20260131-120000", model="m", tokenizer="t", rate=0.75, burstiness=1.0
    )
    figures = {
        "num_prompts": 4,
        "request_rate": 0.75,
        "duration": 4.0,
        "completed": 3,
        "failed": 1,
        "total_input_tokens": 60,
        "total_output_tokens": 13,
        "request_throughput": 0.75,
        "output_throughput": 3.25,
        "total_token_throughput": 18.25,
        "mean_ttft_ms": 300.0,  # 500, 300 and 100
        "median_ttft_ms": 300.0,
        "p90_ttft_ms": 460.0,
        "median_e2el_ms": 500.0,  # 2600, 500 and 100
        "mean_tpot_ms": (2100 / 8 + 100) / 2,
        "mean_itl_ms": 2300 / 6,
    }
    assert {name: result[name] for name in figures} == pytest.approx(figures)
    assert result["request_goodput"] is None
    assert (result["model_id"], result["tokenizer_id"]) == ("m", "t")


def test_percentiles_that_were_asked_for_are_there_and_arrivals_of_a_trace_have_no_rate() -> None:
    metrics = {**METRICS, "ttft_ms_p99.9": 499.0}
    result = bench_result(metrics, date="", model="m", tokenizer="m", rate=None, burstiness=1.0)
    assert result["p99.9_ttft_ms"] == 499.0
    assert result["request_rate"] == "inf"
