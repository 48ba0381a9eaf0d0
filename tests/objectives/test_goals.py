"""Metrics, goals and limits in words."""

from __future__ import annotations

import numpy as np
import pytest

from objectives.goals import PRESETS
from objectives.goals import Goal
from objectives.goals import GoalError
from objectives.goals import Limit
from objectives.goals import Metric
from objectives.goals import goodput_slo
from objectives.goals import parse_goals
from objectives.metrics import GoodputSLO
from objectives.metrics import RequestRecord
from objectives.metrics import summarize


@pytest.mark.parametrize(
    ("text", "flat", "label"),
    [
        ("p99 ttft", "ttft_ms_p99", "TTFT p99 (ms)"),
        (" Mean   TPOT ", "tpot_ms_mean", "TPOT mean (ms)"),
        ("p99.9 itl", "itl_ms_p99.9", "ITL p99.9 (ms)"),
        ("p50 e2el", "e2el_ms_p50", "end-to-end latency p50 (ms)"),
        ("throughput", "request_throughput", "throughput (requests/s)"),
        ("output-throughput", "output_throughput", "output throughput (tokens/s)"),
        ("goodput", "goodput", "goodput (requests/s)"),
        ("rate", "rate", "rate that keeps the limits (requests/s)"),
    ],
)
def test_a_metric_is_read(text: str, flat: str, label: str) -> None:
    metric = Metric.parse(text)

    assert (metric.flat, metric.label) == (flat, label)
    assert Metric.parse(str(metric)) == metric


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is not a metric"),
        ("p99", "is not a metric"),
        ("p101 ttft", "is not a metric"),
        ("p99 throughput", "is not a metric"),
        ("median ttft", "is not a metric"),
        ("ttft p99", "is not a metric"),
        ("ttft", "say which, as in 'mean ttft' or 'p99 ttft'"),
        ("latency", "write ttft, tpot, itl or e2el"),
    ],
)
def test_what_is_not_a_metric_is_refused(text: str, match: str) -> None:
    with pytest.raises(GoalError, match=match):
        Metric.parse(text)


def test_goals_are_read_with_their_direction() -> None:
    assert parse_goals(["minimize p99 ttft", "maximize goodput"]) == (
        Goal(Metric("ttft", "p99"), "minimize"),
        Goal(Metric("goodput"), "maximize"),
    )
    assert parse_goals("maximize throughput") == PRESETS["throughput"] == parse_goals("throughput")


@pytest.mark.parametrize(
    ("objective", "match"),
    [
        ("fast", "is not a goal"),
        (["p99 ttft"], "is not a goal"),
        (["maximize p99 ttft"], "more of it is worse; minimize it"),
        (["minimize goodput"], "more of it is better; maximize it"),
        (["minimize"], "is not a metric"),
        (["minimize rate"], "more of it is better; maximize it"),
    ],
)
def test_what_is_not_a_goal_is_refused(objective: str | list[str], match: str) -> None:
    with pytest.raises(GoalError, match=match):
        parse_goals(objective)


@pytest.mark.parametrize(
    ("text", "shown", "value", "excess"),
    [
        ("p99 ttft <= 500 ms", "p99 ttft <= 500 ms", 600.0, 0.2),
        ("p99 ttft<=0.5s", "p99 ttft <= 500 ms", 500.0, 0.0),
        ("mean tpot <= 1e2 MS", "mean tpot <= 100 ms", 25.0, -0.75),
        ("goodput >= 6 requests/s", "goodput >= 6 requests/s", 4.5, 0.25),
        ("throughput >= 2 req/s", "throughput >= 2 requests/s", 3.0, -0.5),
        ("output_throughput >= 100 /s", "output_throughput >= 100 tokens/s", 0.0, 1.0),
    ],
)
def test_a_limit_is_read_and_its_excess_is_a_share_of_it(
    text: str, shown: str, value: float, excess: float
) -> None:
    limit = Limit.parse(text)

    assert str(limit) == shown
    assert Limit.parse(shown) == limit
    assert limit.excess(value) == pytest.approx(excess)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("p99 ttft", "is not a limit: write for example"),
        ("p99 ttft <= ", "is not a limit"),
        ("p99 ttft <= -5 ms", "is not a limit"),
        ("p99 ttft <= 0 ms", "a positive number"),
        ("p99 ttft <= 1.2.3 ms", "a positive number"),
        ("p99 ttft <= 500", "the unit is ms or s"),
        ("p99 ttft <= 500 us", "the unit is ms or s"),
        ("p99 ttft >= 500 ms", "is written with <="),
        ("p99 ttft < 500 ms", "is written with <="),
        ("goodput <= 6 requests/s", "is written with >="),
        ("goodput >= 6 tokens/s", "the unit is requests/s"),
        ("goodput >= 6", "the unit is requests/s"),
        ("speed <= 5 ms", "is not a metric"),
        ("rate >= 5 /s", "the rate is no limit but what arrives"),
    ],
)
def test_what_is_not_a_limit_is_refused(text: str, match: str) -> None:
    with pytest.raises(GoalError, match=match):
        Limit.parse(text)


def test_a_request_counts_for_goodput_by_the_tightest_limit_on_each_latency() -> None:
    texts = ["p99 ttft <= 2 s", "mean ttft <= 800 ms", "p99 itl <= 9 ms", "p50 e2el <= 3 s"]

    assert goodput_slo([Limit.parse(t) for t in texts]) == GoodputSLO(ttft_ms=800, e2el_ms=3000)
    assert goodput_slo([Limit.parse("throughput >= 1 /s")]) is None


def test_any_percentile_is_numpys() -> None:
    firsts = np.random.default_rng(0).exponential(size=37)
    records = [
        RequestRecord(i, 0.0, 0.0, float(first), float(first), 5, 1)
        for i, first in enumerate(firsts)
    ]
    metrics = summarize(records, 60.0, percentiles=[12.5, 99.9]).as_dict()

    for p in (12.5, 99.9):
        expected = float(np.percentile(1000 * firsts, p))
        assert metrics[Metric.parse(f"p{p} ttft").flat] == pytest.approx(expected)
