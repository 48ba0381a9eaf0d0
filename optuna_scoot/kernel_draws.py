"""Draws of the kernel's hyper-parameters from their posterior.

After ten observations of nine parameters many length scales explain the data about equally well.
Their mode takes one of them for the truth: a parameter that has not mattered yet is then held for
irrelevant, and the search never looks there again. The average over a few draws keeps the doubt.

The prior of their logarithms is Gaussian, which elliptical slice sampling (Murray, Adams and
MacKay, AISTATS 2010) explores without any step size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.linalg import solve_triangular

from optuna_scoot.kernel import NOISE_PRIOR
from optuna_scoot.kernel import OUTPUTSCALE_PRIOR
from optuna_scoot.kernel import Hyperparameters
from optuna_scoot.kernel import KernelChoice
from optuna_scoot.kernel import matern_of_squared


LogLikelihood = Callable[[np.ndarray], float]
"""Log hyper-parameters, shape (f + 2,), to the log-likelihood of the observations."""

_LEAST_NOISE = 1e-6
_NARROWEST = 1e-8  # of the slice, where numbers too small to matter keep the point where it is


def draw_hyperparameters(
    x: np.ndarray,
    y: np.ndarray,
    mode: Hyperparameters,
    medians: np.ndarray,
    choice: KernelChoice,
    seed: int,
) -> list[Hyperparameters]:
    """Draw hyper-parameters from their posterior, for each of m outputs on its own.

    Args:
        x: Features, shape (n, f).
        y: Standardised outputs, shape (n, m).
        mode: Where the Markov chains start; its warping is kept.
        medians: Of the length scales' prior, shape (f,).
        choice: The kernel, the number of draws and of steps between them.
        seed: Of the chains.
    """
    mean = np.concatenate([np.log(medians), [OUTPUTSCALE_PRIOR[0], NOISE_PRIOR[0]]])
    deviation = np.concatenate(
        [np.full(len(medians), choice.lengthscale_spread), [OUTPUTSCALE_PRIOR[1], NOISE_PRIOR[1]]]
    )
    rng = np.random.default_rng(seed)
    chains = []
    for j in range(y.shape[1]):
        log_likelihood = _log_likelihood(mode.warped(x, j), y[:, j], choice.nu)
        start = np.log([*mode.lengthscales[j], mode.outputscale[j], mode.noise[j]])
        chains.append(
            slice_sample(
                log_likelihood, mean, deviation, start, choice.n_draws, choice.n_steps, rng
            )
        )
    draws = np.exp(np.stack(chains, axis=1))
    return [
        Hyperparameters(
            lengthscales=draw[:, :-2],
            outputscale=draw[:, -2],
            noise=draw[:, -1] + _LEAST_NOISE,
            warp_a=mode.warp_a,
            warp_b=mode.warp_b,
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


def _log_likelihood(inputs: np.ndarray, y: np.ndarray, nu: float) -> LogLikelihood:
    """Build the marginal log-likelihood of one output (n,), up to a constant."""
    n = len(inputs)
    squared = (inputs[:, np.newaxis, :] - inputs[np.newaxis, :, :]) ** 2
    by_feature = squared.reshape(n * n, -1).T.copy()
    diagonal = np.diag_indices(n)

    def log_likelihood(logarithms: np.ndarray) -> float:
        weights = np.exp(-2.0 * logarithms[:-2])
        covariance = matern_of_squared(weights @ by_feature, nu).reshape(n, n)
        covariance *= math.exp(logarithms[-2])
        covariance[diagonal] += math.exp(logarithms[-1]) + _LEAST_NOISE
        try:
            lower = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            return -math.inf
        half = solve_triangular(lower, y, lower=True, check_finite=False)
        return float(-0.5 * half @ half - np.log(np.diag(lower)).sum())

    return log_likelihood
