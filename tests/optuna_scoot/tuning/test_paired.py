"""Worst value, median, spread and the paired change, by SciPy and by numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from optuna_scoot.tuning.paired import Change
from optuna_scoot.tuning.paired import centre
from optuna_scoot.tuning.paired import paired_change
from optuna_scoot.tuning.paired import summarise


NAN = math.nan


def test_the_worst_value_is_the_largest_latency_and_the_least_rate() -> None:
    values = np.array([5.0, 1.0, 3.0, 9.0])
    latency = summarise(values, maximise=False)
    assert (latency.worst, latency.median, latency.spread) == (9.0, 4.0, 8.0)
    assert summarise(values, maximise=True).worst == 1.0


def test_nothing_is_promised_by_a_configuration_that_failed_once() -> None:
    summary = summarise(np.array([5.0, NAN, 3.0]), maximise=False)
    assert math.isnan(summary.worst)
    assert (summary.median, summary.spread) == (4.0, 2.0)
    assert math.isnan(summarise(np.array([NAN, NAN]), maximise=False).median)


@pytest.mark.parametrize("k", [3, 5, 12])
def test_the_change_is_scipys_paired_t_interval_of_the_logarithms(k: int) -> None:
    rng = np.random.default_rng(k)
    baseline = rng.lognormal(4.0, 1.0, k)
    values = baseline * rng.lognormal(-0.3, 0.1, k)
    test = stats.ttest_rel(np.log(values), np.log(baseline))
    interval = test.confidence_interval(0.95)
    change = paired_change(values, baseline)
    assert change is not None
    assert change.mean == pytest.approx(stats.gmean(values / baseline) - 1)
    assert change.low == pytest.approx(math.exp(interval.low) - 1)
    assert change.high == pytest.approx(math.exp(interval.high) - 1)


def test_the_interval_covers_the_truth_as_often_as_it_says_with_three_orders() -> None:
    rng = np.random.default_rng(0)
    n, hits = 4000, 0
    for _ in range(n):
        hard = rng.lognormal(0.0, 1.0, 3)  # orders differ by much more than configurations
        noise = rng.lognormal(0.0, 0.1, (2, 3))
        change = paired_change(0.8 * hard * noise[0], hard * noise[1])
        assert change is not None
        hits += change.low <= -0.2 <= change.high
    # Binomial: 0.95 ± 4 deviations.
    assert abs(hits / n - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n)


def test_only_orders_under_which_both_ran_are_compared() -> None:
    change = paired_change(np.array([50.0, NAN, 50.0, 7.0]), np.array([100.0, 1.0, 100.0, NAN]))
    assert change is not None
    assert (change.mean, change.low, change.high) == pytest.approx((-0.5, -0.5, -0.5))
    assert paired_change(np.array([50.0, NAN]), np.array([100.0, 1.0])) is None
    assert paired_change(np.array([0.0, 0.0]), np.array([1.0, 1.0])) is None


@pytest.mark.parametrize(
    ("change", "better", "worse"),
    [
        (Change(-0.31, -0.36, -0.27), True, False),
        (Change(-0.31, -0.60, 0.01), False, False),  # within noise
        (Change(-0.004, -0.005, -0.003), False, False),  # beyond noise, and matters to nobody
        (Change(0.2, 0.1, 0.3), False, True),
    ],
)
def test_a_difference_is_shown_beyond_noise_and_beyond_one_per_cent(
    change: Change, better: bool, worse: bool
) -> None:
    assert (change.is_better(maximise=False), change.is_worse(maximise=False)) == (better, worse)
    assert (change.is_worse(maximise=True), change.is_better(maximise=True)) == (better, worse)


def test_the_centre_is_the_geometric_mean_where_there_is_one() -> None:
    values = np.array([[1.0, 0.0], [4.0, 2.0]])
    assert centre(values) == pytest.approx([2.0, 1.0])
