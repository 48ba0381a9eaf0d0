"""Elliptical slice sampling against posteriors known in closed form and by quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import multivariate_normal

from optuna_scoot.kernel import KernelChoice
from optuna_scoot.kernel import matern
from optuna_scoot.kernel import prior_medians
from optuna_scoot.kernel_draws import draw_hyperparameters
from optuna_scoot.kernel_draws import marginal_log_likelihood
from optuna_scoot.kernel_draws import slice_sample


def test_a_gaussian_likelihood_gives_the_conjugate_posterior() -> None:
    mean, deviation = np.array([1.0, -2.0]), np.array([0.5, 2.0])
    measured, error = np.array([2.0, 0.0]), np.array([0.5, 1.0])
    points = slice_sample(
        lambda point: float(-0.5 * np.sum(((point - measured) / error) ** 2)),
        mean,
        deviation,
        np.array([5.0, 5.0]),
        4000,
        2,
        np.random.default_rng(0),
    )

    precision = deviation**-2.0 + error**-2.0
    expected = (mean * deviation**-2.0 + measured * error**-2.0) / precision
    np.testing.assert_allclose(points.mean(axis=0), expected, atol=0.06)
    np.testing.assert_allclose(points.std(axis=0), precision**-0.5, rtol=0.06)


@pytest.mark.parametrize("share", [None, 0.3])
def test_the_likelihood_is_scipys_multivariate_normal(share: float | None) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.random((9, 3)), rng.normal(size=9)
    lengthscales, signal, noise = np.array([0.3, 0.8, 2.0]), 1.7, 0.05
    covariance = matern(x / lengthscales, x / lengthscales, 1.5)
    if share is not None:
        alone = [matern(x[:, [k]] / s, x[:, [k]] / s, 1.5) for k, s in enumerate(lengthscales)]
        covariance = (1.0 - share) * covariance + share * np.mean(alone, axis=0)
    covariance = signal * covariance + (noise + 1e-6) * np.eye(9)
    expected = multivariate_normal(np.zeros(9), covariance).logpdf(y)

    logarithms = np.log([*lengthscales, signal, noise])
    if share is not None:
        logarithms = np.append(logarithms, logit(share))
    found = marginal_log_likelihood(x, y, 1.5)(logarithms)
    np.testing.assert_allclose(found - 4.5 * np.log(2.0 * np.pi), expected, rtol=1e-9)


def test_impossible_everywhere_stays_where_it_is() -> None:
    start = np.array([0.3])
    points = slice_sample(
        lambda _: -np.inf, np.zeros(1), np.ones(1), start, 3, 2, np.random.default_rng(0)
    )

    np.testing.assert_array_equal(points, [start] * 3)


def test_draws_of_the_length_scale_follow_its_posterior_by_quadrature() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((8, 1))
    y = np.sin(5.0 * x)
    y = (y - y.mean()) / y.std()
    choice = KernelChoice(n_draws=1500, n_steps=3, main_effects=False)
    medians = np.array([0.7])
    draws = draw_hyperparameters(x, y, prior_medians(1, medians), medians, choice, 0)
    found = np.log([draw.lengthscales[0, 0] for draw in draws])

    signal, noise = choice.outputscale_prior, choice.noise_prior
    # The posterior of (log length scale, log signal, log noise) on a grid, by the prior's density
    # and the Gaussian likelihood with a plain inverse.
    axes = [
        np.log(0.7) + 0.8 * np.linspace(-3.5, 3.5, 29),
        signal[0] + signal[1] * np.linspace(-3.5, 3.5, 15),
        noise[0] + noise[1] * np.linspace(-3.5, 3.5, 15),
    ]
    log_weights = np.empty([len(axis) for axis in axes])
    for i, a in enumerate(axes[0]):
        for j, b in enumerate(axes[1]):
            for k, c in enumerate(axes[2]):
                covariance = np.exp(b) * matern(x / np.exp(a), x / np.exp(a), 1.5)
                covariance += (np.exp(c) + 1e-6) * np.eye(len(x))
                fit = y[:, 0] @ np.linalg.solve(covariance, y[:, 0])
                prior = ((a - np.log(0.7)) / 0.8) ** 2
                prior += ((b - signal[0]) / signal[1]) ** 2
                prior += ((c - noise[0]) / noise[1]) ** 2
                determinant = np.linalg.slogdet(covariance)[1]
                log_weights[i, j, k] = -0.5 * (fit + determinant + prior)
    weights = np.exp(log_weights - log_weights.max()).sum(axis=(1, 2))
    weights /= weights.sum()
    expected = weights @ axes[0]
    spread = np.sqrt(weights @ (axes[0] - expected) ** 2)

    np.testing.assert_allclose(found.mean(), expected, atol=0.1)
    np.testing.assert_allclose(found.std(), spread, rtol=0.15)
