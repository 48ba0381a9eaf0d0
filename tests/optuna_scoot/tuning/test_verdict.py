"""The verdict on numbers made by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optuna_scoot.tuning.report import Metric
from optuna_scoot.tuning.verdict import Kind
from optuna_scoot.tuning.verdict import Measured
from optuna_scoot.tuning.verdict import Verdict
from optuna_scoot.tuning.verdict import decide


NAN = math.nan
TTFT = (Metric("TTFT p99 (ms)", False),)
BOTH = (Metric("TTFT mean (ms)", False), Metric("throughput (requests/s)", True))
LIMIT = "p99 ttft <= 500 ms"


def measured(
    name: str, *columns: list[float], excess: list[float] | None = None, **more: Any
) -> Measured:
    """A configuration with a column of values for each objective, and one limit or none."""
    k = len(columns[0])
    return Measured(
        name,
        {},
        np.array(columns).T,
        np.empty((k, 0)) if excess is None else np.array([excess]).T,
        () if excess is None else (LIMIT,),
        **more,
    )


def judge(baseline: Measured, *finalists: Measured) -> Verdict:
    return decide(baseline, finalists, TTFT if baseline.values.shape[1] == 1 else BOTH)


DEFAULT = measured("the default", [100.0, 200.0, 400.0])


def test_keep_what_is_better_under_every_order() -> None:
    # The ratios are 0.7, 0.7 and 0.7 although the orders differ by a factor of four.
    verdict = judge(DEFAULT, measured("trial 3", [70.0, 140.0, 280.0]))
    assert verdict.kind is Kind.KEEP
    assert verdict.recommended is verdict.best
    assert verdict.sentence == (
        "keep: TTFT p99 -30 % [-30, -30] against the default under 3 arrival orders (trial 3)"
    )


def test_no_gain_is_shown_where_the_interval_holds_zero() -> None:
    # Mean of the logarithms of 0.7, 1.0, 1.3: -0.0314; deviation 0.3104; t(2, 0.975) = 4.303.
    verdict = judge(DEFAULT, measured("trial 3", [70.0, 200.0, 520.0]))
    assert verdict.kind is Kind.NO_GAIN
    assert verdict.recommended is DEFAULT
    assert verdict.sentence == (
        "no gain shown: TTFT p99 -3.1 % [-55, +110] against the default under 3 arrival orders"
        " (trial 3); stay with the default"
    )


def test_a_sure_gain_of_less_than_a_per_cent_is_none() -> None:
    assert judge(DEFAULT, measured("trial 3", [99.6, 199.2, 398.4])).kind is Kind.NO_GAIN


def test_worse_stays_with_the_default() -> None:
    verdict = judge(DEFAULT, measured("trial 3", [110.0, 220.0, 440.0]))
    assert verdict.kind is Kind.WORSE
    assert verdict.recommended is DEFAULT
    assert verdict.sentence.startswith("worse: TTFT p99 +10 % [+10, +10] against the default")


def test_the_lucky_winner_is_not_the_best_of_the_finalists() -> None:
    lucky = measured("trial 3", [40.0, 160.0, 320.0])  # geometric mean of the ratios 0.635
    steady = measured("trial 5", [55.0, 110.0, 220.0])  # 0.55
    assert judge(DEFAULT, lucky, steady).best is steady


def test_a_winner_that_fails_or_misses_a_limit_gives_way_to_the_next() -> None:
    kept = [-0.1, -0.1, -0.1]
    baseline = measured("the default", [100.0, 200.0, 400.0], excess=kept)
    crash = measured(
        "trial 3", [10.0, NAN, 40.0], excess=[-0.5, NAN, -0.5], crashes={2: "out_of_memory: CUDA"}
    )
    misses = measured("trial 4", [20.0, 40.0, 80.0], excess=[-0.5, -0.5, 0.01])
    holds = measured("trial 5", [50.0, 100.0, 200.0], excess=kept)
    verdict = judge(baseline, crash, misses, holds)
    assert verdict.recommended is holds
    assert verdict.sentence == (
        "keep: TTFT p99 -50 % [-50, -50] against the default under 3 arrival orders (trial 5);"
        " every limit is kept under each; trial 3 fails under 1 of 3 orders (out_of_memory);"
        f" trial 4 misses {LIMIT} under 1 of 3 orders"
    )


def test_no_finalist_holds_and_the_default_does() -> None:
    verdict = judge(DEFAULT, measured("trial 3", [NAN, 1.0, 1.0]))
    assert verdict.kind is Kind.WORSE
    assert verdict.recommended is DEFAULT
    assert "no finalist holds under 3 arrival orders" in verdict.sentence


def test_a_default_that_misses_a_limit_is_left_even_without_a_gain() -> None:
    baseline = measured("the default", [100.0, 200.0, 400.0], excess=[-0.1, 0.2, 0.2])
    slower = measured("trial 3", [110.0, 220.0, 440.0], excess=[-0.1, -0.1, -0.1])
    verdict = judge(baseline, slower)
    assert verdict.kind is Kind.KEEP
    assert verdict.recommended is slower
    assert f"the default misses {LIMIT} under 2 of 3 orders" in verdict.sentence


def test_nothing_holds() -> None:
    crashed = measured("the default", [NAN, NAN, NAN], crashes={1: "died_under_load: x"})
    verdict = judge(crashed, measured("trial 3", [1.0, NAN, 1.0]))
    assert verdict.kind is Kind.NOTHING_HOLDS
    assert verdict.recommended is None


def test_a_default_that_is_not_allowed_is_never_recommended() -> None:
    baseline = measured("the default", [100.0, 200.0, 400.0], allowed=False)
    verdict = judge(baseline)
    assert verdict.recommended is None
    assert "the default violates a known constraint" in verdict.sentence


def test_better_in_one_and_worse_in_another_is_mixed_and_no_recommendation() -> None:
    baseline = measured("the default", [100.0] * 3, [10.0] * 3)
    other = measured("trial 3", [50.0] * 3, [8.0] * 3)
    verdict = judge(baseline, other)
    assert verdict.kind is Kind.MIXED
    assert verdict.best is other
    assert verdict.recommended is baseline


def test_several_objectives_are_ranked_by_the_hypervolume_of_one_point() -> None:
    baseline = measured("the default", [100.0] * 3, [10.0] * 3)
    # Eq. 11 over the reference: (1 - 0.5)(1.1 - 1) = 0.05; (1 - 0.7)(1.3 - 1) = 0.09.
    one = measured("trial 3", [50.0] * 3, [11.0] * 3)
    two = measured("trial 5", [70.0] * 3, [13.0] * 3)
    assert judge(baseline, one, two).best is two


def test_fewer_overrides_win_where_nothing_is_shown_to_be_lost() -> None:
    best = measured("trial 3", [50.0, 100.0, 200.0])
    within = measured("simpler", [51.0, 99.0, 202.0], simplifies="trial 3")
    beyond = measured("simpler", [55.0, 110.0, 220.0], simplifies="trial 3")
    assert judge(DEFAULT, best, within).best is within
    assert judge(DEFAULT, best, beyond).best is best
