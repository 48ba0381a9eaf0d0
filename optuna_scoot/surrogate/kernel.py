"""Kernel of the Gaussian processes: Matérn, ARD, on warped inputs (paper, section IV-C, eq. 4).

Beside the paper's kernel, in which all parameters act together, stands an additive one (Duvenaud
et al., NeurIPS 2011, first order): the effects of single parameters are learnt from a few points,
and what they explain everywhere is not left uncertain in the cube's many corners.

Notation
    n, q: numbers of points; f: number of features; m: number of outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


_WARP_MARGIN = 1e-7  # BoTorch's: the warping function has no derivative at 0 and 1


@dataclass(frozen=True)
class KernelChoice:
    """How the Gaussian processes are built.

    Args:
        nu: Smoothness of the Matérn kernel, 1.5 (the paper's) or 2.5.
        warp: Whether inputs with more than two levels are warped.
        lengthscale_median: Of the log-normal prior of a number's length scale, in units of the
            cube.
        level_lengthscale_median: The same of a categorical's: another level leaves more of what
            was learnt valid than a number at the other end of its range.
        lengthscale_spread: Standard deviation of that prior's logarithm.
        outputscale_prior: Mean and standard deviation, a priori, of the logarithm of the signal's
            variance.
        noise_prior: The same of the noise's variance.
        main_effects: Whether the additive kernel stands beside the other; needs draws.
        main_share_prior: Mean and standard deviation, a priori, of the logit of the additive
            kernel's share in the signal's variance.
        n_draws: How many draws of the hyper-parameters from their posterior are averaged; 0 takes
            the posterior's mode alone (the paper).
        n_steps: Steps of the Markov chain from one draw to the next.
        n_burn_in: Steps before the first draw, with main effects: the mode leaves them out.
        max_iterations: Of the L-BFGS-B search for the mode.
        tolerance: Relative gain of one iteration below which that search ends.
    """

    nu: float = 1.5
    warp: bool = False
    lengthscale_median: float = 0.7
    level_lengthscale_median: float = 2.0
    lengthscale_spread: float = 0.8
    outputscale_prior: tuple[float, float] = (0.4, 0.8)
    noise_prior: tuple[float, float] = (-5.0, 1.5)
    main_effects: bool = True
    main_share_prior: tuple[float, float] = (0.0, 1.5)
    n_draws: int = 8
    n_steps: int = 5
    n_burn_in: int = 15
    max_iterations: int = 50
    tolerance: float = 1e-4

    def lengthscale_medians(self, is_level: np.ndarray) -> np.ndarray:
        """Give the prior median of each feature's length scale, shape (f,).

        Args:
            is_level: Which features are levels of a categorical, Booleans (f,).
        """
        return np.where(is_level, self.level_lengthscale_median, self.lengthscale_median)


@dataclass(frozen=True)
class Hyperparameters:
    """Hyper-parameters of m kernels on f features.

    Args:
        lengthscales: Shape (m, f).
        outputscale: Signal variance, shape (m,).
        noise: Variance of the white noise, shape (m,).
        warp_a: First concentration of the warping, shape (m, f); 1 leaves a feature unwarped.
        warp_b: Second concentration, shape (m, f).
        main_share: Share of the main effects in the signal's variance, shape (m,), within [0, 1].
    """

    lengthscales: np.ndarray
    outputscale: np.ndarray
    noise: np.ndarray
    warp_a: np.ndarray
    warp_b: np.ndarray
    main_share: np.ndarray

    def warped(self, x: np.ndarray, j: int) -> np.ndarray:
        """Give features (n, f) as output j's kernel sees them before they are scaled."""
        return kumaraswamy(x, self.warp_a[j], self.warp_b[j])

    def covariance(self, x1: np.ndarray, x2: np.ndarray, j: int, nu: float) -> np.ndarray:
        """Give output j's noise-free covariance of points (q, f) and (n, f): shape (q, n)."""
        scaled1, scaled2 = (self.warped(x, j) / self.lengthscales[j] for x in (x1, x2))
        together = matern(scaled1, scaled2, nu)
        share = float(self.main_share[j])
        if share > 0.0:
            together = (1.0 - share) * together + share * main_effects(scaled1, scaled2, nu)
        return np.asarray(self.outputscale[j] * together)


def prior_medians(n_outputs: int, medians: np.ndarray) -> Hyperparameters:
    """Give the hyper-parameters that hold before anything is observed.

    Args:
        n_outputs: m.
        medians: Of the length scales, shape (f,).
    """
    ones = np.ones((n_outputs, len(medians)))
    return Hyperparameters(
        lengthscales=ones * medians,
        outputscale=np.ones(n_outputs),
        noise=np.full(n_outputs, 1e-3),
        warp_a=ones,
        warp_b=ones,
        main_share=np.zeros(n_outputs),
    )


def kumaraswamy(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Give 1 - (1 - x^a)^b, the warping of inputs in [0, 1]; a = b = 1 leaves x as it is."""
    if np.all(a == 1.0) and np.all(b == 1.0):
        return x
    inner = np.clip(x, 0.0, 1.0) * (1.0 - 2.0 * _WARP_MARGIN) + _WARP_MARGIN
    return np.asarray(1.0 - (1.0 - inner**a) ** b)


def matern(x1: np.ndarray, x2: np.ndarray, nu: float) -> np.ndarray:
    """Give the Matérn correlation of scaled points (q, f) and (n, f): shape (q, n)."""
    squared = (x1**2).sum(1)[:, None] + (x2**2).sum(1)[None, :] - 2.0 * (x1 @ x2.T)
    return matern_of_squared(np.maximum(squared, 0.0), nu)


def main_effects(x1: np.ndarray, x2: np.ndarray, nu: float) -> np.ndarray:
    """Give the mean over the features of their own Matérn correlations: shape (q, n)."""
    total = np.zeros((len(x1), len(x2)))
    for column1, column2 in zip(x1.T, x2.T, strict=True):
        # Most features take few levels: each is looked at once.
        levels, index = np.unique(column1, return_inverse=True)
        squared = (levels[:, np.newaxis] - column2[np.newaxis, :]) ** 2
        total += matern_of_squared(squared, nu)[index]
    return np.asarray(total / x1.shape[1])


def matern_of_squared(squared: np.ndarray, nu: float) -> np.ndarray:
    """Give the Matérn correlation at squared scaled distances ≥ 0, any shape."""
    r = math.sqrt(2.0 * nu) * np.sqrt(squared)
    polynomial = 1.0 + r if nu == 1.5 else 1.0 + r + r**2 / 3.0
    return np.asarray(polynomial * np.exp(-r))
