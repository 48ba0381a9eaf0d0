from __future__ import annotations

import numpy as np
import pytest

from optuna_scoot.comparison.reporting.statistics import bootstrap_mean
from optuna_scoot.comparison.reporting.statistics import paired
from optuna_scoot.comparison.reporting.statistics import trials_to_reach
from optuna_scoot.comparison.reporting.statistics import wilson
from optuna_scoot.comparison.reporting.statistics import win_rate
from optuna_scoot.comparison.reporting.summary import Entry


def _entry(cases: list[tuple[str, int]], curves: list[list[float]]) -> Entry:
    n = len(cases)
    return Entry(
        group="plain",
        sampler="any",
        mode="fail",
        batch=1,
        cases=tuple(cases),
        curves=np.array(curves),
        crashes=np.zeros(n),
        seconds=np.zeros(n),
        n_known_violations=0,
        errors=(),
    )


def test_wilson_of_a_published_example() -> None:
    # 15 of 148: R. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    interval = wilson(15, 148)
    assert interval.low == pytest.approx(0.0624, abs=5e-5)
    assert interval.high == pytest.approx(0.1605, abs=5e-5)


def test_wilson_at_the_ends() -> None:
    # 0 of 20 in the same table: 0 to 0.1611.
    assert wilson(0, 20).low == 0.0
    assert wilson(0, 20).high == pytest.approx(0.1611, abs=5e-5)
    assert wilson(20, 20).high == 1.0


def test_a_tie_is_half_a_win() -> None:
    ours, theirs = np.array([1.0, 0.5, 0.2, 0.3]), np.array([0.5, 0.5, 0.4, 0.1])
    assert win_rate(ours, theirs).estimate == pytest.approx((2 + 0.5) / 4)


def test_bootstrap_agrees_with_the_normal_interval() -> None:
    samples = np.random.default_rng(1).normal(3.0, 2.0, size=400)
    interval = bootstrap_mean(samples)
    half = 1.96 * samples.std() / np.sqrt(400)
    assert interval.estimate == pytest.approx(samples.mean())
    assert interval.low == pytest.approx(samples.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(samples.mean() + half, abs=0.03)


def test_bootstrap_of_equal_samples_has_no_width() -> None:
    interval = bootstrap_mean(np.full(7, 0.25))
    assert (interval.low, interval.estimate, interval.high) == (0.25, 0.25, 0.25)


def test_trials_to_reach_counts_from_one_and_may_never_end() -> None:
    curves = np.array([[0.0, 0.5, 0.9], [0.0, 0.1, 0.2], [0.7, 0.7, 0.7]])
    assert trials_to_reach(curves, np.array([0.5, 0.5, 0.5])).tolist() == [2.0, np.inf, 1.0]


def test_pairs_on_common_cases_whatever_their_order() -> None:
    ours = _entry([("a", 0), ("a", 1), ("b", 0)], [[0.0, 0.6], [0.0, 0.9], [0.0, 1.0]])
    theirs = _entry([("b", 0), ("a", 0)], [[0.0, 0.7], [0.0, 0.8]])
    pair = paired(ours, theirs)
    assert pair is not None
    assert pair.n_cases == 2
    # (0.6 - 0.8) and (1.0 - 0.7); the case that only one has is left out.
    assert pair.difference.estimate == pytest.approx(0.05)
    assert pair.wins.estimate == 0.5
    # Case a/0 is never reached, b/0 at trial 2: the median of two is their mean.
    assert pair.median_trial == np.inf
    # Means: ours 0, 0.8; theirs 0.75 at the end.
    assert pair.curve_trial == 2.0


def test_nothing_in_common_is_no_comparison() -> None:
    assert paired(_entry([("a", 0)], [[0.0]]), _entry([("a", 1)], [[0.0]])) is None
