"""Draws of the kernel's hyper-parameters from their posterior.

After ten observations of nine parameters many length scales explain the data about equally well.
Their mode takes one of them for the truth: a parameter that has not mattered yet then counts as
irrelevant, and the search never looks there again. The average over a few draws keeps the doubt.

The prior of their logarithms (of the main effects' share: of its logit) is Gaussian, which
elliptical slice sampling (Murray, Adams and MacKay, AISTATS 2010) explores without any step size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit

from optuna_scoot.surrogate.kernel import Hyperparameters
from optuna_scoot.surrogate.kernel import KernelChoice
from optuna_scoot.surrogate.kernel import matern_of_squared
from optuna_scoot.surrogate.kernel import squared_distance


LogLikelihood = Callable[[np.ndarray], float]
"""Log hyper-parameters to the log-likelihood of the observations.

Length scales (f), signal variance, noise variance; last the logit of the main effects' share.
"""

_LEAST_NOISE = 1e-6
_NARROWEST = 1e-8  # of the slice, where numbers too small to matter keep the point where it is


def draw_hyperparameters(
    x: np.ndarray,
    y: np.ndarray,
    is_level: np.ndarray,
    choice: KernelChoice,
    seed: int,
) -> list[Hyperparameters]:
    """Draw hyper-parameters from their posterior, for each of m outputs on its own.

    The Markov chains start from the prior's medians.

    Args:
        x: Features, shape (n, f).
        y: Standardised outputs, shape (n, m).
        is_level: Which features are levels of a categorical, Booleans of shape (f,).
        choice: The priors, the number of draws, the steps before the first and between them.
        seed: Of the chains.
    """
    priors = choice.priors
    medians = priors.lengthscale_medians(is_level)
    f = len(medians)
    others = [priors.outputscale, priors.noise, priors.main_share]
    mean = np.array([*np.log(medians), *(prior[0] for prior in others)])
    deviation = np.array([priors.lengthscale_spread] * f + [prior[1] for prior in others])
    rng = np.random.default_rng(seed)
    chains = []
    for j in range(y.shape[1]):
        log_likelihood = marginal_log_likelihood(x, y[:, j], is_level)
        (start,) = slice_sample(log_likelihood, mean, deviation, mean, 1, choice.n_burn_in, rng)
        chains.append(
            slice_sample(
                log_likelihood, mean, deviation, start, choice.n_draws, choice.n_steps, rng
            )
        )
    draws = np.stack(chains, axis=1)
    return [
        Hyperparameters(
            lengthscales=np.exp(draw[:, :f]),
            outputscale=np.exp(draw[:, f]),
            noise=np.exp(draw[:, f + 1]) + _LEAST_NOISE,
            warp_a=np.ones((y.shape[1], f)),
            warp_b=np.ones((y.shape[1], f)),
            main_share=expit(draw[:, f + 2]),
        )
        for draw in draws
    ]


def slice_sample(
    log_likelihood: LogLikelihood,
    mean: np.ndarray,
    deviation: np.ndarray,
    start: np.ndarray,
    n_draws: int,
    n_steps: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw from a Gaussian prior times a likelihood, by elliptical slice sampling.

    Args:
        log_likelihood: Of a point.
        mean: Of the prior, shape (p,).
        deviation: Of the prior, whose components are independent, shape (p,).
        start: First point of the chain, shape (p,).
        n_draws: How many points are returned.
        n_steps: Steps from one to the next.
        rng: Source of the steps.

    Returns:
        Points of the chain, shape (n_draws, p).
    """
    point, height = start, log_likelihood(start)
    draws = []
    for _ in range(n_draws):
        for _ in range(n_steps):
            point, height = _step(log_likelihood, mean, deviation, point, height, rng)
        draws.append(point)
    return np.stack(draws)


def _step(
    log_likelihood: LogLikelihood,
    mean: np.ndarray,
    deviation: np.ndarray,
    point: np.ndarray,
    height: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, float]:
    """Move along an ellipse through the point and one of the prior, shrinking until it fits."""
    other = rng.normal(size=len(mean)) * deviation
    level = height + math.log(1.0 - rng.random())
    angle = rng.uniform(0.0, 2.0 * math.pi)
    low, high = angle - 2.0 * math.pi, angle
    while high - low > _NARROWEST:
        proposal = mean + (point - mean) * math.cos(angle) + other * math.sin(angle)
        reached = log_likelihood(proposal)
        if reached > level:
            return proposal, reached
        if angle < 0.0:
            low = angle
        else:
            high = angle
        angle = rng.uniform(low, high)
    return point, height


def marginal_log_likelihood(
    inputs: np.ndarray, y: np.ndarray, is_level: np.ndarray
) -> LogLikelihood:
    """Return the marginal log-likelihood of one output, up to a constant.

    Args:
        inputs: Features as the kernel sees them before they are scaled, shape (n, f).
        y: The output, shape (n,).
        is_level: Which features are levels of a categorical, Booleans of shape (f,).
    """
    n, f = inputs.shape
    rows, columns = np.triu_indices(n, k=1)
    by_feature = np.stack(
        [
            squared_distance(column[rows], column[columns], bool(is_one))
            for column, is_one in zip(inputs.T, is_level, strict=True)
        ]
    )
    lower_triangle, diagonal = columns * n + rows, slice(None, None, n + 1)
    alone_of = [_correlations_of(squared) for squared in by_feature]

    def log_likelihood(logarithms: np.ndarray) -> float:
        weights = np.exp(-2.0 * logarithms[:f])
        correlation = matern_of_squared(weights @ by_feature)
        share = float(expit(logarithms[f + 2]))
        alone = sum(of(w) for of, w in zip(alone_of, weights, strict=True)) / f
        correlation = (1.0 - share) * correlation + share * alone
        covariance = np.zeros(n * n)
        covariance[lower_triangle] = math.exp(logarithms[f]) * correlation
        covariance[diagonal] = math.exp(logarithms[f]) + math.exp(logarithms[f + 1]) + _LEAST_NOISE
        try:
            # Only the lower triangle is read.
            lower = np.linalg.cholesky(covariance.reshape(n, n))
        except np.linalg.LinAlgError:
            return -math.inf
        half = solve_triangular(lower, y, lower=True, check_finite=False)
        return float(-0.5 * half @ half - np.log(np.diag(lower)).sum())

    return log_likelihood


def _correlations_of(squared: np.ndarray) -> Callable[[float], np.ndarray]:
    """Return the function of a weight to the correlations at weighted squared distances (p,).

    Most features take few levels, and pairs of them fewer distances: each is looked at once.
    """
    levels, index = np.unique(squared, return_inverse=True)
    if 4 * len(levels) > len(squared):
        return lambda weight: matern_of_squared(weight * squared)
    return lambda weight: matern_of_squared(weight * levels).take(index)
