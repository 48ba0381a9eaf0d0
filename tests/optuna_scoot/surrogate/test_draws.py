"""Elliptical slice sampling against posteriors known in closed form and by quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.special import logit
from scipy.stats import multivariate_normal

from optuna_scoot.surrogate.draws import draw_hyperparameters
from optuna_scoot.surrogate.draws import marginal_log_likelihood
from optuna_scoot.surrogate.draws import slice_sample
from optuna_scoot.surrogate.kernel import KernelChoice
from optuna_scoot.surrogate.kernel import Priors
from optuna_scoot.surrogate.kernel import matern_of_squared


NUMBERS = np.array([False, False])
IS_LEVEL = np.array([False, True])


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


@pytest.mark.parametrize("share", [0.001, 0.3])
def test_the_likelihood_is_scipys_multivariate_normal(share: float) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.random((9, 3)), rng.normal(size=9)
    x[:, 1] = np.round(x[:, 1])  # two values, which are looked at once
    x[:, 2] = np.arange(9) % 3  # levels, any two of which lie 1 apart
    lengthscales, signal, noise = np.array([0.3, 0.8, 2.0]), 1.7, 0.05
    gaps = x[:, None, :] - x[None, :, :]
    gaps[:, :, 2] = gaps[:, :, 2] != 0.0
    squared = (gaps / lengthscales) ** 2
    covariance = matern_of_squared(squared.sum(axis=2))
    alone = matern_of_squared(squared).mean(axis=2)
    covariance = (1.0 - share) * covariance + share * alone
    covariance = signal * covariance + (noise + 1e-6) * np.eye(9)
    expected = multivariate_normal(np.zeros(9), covariance).logpdf(y)

    logarithms = np.append(np.log([*lengthscales, signal, noise]), logit(share))
    found = marginal_log_likelihood(x, y, np.array([False, False, True]))(logarithms)
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
    # Of a single feature the main effect is all there is, whatever its share.
    choice = KernelChoice(n_draws=1500, n_steps=3)
    draws = draw_hyperparameters(x, y, NUMBERS[:1], choice, 0)
    found = np.log([draw.lengthscales[0, 0] for draw in draws])

    signal, noise = choice.priors.outputscale, choice.priors.noise
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
                covariance = np.exp(b) * matern_of_squared((x - x.T) ** 2 / np.exp(2.0 * a))
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


def test_without_a_step_the_chain_stays_at_the_priors_medians() -> None:
    x = np.random.default_rng(0).random((5, 2))
    x[:, 1] = np.arange(5) % 2
    y = x - x.mean(axis=0)
    priors = Priors(main_share=(0.4, 1.0))
    choice = KernelChoice(n_draws=3, n_steps=0, n_burn_in=0, priors=priors)
    drawn = draw_hyperparameters(x, y, IS_LEVEL, choice, 0)

    assert len(drawn) == 3
    for draw in drawn:
        np.testing.assert_allclose(draw.lengthscales, [[0.7, 2.0]] * 2)
        np.testing.assert_allclose(draw.outputscale, np.exp([0.4, 0.4]))
        np.testing.assert_allclose(draw.noise, np.exp([-5.0, -5.0]) + 1e-6)
        np.testing.assert_allclose(draw.main_share, expit([0.4, 0.4]))
        np.testing.assert_array_equal(draw.warped(x, 1), x)


def test_the_steps_before_the_first_draw_and_between_draws_are_followed() -> None:
    x = np.random.default_rng(0).random((6, 2))
    y = np.sin(4.0 * x[:, :1])

    def chain(n_draws: int, n_steps: int, n_burn_in: int) -> list[float]:
        choice = KernelChoice(n_draws=n_draws, n_steps=n_steps, n_burn_in=n_burn_in)
        draws = draw_hyperparameters(x, y, NUMBERS, choice, 0)
        return [float(draw.outputscale[0]) for draw in draws]

    # The same chain, seen at some of its steps.
    every = chain(9, 1, 0)
    assert len(set(every)) == 9
    assert chain(3, 2, 3) == every[4::2]
    assert chain(1, 5, 4) == every[8:]


def test_all_draws_follow_the_posterior_by_importance_sampling() -> None:
    # A number and a level: the first and the last have the same.
    x = np.array([[0.1, 3.0], [0.4, 1.0], [0.8, 3.0]])
    y = np.array([[1.4, -0.2], [-0.9, 1.3], [-0.5, -1.1]])
    medians = np.array([0.7, 2.0])
    priors = Priors(lengthscale_spread=0.6, main_share=(-0.5, 1.0))
    choice = KernelChoice(n_draws=1500, n_steps=3, priors=priors)
    draws = draw_hyperparameters(x, y, IS_LEVEL, choice, 0)

    rng = np.random.default_rng(5)
    mean = np.array([*np.log(medians), 0.4, -5.0, -0.5])
    deviation = np.array([0.6, 0.6, 0.8, 1.5, 1.0])
    sample = mean + deviation * rng.normal(size=(40_000, 5))
    gaps = x[:, None, :] - x[None, :, :]
    squared = np.stack([gaps[:, :, 0] ** 2, gaps[:, :, 1] != 0.0], axis=2)
    for j in range(2):
        r = np.sqrt(3.0 * squared[None] * np.exp(-2.0 * sample[:, None, None, :2]))
        together = np.linalg.norm(r, axis=3)
        share = expit(sample[:, 4])[:, None, None]
        correlation = (1.0 - share) * (1.0 + together) * np.exp(-together)
        correlation += share * ((1.0 + r) * np.exp(-r)).mean(axis=3)
        covariance = np.exp(sample[:, 2])[:, None, None] * correlation
        covariance += (np.exp(sample[:, 3])[:, None, None] + 1e-6) * np.eye(3)
        fit = np.einsum("i,nij,j->n", y[:, j], np.linalg.inv(covariance), y[:, j])
        log_weights = -0.5 * (fit + np.linalg.slogdet(covariance)[1])
        weights = np.exp(log_weights - log_weights.max())
        weights /= weights.sum()
        expected = weights @ sample
        spread = np.sqrt(weights @ (sample - expected) ** 2)
        # The likelihood moves the signal's variance by more than the tolerance.
        assert np.max(np.abs(expected - mean) / deviation) > 0.3

        found = np.array(
            [
                [
                    *np.log([*draw.lengthscales[j], draw.outputscale[j], draw.noise[j] - 1e-6]),
                    logit(draw.main_share[j]),
                ]
                for draw in draws
            ]
        )
        assert np.all(np.abs(found.mean(axis=0) - expected) < 0.15 * deviation)
        np.testing.assert_allclose(found.std(axis=0), spread, rtol=0.15)
