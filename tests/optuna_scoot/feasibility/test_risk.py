"""The risk of a crash: against draws of the latent function, and where the forest is too sure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from optuna_scoot.feasibility.forest import FeasibilityForest
from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.feasibility.risk import CrashRisk


LENGTHSCALES = np.array([0.7, 0.7])


def _risk(
    features: np.ndarray, ran: np.ndarray, ignored: tuple[bool, bool] = (False, False)
) -> CrashRisk:
    return CrashRisk(features, ran, lengthscales=LENGTHSCALES, ignored=np.array(ignored))


def _covariance(x: np.ndarray) -> np.ndarray:
    """Give 16 Matérn-3/2 + 36 (0.09 + x·x'), x from the cube's centre: by the formula."""
    x = x - 0.5
    r = np.sqrt(3.0) * np.linalg.norm((x[:, None, :] - x[None, :, :]) / LENGTHSCALES, axis=2)
    return np.asarray(16.0 * (1.0 + r) * np.exp(-r) + 36.0 * (0.09 + x @ x.T))


def test_no_points_have_no_probabilities() -> None:
    # A search may find every point taken.
    features = np.array([[0.1, 0.2], [0.3, 0.7], [0.8, 0.9]])
    ran = np.array([True, True, False])
    none = np.array([False, False])
    forest = FeasibilityForest(
        features, ran, is_level=none, ignored=none, choice=ForestChoice(n_trees=3), seed=0
    )

    assert _risk(features, ran).probability(np.empty((0, 2))).shape == (0,)
    assert forest.probability(np.empty((0, 2))).shape == (0,)


def test_the_risk_is_that_of_latent_functions_drawn_from_the_prior() -> None:
    features = np.array([[0.1, 0.2], [0.3, 0.7], [0.8, 0.9], [0.6, 0.4]])
    ran = np.array([True, True, False, True])
    queries = np.array([[0.9, 0.8], [0.2, 0.4], [0.9, 0.1], [0.5, 0.6]])
    covariance = _covariance(np.concatenate([features, queries]))
    draws = np.random.default_rng(0).multivariate_normal(np.zeros(8), covariance, size=400_000)
    weights = np.prod(expit(np.where(ran, draws[:, :4], -draws[:, :4])), axis=1)
    expected = weights @ expit(-draws[:, 4:]) / weights.sum()

    # Laplace's approximation pulls probabilities towards a half.
    found = _risk(features, ran).probability(queries)
    np.testing.assert_allclose(found, expected, atol=0.12)
    np.testing.assert_array_equal(np.argsort(found), np.argsort(expected))


def test_what_is_far_from_all_that_ran_is_doubted_where_the_forest_is_sure() -> None:
    # What crashed differs in the second parameter alone: the forest cuts there.
    near = np.stack([np.linspace(0.0, 0.3, 8), np.tile([0.1, 0.3], 4)], axis=1)
    features = np.concatenate([near, near[:3] + np.array([0.0, 0.6])])
    ran = np.array([True] * 8 + [False] * 3)
    queries = np.array([[0.15, 0.2], [0.95, 0.2]])
    forest = FeasibilityForest(
        features,
        ran,
        is_level=np.zeros(2, dtype=bool),
        ignored=np.zeros(2, dtype=bool),
        choice=ForestChoice.paper(),
        seed=0,
    )
    beside, far = _risk(features, ran).probability(queries)

    np.testing.assert_allclose(forest.probability(queries), 1.0)
    assert far > 2.0 * beside


def test_ignored_features_are_not_seen() -> None:
    features = np.random.default_rng(0).random((12, 2))
    ran = features[:, 1] < 0.5
    queries = np.random.default_rng(1).random((6, 2))
    other = np.stack([queries[:, 0], 1.0 - queries[:, 1]], axis=1)
    risk = _risk(features, ran, (False, True))

    np.testing.assert_array_equal(risk.probability(other), risk.probability(queries))
    assert np.ptp(_risk(features, ran).probability(queries)) > 0.1


@pytest.mark.parametrize(("ran", "risk"), [(True, 0.0), (False, 1.0)])
def test_a_single_class_is_taken_at_its_word(ran: bool, risk: float) -> None:
    model = _risk(np.random.default_rng(0).random((5, 2)), np.full(5, ran))

    assert model.probability(np.random.default_rng(1).random((3, 2))).tolist() == [risk] * 3


def _laplace(features: np.ndarray, ran: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Give P(crash) by Laplace's approximation (Rasmussen and Williams, section 3.4)."""
    n = len(features)
    together = _covariance(np.concatenate([features, queries]))
    covariance, cross = together[:n, :n], together[n:, :n]
    target = np.where(ran, 1.0, 0.0)
    latent = np.zeros(n)
    for _ in range(100):
        weight = expit(latent) * expit(-latent)
        pull = weight * latent + target - expit(latent)
        latent = covariance @ np.linalg.solve(np.eye(n) + weight[:, None] * covariance, pull)
    weight = expit(latent) * expit(-latent)
    mean = cross @ (target - expit(latent))
    inner = np.linalg.inv(covariance + np.diag(1.0 / weight))
    variance = np.diag(together)[n:] - np.einsum("qi,ij,qj->q", cross, inner, cross)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    crash = expit(-(mean[:, None] + np.sqrt(variance)[:, None] * nodes))
    return np.asarray(crash @ weights / weights.sum())


def test_the_risk_is_laplaces_approximation_by_hand() -> None:
    rng = np.random.default_rng(4)
    features, queries = rng.random((14, 2)), rng.random((40, 2))
    ran = features @ np.array([0.8, 1.0]) < 1.0
    assert 3 < ran.sum() < 11
    found = _risk(features, ran).probability(queries)

    # The classifier replaces the integral over the latent value by a sum of error functions.
    np.testing.assert_allclose(found, _laplace(features, ran, queries), atol=0.005)
    assert np.ptp(found) > 0.5


def test_what_is_not_ignored_is_seen_all_the_same() -> None:
    features = np.random.default_rng(0).random((12, 2))
    ran = features[:, 0] < 0.6
    risk = _risk(features, ran, (False, True)).probability(np.array([[0.1, 0.5], [0.9, 0.5]]))

    assert risk[0] < 0.3 < 0.6 < risk[1]
    nothing = _risk(features, ran, (True, True)).probability(features)
    np.testing.assert_allclose(nothing, 1.0 - ran.mean())
