"""The score of a point against its formula: SciPy's normal distribution and plain integration."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import norm

from optuna_scoot import FeasibilityThreshold
from optuna_scoot.acquisition.score import log_improvement
from optuna_scoot.acquisition.score import score_function
from optuna_scoot.model import Model
from optuna_scoot.surrogate.outputs import OutputTransform
from tests.optuna_scoot.observed import learnt
from tests.optuna_scoot.observed import observed
from tests.optuna_scoot.studies import QUICK


LINEAR = replace(QUICK, log_outputs=False)
"""Outputs as measured, so that a prediction in the user's units is a normal distribution."""

X = np.random.default_rng(3).random((9, 2))
VALUES = 40.0 + 10.0 * np.sum((X - 0.3) ** 2, axis=1)
CRASHED = np.array([[0.9, 0.85], [0.95, 0.6], [0.8, 0.95]])
QUERIES = np.random.default_rng(5).random((300, 2))


def _predicted(
    model: Model, queries: np.ndarray, outputs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give mean and deviation in the units of the outputs (n, k), each of shape (q, k)."""
    mean, std = model.surrogate.predict(queries)
    return outputs.mean(axis=0) + outputs.std(axis=0) * mean, outputs.std(axis=0) * std


def _expected_improvement(mean: np.ndarray, std: np.ndarray, level: float) -> np.ndarray:
    u = (level - mean) / std
    return np.asarray((level - mean) * norm.cdf(u) + std * norm.pdf(u))


def test_one_objectives_score_is_the_log_of_the_expected_improvement() -> None:
    model = learnt(observed(X, VALUES), LINEAR)
    mean, std = _predicted(model, QUERIES, VALUES[:, None])
    expected = _expected_improvement(mean[:, 0], std[:, 0], VALUES.min())

    np.testing.assert_allclose(
        np.exp(score_function(model, LINEAR.caution)(QUERIES)), expected, rtol=1e-6, atol=1e-12
    )


def test_a_logarithmic_outputs_improvement_is_counted_in_measured_units() -> None:
    values = np.exp(VALUES - 40.0)
    model = learnt(observed(X, values), QUICK)
    (transform,) = model.transforms
    assert transform.shift is not None
    mean, std = model.surrogate.predict(QUERIES[:20])
    z = np.linspace(-10.0, 10.0, 100_001)
    improvement = np.maximum(values.min() - transform.backward(mean + std * z), 0.0)
    expected = trapezoid(improvement * norm.pdf(z), z, axis=1)

    np.testing.assert_allclose(
        np.exp(score_function(model, QUICK.caution)(QUERIES[:20])), expected, rtol=1e-4, atol=1e-9
    )


@pytest.mark.parametrize("caution", [0.0, 1.0, 2.0])
@pytest.mark.parametrize(("delta", "odds"), [(0.3, 3.0 / 7.0), (0.5, 1.0), (0.7, 7.0 / 3.0)])
def test_pof_is_a_factor_whose_power_grows_with_delta_and_rules_out_what_is_below_delta(
    caution: float, delta: float, odds: float
) -> None:
    fixed = FeasibilityThreshold(initial=delta, step=0.0)
    model = learnt(observed(X, VALUES, crashed=CRASHED), LINEAR, threshold=fixed)
    score = score_function(model, caution)(QUERIES)
    pof = model.pof(QUERIES)
    mean, std = _predicted(model, QUERIES, VALUES[:, None])
    expected = _expected_improvement(mean[:, 0], std[:, 0], VALUES.min())
    allowed = pof >= delta

    # Ten trees, so that some points lie on Δ itself, which is allowed (eq. 3).
    assert np.any(np.isclose(pof, delta))
    assert np.any(pof < delta)
    assert np.all(score[~allowed] == -np.inf)
    np.testing.assert_allclose(
        np.exp(score[allowed]),
        (expected * pof ** (caution * odds))[allowed],
        rtol=1e-6,
        atol=1e-12,
    )


def test_delta_is_the_one_that_the_history_led_to() -> None:
    # Five of nine in a row lower Δ to 0.45, three crashes then raise it: 0.5, 0.55, 0.6.
    observations = observed(X, VALUES, crashed=CRASHED, phases=["model"])
    model = learnt(observations, LINEAR)
    fixed = learnt(observations, LINEAR, threshold=FeasibilityThreshold(step=0.0))
    pof = model.pof(QUERIES)
    score, other = (score_function(m, LINEAR.caution)(QUERIES) for m in (model, fixed))

    assert (model.threshold, fixed.threshold) == (pytest.approx(0.6), 0.5)
    assert np.any((pof >= 0.5) & (pof < model.threshold))
    np.testing.assert_array_equal(np.isfinite(score), pof >= model.threshold)
    # To the power of 2 · 0.6 / 0.4 = 3 instead of 2 · 0.5 / 0.5 = 2.
    allowed = np.isfinite(score)
    np.testing.assert_allclose(score[allowed] - other[allowed], np.log(pof[allowed]), atol=1e-9)


def test_where_anything_is_allowed_what_crashes_weighs_nothing() -> None:
    anything = FeasibilityThreshold(initial=0.0, minimum=0.0)
    model = learnt(observed(X, VALUES, crashed=CRASHED), LINEAR, threshold=anything)
    assert np.all(model.pof(CRASHED) == 0.0)
    mean, std = _predicted(model, CRASHED, VALUES[:, None])
    expected = _expected_improvement(mean[:, 0], std[:, 0], VALUES.min())

    score = score_function(model, LINEAR.caution)(CRASHED)
    np.testing.assert_allclose(np.exp(score), expected, rtol=1e-6, atol=1e-12)


def test_where_delta_is_one_only_what_is_certain_is_allowed() -> None:
    certain = FeasibilityThreshold(initial=1.0, maximum=1.0)
    model = learnt(observed(X, VALUES, crashed=CRASHED), LINEAR, threshold=certain)
    pof = model.pof(QUERIES)
    mean, std = _predicted(model, QUERIES, VALUES[:, None])
    expected = _expected_improvement(mean[:, 0], std[:, 0], VALUES.min())
    score = score_function(model, LINEAR.caution)(QUERIES)

    np.testing.assert_array_equal(np.isfinite(score), pof == 1.0)
    np.testing.assert_allclose(np.exp(score[pof == 1.0]), expected[pof == 1.0], rtol=1e-6)


def test_points_within_a_hundredth_of_every_range_of_a_running_one_are_ruled_out() -> None:
    pending = np.array([[0.5, 0.5], [0.2, 0.8]])
    model = learnt(observed(X, VALUES, pending=pending), LINEAR)
    queries = np.array(
        [[0.5, 0.5], [0.509, 0.491], [0.509, 0.511], [0.511, 0.5], [0.195, 0.805], [0.5, 0.8]]
    )

    assert np.isfinite(score_function(model, LINEAR.caution)(queries)).tolist() == [
        *(False, False, True),
        *(True, False, True),
    ]


def test_what_running_points_are_believed_to_reach_has_to_be_beaten() -> None:
    # The best lies between the observations: it is believed to be better than they.
    x = np.delete(np.linspace(0.0, 1.0, 9), 4)[:, None] * np.ones((1, 2))
    values = 3.0 + np.sum((x - 0.5) ** 2, axis=1)
    pending = np.array([[0.5, 0.5]])
    model = learnt(observed(x, values, pending=pending), LINEAR)
    believed, _ = _predicted(learnt(observed(x, values), LINEAR), pending, values[:, None])
    assert believed[0, 0] < values.min()

    queries = QUERIES[np.abs(QUERIES - 0.5).max(axis=1) > 0.01]
    mean, std = _predicted(model, queries, values[:, None])
    expected = _expected_improvement(mean[:, 0], std[:, 0], float(believed[0, 0]))
    np.testing.assert_allclose(
        np.exp(score_function(model, LINEAR.caution)(queries)), expected, rtol=1e-6, atol=1e-12
    )


def _with_constraints(shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Give two measured constraints, the first shifted, and the probability formula's outputs."""
    constraints = np.stack([0.2 - X[:, 0] + shift, 20.0 * (X[:, 1] - 0.7)], axis=1)
    return constraints, np.concatenate([VALUES[:, None], constraints], axis=1)


def test_measured_constraints_weigh_the_improvement_over_the_best_that_satisfies_them() -> None:
    constraints, outputs = _with_constraints(0.0)
    model = learnt(observed(X, VALUES, constraints=constraints), LINEAR)
    mean, std = _predicted(model, QUERIES, outputs)
    satisfied = np.all(constraints <= 0.0, axis=1)
    best = VALUES[satisfied].min()
    assert best > VALUES.min()
    expected = _expected_improvement(mean[:, 0], std[:, 0], best)
    expected = expected * norm.cdf(-mean[:, 1] / std[:, 1]) * norm.cdf(-mean[:, 2] / std[:, 2])

    np.testing.assert_allclose(
        np.exp(score_function(model, LINEAR.caution)(QUERIES)), expected, rtol=1e-6, atol=1e-12
    )


@pytest.mark.parametrize("crashes", [False, True])
def test_while_nothing_satisfies_them_their_probability_alone_counts(crashes: bool) -> None:
    constraints, outputs = _with_constraints(1.0)
    crashed = CRASHED if crashes else ()
    model = learnt(observed(X, VALUES, constraints=constraints, crashed=crashed), LINEAR)
    mean, std = _predicted(model, QUERIES, outputs)
    pof = model.pof(QUERIES)
    expected = norm.logcdf(-mean[:, 1:] / std[:, 1:]).sum(axis=1) + 2.0 * np.log(
        np.maximum(pof, 1e-3)
    )
    score = score_function(model, LINEAR.caution)(QUERIES)

    np.testing.assert_array_equal(np.isfinite(score), pof >= 0.5)
    np.testing.assert_allclose(score[pof >= 0.5], expected[pof >= 0.5], rtol=1e-9)


# Two objectives


FRONT_X = np.array([[0.1, 0.1], [0.4, 0.3], [0.9, 0.8], [0.3, 0.9], [0.7, 0.2]])
FRONT = np.array([[1.0, 30.0], [2.0, 20.0], [3.0, 10.0], [3.5, 28.0], [2.5, 33.0]])
REFERENCE = np.array([4.0, 35.0])


def _expected_hypervolume_gain(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Sum up the columns between the front's values: E[width] E[height] of what is new there."""
    staircase = np.array([(1.0, 30.0), (2.0, 20.0), (3.0, 10.0)])
    total = np.zeros(len(mean))
    left = np.zeros(len(mean))
    for right, top in zip([*staircase[:, 0], 4.0], [35.0, *staircase[:, 1]], strict=True):
        reached = _expected_improvement(mean[:, 0], std[:, 0], right)
        total += (reached - left) * _expected_improvement(mean[:, 1], std[:, 1], top)
        left = reached
    return total


@pytest.mark.parametrize("unit", [1.0, 1e-3])
def test_two_objectives_score_is_the_log_of_the_expected_hypervolume_gain(unit: float) -> None:
    reference = (unit * REFERENCE).tolist()
    model = learnt(observed(FRONT_X, unit * FRONT, reference_point=reference), LINEAR)
    mean, std = _predicted(model, QUERIES, FRONT)

    np.testing.assert_allclose(
        np.exp(score_function(model, LINEAR.caution)(QUERIES)) / unit**2,
        _expected_hypervolume_gain(mean, std),
        rtol=1e-6,
        atol=1e-9,
    )


def test_of_two_objectives_pof_is_a_factor_too() -> None:
    crashed = np.array([[0.05, 0.9], [0.1, 0.95]])
    observations = observed(FRONT_X, FRONT, crashed=crashed, reference_point=REFERENCE.tolist())
    model = learnt(observations, LINEAR)
    mean, std = _predicted(model, QUERIES, FRONT)
    pof = model.pof(QUERIES)
    expected = _expected_hypervolume_gain(mean, std) * pof**2
    score = score_function(model, 2.0)(QUERIES)

    np.testing.assert_array_equal(np.isfinite(score), pof >= 0.5)
    assert np.any(pof < 0.5)
    assert np.any((pof >= 0.5) & (pof < 1.0))
    allowed = pof >= 0.5
    np.testing.assert_allclose(np.exp(score[allowed]), expected[allowed], rtol=1e-6, atol=1e-9)


# Improvements in measured units


@pytest.mark.parametrize(
    "transform",
    [
        OutputTransform(shift=None, location=300.0, scale=50.0),
        OutputTransform(shift=20.0, location=5.5, scale=0.7),
        OutputTransform(shift=-100.0, location=5.5, scale=0.7),
        OutputTransform(shift=0.0, location=5.0, scale=1.2),
    ],
    ids=str,
)
@pytest.mark.parametrize("level", [150.0, 250.0, 600.0])
def test_improvement_is_in_measured_units(transform: OutputTransform, level: float) -> None:
    mean, std = np.array([0.3]), np.array([0.8])
    z = np.linspace(-12.0, 12.0, 400_001)
    improvement = np.maximum(level - transform.backward(mean + std * z), 0.0)
    expected = trapezoid(improvement * norm.pdf(z), z)
    value = log_improvement(transform, mean, std, level)

    assert math.exp(value[0]) == pytest.approx(expected, rel=1e-6)


def test_improvement_takes_a_row_of_levels() -> None:
    transform = OutputTransform(shift=20.0, location=5.5, scale=0.7)
    mean, std = np.array([0.1, -0.4, 1.0]), np.array([0.5, 0.2, 0.9])
    levels = np.array([100.0, 250.0])
    table = log_improvement(transform, mean[:, None], std[:, None], levels)

    assert table.shape == (3, 2)
    for j, level in enumerate(levels):
        np.testing.assert_allclose(
            table[:, j], log_improvement(transform, mean, std, float(level)), rtol=1e-12
        )


def test_nothing_improves_on_a_level_below_the_least_possible_value() -> None:
    transform = OutputTransform(shift=20.0, location=5.5, scale=0.7)
    value = log_improvement(transform, np.zeros(1), np.ones(1), -30.0)

    assert value[0] < -600.0
