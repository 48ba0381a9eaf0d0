"""The risk of a crash: a second opinion to the random forest's.

The forest takes a region for safe once its cuts leave it to configurations that ran, however far
away they are: of the suggestions that it gave 0.9 and more, one in eight crashed.
Gaussian process classification doubts what is far from everything that ran, and tells apart better
what runs and what crashes around the best configurations (docs/sampler.md has the figures).
"""

from __future__ import annotations

import numpy as np


_SIGNAL = 4.0  # standard deviation of the latent function's part that bends
_SLOPE = 6.0  # and of the slope of its straight part: memory runs out beyond a slanting plane
_OFFSET = 0.3  # the straight part's level at the cube's centre, over its slope


class CrashRisk:
    """Gaussian process classification of what ran and what crashed.

    Its kernel is not fitted: twenty trials, of which four crashed, say next to nothing about
    length scales, and their most likely values rank worse than the priors' medians do.

    Args:
        features: Features of the configurations in [0, 1], shape (n, f).
        ran: Whether each ran, Booleans of shape (n,), n ≥ 1.
        lengthscales: Of the features, shape (f,).
        ignored: Features that it does not see, Booleans of shape (f,).
    """

    def __init__(
        self,
        features: np.ndarray,
        ran: np.ndarray,
        *,
        lengthscales: np.ndarray,
        ignored: np.ndarray,
    ) -> None:
        self._shown = ~ignored
        self._classifier = None
        # A single class teaches nothing that its share does not say already.
        self._constant = 1.0 - float(np.mean(ran))
        if 0.0 < self._constant < 1.0 and self._shown.any():
            # Slow to import.
            from sklearn.gaussian_process import GaussianProcessClassifier
            from sklearn.gaussian_process.kernels import ConstantKernel
            from sklearn.gaussian_process.kernels import DotProduct
            from sklearn.gaussian_process.kernels import Matern

            bent = ConstantKernel(_SIGNAL**2) * Matern(lengthscales[self._shown], nu=1.5)
            straight = ConstantKernel(_SLOPE**2) * DotProduct(_OFFSET)
            self._classifier = GaussianProcessClassifier(bent + straight, optimizer=None)
            self._classifier.fit(self._rows(features), ran)

    def probability(self, features: np.ndarray) -> np.ndarray:
        """Return the probability that n configurations crash.

        Args:
            features: Of shape (n, f).

        Returns:
            Probabilities of shape (n,), each in [0, 1].
        """
        if self._classifier is None or len(features) == 0:
            return np.full(len(features), self._constant)
        return np.asarray(self._classifier.predict_proba(self._rows(features))[:, 0])

    def _rows(self, features: np.ndarray) -> np.ndarray:
        # The straight part pivots on the cube's centre.
        return np.asarray(features[:, self._shown] - 0.5)
