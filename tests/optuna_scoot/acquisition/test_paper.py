"""MACE's functions and EHVI against their formulas: SciPy's normal distribution, sampling."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import qmc

from optuna_scoot import Method
from optuna_scoot.acquisition.paper import log_ehvi
from optuna_scoot.acquisition.paper import mace_functions
from tests.optuna_scoot.observed import learnt
from tests.optuna_scoot.observed import observed
from tests.optuna_scoot.studies import QUICK


PAPER = replace(Method.paper(), kernel=QUICK.kernel)

X = np.random.default_rng(3).random((9, 2))
VALUES = 40.0 + 10.0 * np.sum((X - 0.3) ** 2, axis=1)
CRASHED = np.array([[0.9, 0.85], [0.95, 0.6], [0.8, 0.95]])
QUERIES = np.random.default_rng(5).random((300, 2))


def _expected_improvement(mean: np.ndarray, std: np.ndarray, level: float) -> np.ndarray:
    u = (level - mean) / std
    return np.asarray((level - mean) * norm.cdf(u) + std * norm.pdf(u))


def _constraints(shift: float) -> np.ndarray:
    """Give two measured constraints, the first of which is shifted."""
    return np.stack([0.2 - X[:, 0] + shift, 20.0 * (X[:, 1] - 0.7)], axis=1)


def _log_probability(mean: np.ndarray, std: np.ndarray, constraints: np.ndarray) -> np.ndarray:
    """Give the log-probability that all constraints are ≤ 0, of standardised predictions."""
    level = -constraints.mean(axis=0) / constraints.std(axis=0)
    n = constraints.shape[1]
    return np.asarray(norm.logcdf((level - mean[:, -n:]) / std[:, -n:]).sum(axis=1))


# MACE


def _kappa(t: int, d: int) -> float:
    """Give κ of the tuning iteration t (IV-E1), ν = 0.5 and δ = 0.01."""
    tau = 2.0 * math.log(t ** (d / 2.0 + 2.0) * math.pi**2 / (3.0 * 0.01))
    return math.sqrt(0.5 * tau)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_mace_is_ucb_pi_and_ei_of_the_standardised_objective(n: int) -> None:
    values = VALUES[:n]
    model = learnt(observed(X[:n], values, crashed=CRASHED), PAPER)
    mean, std = (a[:, 0] for a in model.surrogate.predict(QUERIES))
    best = (values.min() - values.mean()) / values.std() - 1e-4
    found = mace_functions(model)(QUERIES)

    # κ grows with the observations: 2.9, 3.3 and 3.6.
    np.testing.assert_allclose(found[:, 0], _kappa(n, 2) * std - mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found[:, 1], norm.logcdf((best - mean) / std), rtol=1e-8)
    np.testing.assert_allclose(
        np.exp(found[:, 2]), _expected_improvement(mean, std, best), rtol=1e-6, atol=1e-12
    )


@pytest.mark.parametrize("shift", [0.0, 1.0], ids=["some satisfied", "none satisfied"])
def test_maces_functions_are_weighed_by_measured_constraints(shift: float) -> None:
    constraints = _constraints(shift)
    model = learnt(observed(X, VALUES, constraints=constraints), PAPER)
    mean, std = model.surrogate.predict(QUERIES)
    log_probability = _log_probability(mean, std, constraints)
    satisfied = np.all(constraints <= 0.0, axis=1)
    reached = VALUES[satisfied] if satisfied.any() else VALUES
    best = (reached.min() - VALUES.mean()) / VALUES.std() - 1e-4
    mu, sigma = mean[:, 0], std[:, 0]
    expected = [
        _kappa(9, 2) * sigma - mu,
        norm.logcdf((best - mu) / sigma),
        np.log(_expected_improvement(mu, sigma, best)),
    ]

    near = (best - mu) / sigma > -5.0  # further out the plain formula loses its digits
    np.testing.assert_allclose(
        mace_functions(model)(QUERIES)[near],
        (np.stack(expected, axis=1) + log_probability[:, None])[near],
        rtol=1e-6,
    )


# EHVI


FRONT = [(1.0, 30.0), (2.0, 20.0), (3.0, 10.0)]
REFERENCE = (4.0, 35.0)
TWO = np.array([*FRONT, (3.5, 28.0), (2.5, 33.0)])


def _sampled_ehvi(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Average over samples what a value adds to the area that ``FRONT`` dominates."""
    normal = norm.ppf(qmc.Sobol(2, rng=np.random.default_rng(0)).random_base2(12))
    first = mean[:, :1] + std[:, :1] * normal[:, 0]
    second = mean[:, 1:] + std[:, 1:] * normal[:, 1]
    gain = np.zeros_like(first)
    # Column by column between the front's values, each as high as the front leaves it.
    left = -np.inf
    for right, top in zip([1.0, 2.0, 3.0, 4.0], [35.0, 30.0, 20.0, 10.0], strict=True):
        width = np.maximum(right - np.maximum(first, left), 0.0)
        gain += width * np.maximum(top - second, 0.0)
        left = right
    return np.asarray(gain.mean(axis=1))


def _predicted(model_mean: np.ndarray, model_std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale, location = TWO.std(axis=0), TWO.mean(axis=0)
    return location + scale * model_mean[:, :2], scale * model_std[:, :2]


def test_ehvi_is_the_area_that_a_point_is_expected_to_add() -> None:
    crashed = learnt(
        observed(X[:5], TWO, crashed=CRASHED, reference_point=REFERENCE, pending=[[0.5, 0.5]]),
        PAPER,
    )
    mean, std = _predicted(*crashed.surrogate.predict(QUERIES))
    found = np.exp(log_ehvi(crashed)(QUERIES))

    # Neither crashes nor running points weigh it.
    assert crashed.pof(QUERIES).min() < 0.5
    np.testing.assert_allclose(found, _sampled_ehvi(mean, std), rtol=0.02, atol=0.02)
    assert found.max() > 5.0


def test_ehvi_is_weighed_by_measured_constraints() -> None:
    constraints = np.array([[-1.0], [-2.0], [-1.5], [-0.5], [3.0]])
    model = learnt(observed(X[:5], TWO, constraints=constraints, reference_point=REFERENCE), PAPER)
    prediction = model.surrogate.predict(QUERIES)
    expected = _sampled_ehvi(*_predicted(*prediction)) * np.exp(
        _log_probability(*prediction, constraints)
    )

    np.testing.assert_allclose(np.exp(log_ehvi(model)(QUERIES)), expected, rtol=0.02, atol=0.02)


def test_while_nothing_satisfies_the_constraints_ehvi_is_their_probability() -> None:
    constraints = np.array([[1.0], [2.0], [1.5], [0.5], [3.0]])
    model = learnt(observed(X[:5], TWO, constraints=constraints, reference_point=REFERENCE), PAPER)

    np.testing.assert_allclose(
        log_ehvi(model)(QUERIES),
        _log_probability(*model.surrogate.predict(QUERIES), constraints),
        rtol=1e-9,
    )
