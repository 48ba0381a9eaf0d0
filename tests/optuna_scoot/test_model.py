"""What is learnt, piece by piece: by hand, or against scikit-learn on the same rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from scipy.stats import norm
from sklearn.ensemble import RandomForestRegressor

from optuna_scoot import FeasibilityThreshold
from optuna_scoot import Method
from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.model import learn
from optuna_scoot.pareto import reference_point
from optuna_scoot.pareto import worst_that_matters
from tests.optuna_scoot.observed import SQUARE
from tests.optuna_scoot.observed import domain_of
from tests.optuna_scoot.observed import learnt
from tests.optuna_scoot.observed import observed
from tests.optuna_scoot.studies import QUICK
from tests.optuna_scoot.studies import QUICK_PAPER


RNG = np.random.default_rng(8)
X = RNG.random((12, 2))
LATENCIES = np.exp(2.0 + 2.0 * X[:, 0])
CRASHED = np.array([[0.9, 0.85], [0.95, 0.6], [0.8, 0.95]])
PRUNED = np.array([[0.7, 0.7], [0.75, 0.3]])
QUERIES = RNG.random((200, 2))

FLAGGED = {"n": FloatDistribution(0.0, 1.0), "on": CategoricalDistribution([False, True])}
"""A number and a flag, whose features are 0 and 1."""


# The surrogate


def test_outputs_are_standardised_and_objectives_alone_take_a_logarithm() -> None:
    constraints = LATENCIES[:, None] - 100.0
    model = learnt(observed(X, LATENCIES, constraints=constraints), QUICK)
    plain = learnt(observed(X, LATENCIES), replace(QUICK, log_outputs=False))

    assert [t.shift is None for t in model.transforms] == [False, True]
    assert model.surrogate.y.shape == (12, 2)
    np.testing.assert_allclose(
        model.surrogate.y[:, 1], (constraints[:, 0] - constraints.mean()) / constraints.std()
    )
    np.testing.assert_allclose(
        plain.surrogate.y[:, 0], (LATENCIES - LATENCIES.mean()) / LATENCIES.std()
    )
    np.testing.assert_allclose(model.surrogate.y.mean(axis=0), 0.0, atol=1e-9)


@pytest.mark.parametrize("n_crashed", [0, 900])
def test_of_very_many_observations_the_best_the_latest_and_some_of_all_are_learnt_from(
    n_crashed: int,
) -> None:
    points = np.random.default_rng(1).random((1000, 2))
    values = np.abs(points - 0.5).sum(axis=1)
    crashed = 0.8 + 0.2 * np.random.default_rng(2).random((n_crashed, 2))
    model = learnt(observed(points, values, crashed=crashed), QUICK)
    kept = {tuple(x) for x in model.surrogate.x}

    assert len(model.surrogate.x) == 400
    assert {tuple(x) for x in points[np.argsort(values)[:100]]} <= kept
    assert {tuple(x) for x in points[-100:]} <= kept
    of_each_hundred = [
        len({tuple(x) for x in points[i : i + 100]} & kept) for i in range(0, 900, 100)
    ]
    assert min(of_each_hundred) >= 20
    # What is looked for stays the best of all.
    assert model.reached.min() == values.min()
    assert (model.pof(np.array([[0.9, 0.9]]))[0] < 0.5) == (n_crashed > 0)


def _valley(x: np.ndarray) -> np.ndarray:
    """Latencies whose best lies in a narrow valley at the centre."""
    return np.exp(np.abs(np.sin(9.0 * x[:, 0] - 4.5)) + 4.0 * np.abs(x[:, 1] - 0.5))


def _error(points: np.ndarray, queries: np.ndarray) -> float:
    """Of the median predicted by a model of these points, in the median of the queries."""
    model = learnt(observed(points, _valley(points)), QUICK)
    told = model.transforms[0].backward(model.predict(queries)[0][:, 0])
    return float(np.median(np.abs(told - _valley(queries))))


def test_what_is_kept_of_many_predicts_the_best_better_than_as_many_drawn_at_random() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((1000, 2))
    near_the_best = 0.5 + np.array([0.02, 0.05]) * rng.normal(size=(200, 2))
    at_random = points[rng.permutation(1000)[:400]]
    assert _error(points, near_the_best) < 0.8 * _error(at_random, near_the_best)


def test_a_search_that_crowds_in_one_place_does_not_forget_the_rest() -> None:
    rng = np.random.default_rng(2)
    crowd = np.clip(0.5 + 0.05 * rng.normal(size=(800, 2)), 0.0, 1.0)
    points = np.concatenate([rng.random((200, 2)), crowd])
    best = np.argsort(_valley(points))[:200]
    best_and_latest = points[np.union1d(best, np.arange(800, 1000))]
    everywhere = rng.random((200, 2))
    assert _error(points, everywhere) < 0.6 * _error(best_and_latest, everywhere)


def test_the_worst_that_matters_by_hand() -> None:
    values = np.array([[0.0, 10.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [1000.0, 1000.0]])

    # Median 2 and best 0, median 3 and best 1; the front reaches 10 in the second objective.
    assert worst_that_matters(values).tolist() == [8.0, 10.0]
    # A little beyond: a tenth of the distance to the best.
    assert reference_point(values, None).tolist() == [8.8, 10.9]


@pytest.mark.parametrize("m", [1, 2])
def test_how_bad_a_very_bad_value_is_makes_no_difference(m: int) -> None:
    values = np.stack([LATENCIES, LATENCIES[::-1]][:m], axis=1)

    def predicted(bad: float, method: Method) -> np.ndarray:
        told = np.concatenate([values, np.full((1, m), bad)])
        return learnt(observed(np.concatenate([X, [[0.1, 0.9]]]), told), method).surrogate.y

    np.testing.assert_array_equal(predicted(1e4, QUICK), predicted(1e9, QUICK))
    # The paper models values as they were measured.
    assert not np.allclose(predicted(1e4, QUICK_PAPER), predicted(1e9, QUICK_PAPER))


def test_the_papers_surrogate_is_one_matern_32_with_the_numbers_warped() -> None:
    points = np.stack([np.linspace(0.0, 1.0, 10) ** 3, np.tile([0.25, 0.75], 5)], axis=1)
    values = np.cbrt(points[:, 0])
    model = learnt(observed(points, values, axes=FLAGGED), Method.paper(), FLAGGED)
    (mode,) = model.surrogate.draws

    assert mode.main_share.tolist() == [0.0]
    # The number is stretched near 0, where the values change; the flag cannot be.
    assert mode.warped(np.array([[0.1, 0.0]]), 0)[0, 0] > 0.2
    assert (mode.warp_a[0, 1], mode.warp_b[0, 1]) == (1.0, 1.0)


def test_the_defaults_surrogate_has_both_kernels_unwarped_and_averages_over_two_objectives() -> (
    None
):
    (mode,) = learnt(observed(X, LATENCIES), Method()).surrogate.draws
    several = learnt(observed(X, np.stack([LATENCIES, X[:, 0]], axis=1)), Method())

    assert len(several.surrogate.draws) == 8
    for draw in (mode, *several.surrogate.draws):
        assert np.all((draw.main_share > 0.0) & (draw.main_share < 1.0))
        assert np.all(draw.warp_a == 1.0)


def test_levels_of_a_categorical_have_the_longer_length_scales() -> None:
    # One observation: the priors' medians hold.
    model = learnt(observed([[0.5, 0.25]], [1.0], axes=FLAGGED), Method(), FLAGGED)

    assert model.surrogate.draws[0].lengthscales.tolist() == [[0.7, 2.0]]


# Running points


def test_of_several_objectives_running_points_are_believed() -> None:
    values = np.stack([LATENCIES, 1.0 + X[:, 1]], axis=1)
    constraints = np.stack([X[:, 0] - 0.6, X[:, 1] - 0.9], axis=1)
    pending = np.array([[0.2, 0.2], [0.95, 0.2], [0.4, 0.5]])
    reference = [60.0, 2.0]
    before = observed(X, values, constraints=constraints, reference_point=reference)
    after = observed(
        X, values, constraints=constraints, pending=pending, reference_point=reference
    )
    mean, std = learnt(before, QUICK).surrogate.predict(pending)
    model = learnt(after, QUICK)
    _, shrunk = model.surrogate.predict(pending)
    medians = np.stack([t.backward(mean[:, j]) for j, t in enumerate(model.transforms)], axis=1)

    # The second is believed to violate the first constraint: it is no value to beat.
    assert (medians[:, 2:] <= 0.0).all(axis=1).tolist() == [True, False, True]
    np.testing.assert_allclose(model.believed, medians[[0, 2], :2], rtol=1e-9)
    assert np.all(shrunk < std)
    satisfied = np.all(constraints <= 0.0, axis=1)
    assert after.satisfied.tolist() == satisfied.tolist()
    np.testing.assert_allclose(
        model.reached, np.concatenate([values[satisfied], medians[[0, 2], :2]]), rtol=1e-9
    )


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_the_paper_believes_nothing_of_running_points(n_objectives: int) -> None:
    values = np.stack([LATENCIES, 1.0 + X[:, 1]], axis=1)[:, :n_objectives]
    observations = observed(X, values, pending=[[0.3, 0.3]])

    assert [len(learnt(observations, m).believed) for m in (QUICK_PAPER, QUICK)] == [0, 1]
    assert [len(learnt(observations, m).surrogate.x) for m in (QUICK_PAPER, QUICK)] == [12, 13]


# Measured constraints


def test_the_probability_that_measured_constraints_hold_is_the_product_of_theirs() -> None:
    constraints = np.stack([X[:, 0] - 0.6, 30.0 * (X[:, 1] - 0.4)], axis=1)
    model = learnt(observed(X, LATENCIES, constraints=constraints), QUICK)
    mean, std = np.array([[0.1, -0.5, 0.3], [9.0, 0.2, -2.0]]), np.array([[1.0, 0.5, 0.8]] * 2)
    raw = constraints.mean(axis=0) + constraints.std(axis=0) * mean[:, 1:]
    expected = norm.logcdf(-raw / (constraints.std(axis=0) * std[:, 1:])).sum(axis=1)

    np.testing.assert_allclose(model.log_constraint_probability(mean, std), expected, rtol=1e-9)


# What runs


def test_the_forest_learns_from_all_that_ran_pruned_trials_too_and_from_crashes() -> None:
    method = replace(QUICK, forest=ForestChoice.paper())
    model = learnt(observed(X, LATENCIES, crashed=CRASHED, pruned=PRUNED), method)
    rows = np.concatenate([X, PRUNED, CRASHED])
    peer = RandomForestRegressor(random_state=0).fit(rows, [1.0] * 14 + [0.0] * 3)

    np.testing.assert_allclose(model.pof(QUERIES), peer.predict(QUERIES), atol=1e-9)


def test_delta_follows_the_models_suggestions_unless_it_is_fixed() -> None:
    startup = observed(X, LATENCIES, crashed=CRASHED)
    # Twelve that ran, then three crashes: 0.4, and from there 0.5, 0.55 and 0.6.
    by_model = observed(X, LATENCIES, crashed=CRASHED, phases=["model"])
    own = FeasibilityThreshold(initial=0.3, step=0.1)

    assert learnt(startup, QUICK).threshold == 0.5
    assert learnt(by_model, QUICK).threshold == pytest.approx(0.6)
    # 0.25 is the least; from there 0.35, 0.45 and 0.55.
    assert learnt(by_model, QUICK, threshold=own).threshold == pytest.approx(0.55)
    fixed = FeasibilityThreshold(initial=0.3, step=0.0)
    assert learnt(by_model, QUICK, threshold=fixed).threshold == 0.3


def test_the_seed_decides_on_forest_and_draws() -> None:
    observations = observed(X, np.stack([LATENCIES, X[:, 0]], axis=1), crashed=CRASHED)
    models = [
        learn(observations, domain_of(SQUARE), QUICK, FeasibilityThreshold(), seed)
        for seed in (1, 1, 2)
    ]
    pofs = [m.pof(QUERIES) for m in models]
    means = [m.predict(QUERIES)[0] for m in models]

    for first, second, third in (pofs, means):
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, third)


# The reference point


def test_the_reference_point_is_a_tenth_of_the_range_beyond_the_worst() -> None:
    values = [[1.0, 10.0, 5.0], [3.0, 40.0, 5.0], [2.0, 20.0, 5.0]]
    given = np.array([4.0, 5.0, 6.0])

    # Where all are equal there is no range: 0.1 of one unit.
    np.testing.assert_allclose(reference_point(np.array(values), None), [3.2, 43.0, 5.1])
    assert reference_point(np.array(values), given).tolist() == [4.0, 5.0, 6.0]


def test_where_limits_are_measured_pruned_trials_that_told_them_are_learnt_from() -> None:
    constraints = LATENCIES[:, None] - 100.0
    plain = observed(X, LATENCIES, constraints=constraints)
    told = replace(
        plain,
        pruned=PRUNED,
        pruned_values=np.array([[50.0], [60.0]]),
        pruned_constraints=np.array([[20.0], [np.nan]]),
    )
    silent = replace(told, pruned_constraints=None)

    assert len(learnt(silent, QUICK).surrogate.y) == 12
    surrogate = learnt(told, QUICK).surrogate
    outputs = np.append(constraints[:, 0], 20.0)
    np.testing.assert_allclose(surrogate.y[:, 1], (outputs - outputs.mean()) / outputs.std())
