"""Output transforms: there and back, the right choice, improvements in the user's units."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from optuna_scoot.surrogate.outputs import fit_output_transform


LATENCIES = np.exp(np.random.default_rng(0).normal(6.0, 1.5, 40))


@pytest.mark.parametrize(
    "values",
    [
        LATENCIES,
        -LATENCIES,
        np.random.default_rng(1).normal(size=40),
        np.geomspace(1e-3, 1e3, 12),
        np.array([5.0]),
        np.array([3.0, 3.0, 3.0, 3.0, 3.0]),
        np.zeros(6),
        np.array([1e9, 1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0]),
        np.array([1e-12, 2e-12, 5e-12, 3e-12]),
    ],
    ids=["log-normal", "negated", "normal", "six orders", "one", "equal", "zero", "far", "tiny"],
)
@pytest.mark.parametrize("logarithm", [True, False])
def test_values_come_back_and_are_standardised(values: np.ndarray, logarithm: bool) -> None:
    transform = fit_output_transform(values, logarithm=logarithm)
    standardised = transform.forward(values)

    # Six digits of the range, where the values lie far from zero.
    tolerance = 1e-6 * np.ptp(values) + 1e-12 * np.abs(values).max()
    np.testing.assert_allclose(transform.backward(standardised), values, atol=tolerance)
    assert standardised.mean() == pytest.approx(0.0, abs=1e-6)
    spread = np.std(standardised)
    assert spread == pytest.approx(1.0, rel=1e-6) if np.ptp(values) > 0 else spread < 1e-9


@pytest.mark.parametrize("values", [LATENCIES, -LATENCIES])
def test_order_is_kept(values: np.ndarray) -> None:
    transform = fit_output_transform(values, logarithm=True)

    assert np.all(np.diff(transform.forward(np.sort(values))) > 0.0)


def test_values_next_to_nothing_are_not_spread_out() -> None:
    # Such as an objective that is 0 in exact arithmetic: its logarithm is -37.
    values = np.array([6e-17, 3e-9, 2e-4, 0.6, 1.1, 1.9, 2.4, 3.3, 3.5, 3.9])
    transform = fit_output_transform(values, logarithm=True)

    assert transform.shift != 0.0
    assert np.ptp(transform.forward(values[:3])) < 0.1


def test_a_logarithm_is_chosen_for_a_long_tail_of_bad_values_alone() -> None:
    assert fit_output_transform(LATENCIES, logarithm=True).shift is not None
    assert fit_output_transform(-LATENCIES, logarithm=True).shift is None
    assert fit_output_transform(LATENCIES, logarithm=False).shift is None


def _log_likelihood(values: np.ndarray, shift: float | None) -> float:
    """Give the log-density of the values where log(y + s) is normal, of the likeliest normal."""
    z = values if shift is None else np.log(values + shift)
    density = norm(z.mean(), z.std()).logpdf(z).sum()
    return float(density - (0.0 if shift is None else z.sum()))


def _likeliest_shift(values: np.ndarray) -> float | None:
    """Try no logarithm, floors one and three distances below the least, and 0 where it may be."""
    low, median = float(values.min()), float(np.median(values))
    shifts: list[float | None] = [None, (median - low) - low, 3.0 * (median - low) - low]
    if low > 0.1 * median:
        shifts.append(0.0)
    return max(shifts, key=lambda shift: _log_likelihood(values, shift))


def test_the_shift_is_the_likeliest_of_those_that_are_tried() -> None:
    rng = np.random.default_rng(7)
    chosen: list[str] = []
    for _ in range(300):
        n, spread = int(rng.integers(4, 30)), rng.uniform(0.1, 2.5)
        sample = np.exp(spread * rng.normal(size=n)) if rng.random() < 0.8 else rng.normal(size=n)
        values = (sample + rng.uniform(-0.5, 3.0)) * 10.0 ** rng.uniform(-3.0, 4.0)
        found, expected = (
            fit_output_transform(values, logarithm=True).shift,
            _likeliest_shift(values),
        )
        assert found == (expected if expected is None else pytest.approx(expected))
        distance = float(np.median(values) - values.min())
        chosen.append("none" if found is None else f"{(found + values.min()) / distance:.1f}")
        chosen[-1] = "pure" if found == 0.0 else chosen[-1]

    assert all(chosen.count(kind) > 10 for kind in ("none", "1.0", "3.0", "pure"))


@pytest.mark.parametrize(("n", "logarithm"), [(3, False), (4, True)])
def test_three_values_say_nothing_about_a_scale(n: int, logarithm: bool) -> None:
    values = np.array([1.0, 2.0, 100.0, 1000.0])[:n]

    assert (fit_output_transform(values, logarithm=True).shift is not None) is logarithm
