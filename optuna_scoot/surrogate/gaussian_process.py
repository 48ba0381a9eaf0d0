"""Surrogate: one independent Gaussian process an output (paper, section IV-C, eq. 4 to 6).

BoTorch and GPyTorch find the hyper-parameters. They are held in NumPy arrays, where the exact
prediction at thousands of points is two matrix products a draw.

Notation
    n: number of observations; f: number of features; m: number of outputs; q: points predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace

import numpy as np
from scipy.linalg import cho_solve
from scipy.linalg import solve_triangular

from optuna_scoot.surrogate.kernel import Hyperparameters
from optuna_scoot.surrogate.kernel import KernelChoice
from optuna_scoot.surrogate.kernel import prior_medians


# The hyper-parameters are found from so many observations at the most: every step costs n³.
_MOST_FITTED = 160

# Above, the posterior is narrow and its curvature dear: the mode alone is taken.
_MOST_DRAWN = 64

# One output alone is searched as well by the mode; where several have to be good at once, the
# overconfidence of each adds to that of the others.
_LEAST_OUTPUTS = 2


@dataclass(frozen=True)
class Surrogate:
    """m Gaussian processes on n observations, averaged over hyper-parameters.

    Attributes:
        x: Features, shape (n, f).
        y: Standardised outputs, shape (n, m).
        is_level: Which features are levels of a categorical, Booleans of shape (f,).
        draws: The hyper-parameters that are averaged, one or more.
    """

    x: np.ndarray
    y: np.ndarray
    is_level: np.ndarray
    draws: tuple[Hyperparameters, ...]
    # Of each draw and output: the Cholesky factor, and the weights of the observations.
    _factors: list[list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        m = self.y.shape[1]
        self._factors.extend([self._factorise(h, j) for j in range(m)] for h in self.draws)

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict the noise-free outputs (paper, eq. 5 and 6).

        Args:
            x: Features, shape (q, f).

        Returns:
            Mean and standard deviation of the mixture of all draws, each of shape (q, m).
        """
        means = np.empty((len(self.draws), len(x), self.y.shape[1]))
        variances = np.empty_like(means)
        for i, hyperparameters in enumerate(self.draws):
            for j, (lower, weights) in enumerate(self._factors[i]):
                cross = hyperparameters.covariance(x, self.x, self.is_level, j)
                means[i, :, j] = cross @ weights
                half = solve_triangular(lower, cross.T, lower=True, check_finite=False)
                explained = np.einsum("nq,nq->q", half, half)
                variances[i, :, j] = hyperparameters.outputscale[j] - explained
        variance = np.maximum(variances, 1e-12).mean(axis=0) + means.var(axis=0)
        return means.mean(axis=0), np.sqrt(variance)

    def believing(self, pending: np.ndarray, believed: np.ndarray) -> Surrogate:
        """Add pending points as if values there had been observed (Kriging believer).

        Deviations shrink around the pending points.

        Args:
            pending: Features, shape (p, f).
            believed: Standardised outputs, shape (p, m).
        """
        if len(pending) == 0:
            return self
        return replace(
            self,
            x=np.concatenate([self.x, pending]),
            y=np.concatenate([self.y, believed]),
            _factors=[],
        )

    def _factorise(
        self, hyperparameters: Hyperparameters, j: int
    ) -> tuple[np.ndarray, np.ndarray]:
        covariance = hyperparameters.covariance(self.x, self.x, self.is_level, j)
        covariance[np.diag_indices_from(covariance)] += hyperparameters.noise[j]
        lower = _cholesky(covariance)
        return lower, cho_solve((lower, True), self.y[:, j])


def _cholesky(covariance: np.ndarray) -> np.ndarray:
    scale = float(np.mean(np.diag(covariance)))
    for jitter in (0.0, 1e-8, 1e-6, 1e-4):
        try:
            return np.linalg.cholesky(covariance + jitter * scale * np.eye(len(covariance)))
        except np.linalg.LinAlgError:
            continue
    raise np.linalg.LinAlgError("The covariance matrix is not positive definite.")


def fit_surrogate(
    x: np.ndarray, y: np.ndarray, is_level: np.ndarray, choice: KernelChoice, seed: int = 0
) -> Surrogate:
    """Fit m Gaussian processes to n observations.

    Args:
        x: Features in [0, 1], shape (n, f), n ≥ 1.
        y: Standardised outputs, shape (n, m).
        is_level: Which features are levels of a categorical, Booleans (f,); they are not warped.
        choice: The kernel.
        seed: Of the draws of the hyper-parameters.

    Returns:
        The surrogate. With fewer than two distinct outputs, or where the fit fails, it holds the
        hyper-parameters of the priors' medians instead of fitted ones.
    """
    draws: tuple[Hyperparameters, ...] = ()
    if len(x) > 1 and np.any(np.ptp(y, axis=0) > 0.0):
        from optuna_scoot.surrogate.fitting import find_hyperparameters  # torch is slow to load

        kept = _fitted(len(x))
        if len(x) > _MOST_DRAWN or y.shape[1] < _LEAST_OUTPUTS:
            choice = replace(choice, n_draws=0)
        draws = find_hyperparameters(x[kept], y[kept], is_level, choice, seed)
    medians = choice.priors.lengthscale_medians(is_level)
    return Surrogate(x, y, is_level, draws or (prior_medians(y.shape[1], medians),))


def _fitted(n: int) -> np.ndarray:
    """Return which of n observations the hyper-parameters are found from: of many, every k-th."""
    if n <= _MOST_FITTED:
        return np.arange(n)
    return np.linspace(0.0, n - 1.0, _MOST_FITTED).round().astype(int)
