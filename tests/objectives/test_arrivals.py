"""Arrival times against the laws that they are drawn from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from objectives.arrivals import ArrivalsError
from objectives.arrivals import constant_arrivals
from objectives.arrivals import counted_arrivals
from objectives.arrivals import gamma_arrivals
from objectives.arrivals import poisson_arrivals
from objectives.arrivals import replay_arrivals


def gaps(times: np.ndarray) -> np.ndarray:
    return np.diff(times, prepend=0.0)


def test_poisson_gaps_follow_the_exponential_law() -> None:
    times = poisson_arrivals(rate=5.0, duration=2000.0, seed=11)
    assert stats.kstest(gaps(times), stats.expon(scale=0.2).cdf).pvalue > 0.05
    assert stats.kstest(gaps(times), stats.expon(scale=0.22).cdf).pvalue < 1e-6


def test_poisson_counts_have_a_variance_equal_to_their_mean() -> None:
    counts = [len(poisson_arrivals(rate=2.0, duration=50.0, seed=s)) for s in range(400)]
    assert np.mean(counts) == pytest.approx(100, abs=4 * 10 / math.sqrt(400))
    # (n - 1) s² / mean is chi-square with n - 1 degrees of freedom. Times stretched to end at a
    # fixed moment, or a fixed number of them, have hardly any variance.
    statistic = 399 * np.var(counts, ddof=1) / 100
    low, high = stats.chi2(399).ppf([0.001, 0.999])
    assert low < statistic < high


def test_counted_poisson_arrivals_are_so_many_uniform_times() -> None:
    drawn = [counted_arrivals(rate=2.0, duration=50.0, burstiness=1.0, seed=s) for s in range(50)]

    assert {len(times) for times in drawn} == {100}
    assert all((np.diff(times) > 0).all() for times in drawn)
    law = stats.uniform(scale=50.0)
    assert stats.kstest(np.concatenate(drawn), law.cdf).pvalue > 0.05
    # The k-th of n uniform times has a beta law.
    firsts = [times[0] / 50.0 for times in drawn]
    assert stats.kstest(firsts, stats.beta(1, 100).cdf).pvalue > 0.05


@pytest.mark.parametrize("burstiness", [0.25, 4.0, math.inf])
def test_counted_arrivals_keep_their_burstiness(burstiness: float) -> None:
    times = counted_arrivals(rate=100.0, duration=100.0, burstiness=burstiness, seed=3)
    between = np.diff(times)

    assert len(times) == 10_000
    assert 0.0 <= times[0] < times[-1] < 100.0
    variation = 0.0 if math.isinf(burstiness) else 1 / math.sqrt(burstiness)
    assert np.std(between) / np.mean(between) == pytest.approx(variation, rel=0.05, abs=1e-6)


def test_counted_arrivals_are_at_least_one_and_checked() -> None:
    assert len(counted_arrivals(0.001, 1.0, 1.0, 0)) == 1
    for wrong in ((0.0, 1.0, 1.0), (1.0, math.inf, 1.0), (1.0, 1.0, 0.0), (1e9, 1e9, 1.0)):
        with pytest.raises(ArrivalsError):
            counted_arrivals(*wrong, seed=0)


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gamma_gaps_follow_their_law(burstiness: float) -> None:
    times = gamma_arrivals(rate=10.0, duration=1000.0, burstiness=burstiness, seed=5)
    law = stats.gamma(burstiness, scale=1 / (10.0 * burstiness))
    assert stats.kstest(gaps(times), law.cdf).pvalue > 0.05
    drawn = gaps(times)
    assert np.std(drawn) / np.mean(drawn) == pytest.approx(1 / math.sqrt(burstiness), rel=0.05)


def test_burstiness_one_is_poisson_and_infinity_is_constant() -> None:
    assert np.array_equal(gamma_arrivals(3.0, 60.0, 1.0, 7), poisson_arrivals(3.0, 60.0, 7))
    assert np.array_equal(gamma_arrivals(3.0, 60.0, math.inf, 7), constant_arrivals(3.0, 60.0))


def test_times_are_sorted_within_the_duration_and_depend_on_the_seed_alone() -> None:
    times = poisson_arrivals(20.0, 100.0, seed=1)
    assert np.all(np.diff(times) >= 0)
    assert 0 <= times[0] <= times[-1] < 100.0
    assert np.array_equal(times, poisson_arrivals(20.0, 100.0, seed=1))
    assert not np.array_equal(times[:5], poisson_arrivals(20.0, 100.0, seed=2)[:5])


@pytest.mark.parametrize("burstiness", [0.3, 1.0, 5.0])
def test_times_are_the_sums_of_the_gaps(burstiness: float) -> None:
    drawn = np.random.default_rng(3).gamma(burstiness, 1 / (50 * burstiness), size=2000)
    times = gamma_arrivals(50.0, 20.0, burstiness, seed=3)
    assert 600 < len(times) < 1600
    assert times.tolist() == np.cumsum(drawn)[: len(times)].tolist()


def test_more_arrivals_than_can_be_sent_are_refused() -> None:
    for law in (constant_arrivals, lambda rate, s: poisson_arrivals(rate, s, 0)):
        with pytest.raises(ArrivalsError, match="are more than 10000000 requests"):
            law(1e9, 100.0)
    with pytest.raises(ArrivalsError, match="burstiness 1e-09 sends more than"):
        gamma_arrivals(5.0, 100.0, 1e-9, seed=0)
    assert replay_arrivals([0.0, 1.0], 1e9).tolist() == [0.0, 1.0]


def test_a_longer_duration_only_appends() -> None:
    short = gamma_arrivals(20.0, 30.0, 0.5, seed=1)
    long = gamma_arrivals(20.0, 300.0, 0.5, seed=1)
    assert len(long) > len(short)
    assert np.array_equal(long[: len(short)], short)
    assert long[len(short)] >= 30.0


def test_the_times_of_a_seed_stay_as_they_are() -> None:
    # A change here means that studies of two versions of this project are not comparable.
    assert poisson_arrivals(5.0, 100.0, seed=0)[:3].tolist() == pytest.approx(
        [0.13598638, 0.33990580, 0.34386713], abs=1e-8
    )


def test_constant_arrivals() -> None:
    assert constant_arrivals(4.0, 1.1).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert len(constant_arrivals(3.0, 100.0)) == 300  # none at 100 s itself
    assert constant_arrivals(0.1, 1.0).tolist() == [0.0]


def test_replay_keeps_the_pace_from_the_first_arrival_to_the_duration() -> None:
    assert replay_arrivals([5.0, 6.0, 6.0, 9.0, 15.0], 10.0).tolist() == [0.0, 1.0, 1.0, 4.0]


def test_replay_scaled_to_a_rate_has_that_rate_and_the_same_shape() -> None:
    recorded = np.array([5.0, 6.0, 6.0, 9.0, 15.0])  # 4 gaps in 10 s
    scaled = replay_arrivals(recorded, 100.0, rate=2.0)
    assert scaled.tolist() == pytest.approx([0.0, 0.2, 0.2, 0.8, 2.0])
    assert (len(scaled) - 1) / scaled[-1] == pytest.approx(2.0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["rate", "duration"])
def test_rate_and_duration_are_positive(name: str, value: float) -> None:
    with pytest.raises(ArrivalsError, match=name):
        poisson_arrivals(**{"rate": 1.0, "duration": 1.0, "seed": 0} | {name: value})


@pytest.mark.parametrize("burstiness", [0.0, -1.0, math.nan])
def test_burstiness_is_positive(burstiness: float) -> None:
    with pytest.raises(ArrivalsError, match="burstiness"):
        gamma_arrivals(1.0, 1.0, burstiness, 0)


@pytest.mark.parametrize(
    ("recorded", "rate", "message"),
    [
        ([], None, "at least one"),
        ([1.0, math.nan], None, "finite"),
        ([2.0, 1.0], None, "decrease"),
        ([2.0, 2.0], 1.0, "coincide"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    recorded: list[float], rate: float | None, message: str
) -> None:
    with pytest.raises(ArrivalsError, match=message):
        replay_arrivals(recorded, 10.0, rate)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ArrivalsError, match="seed"):
        poisson_arrivals(1.0, 1.0, -1)
