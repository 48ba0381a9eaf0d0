"""Kernel of the Gaussian processes: Matérn 3/2, ARD, on warped inputs (paper, IV-C, eq. 4).

To the paper's kernel, in which all parameters act together, an additive one is added (Duvenaud
et al., NeurIPS 2011, first order): the effects of single parameters are learnt from a few points,
and what they explain everywhere is not left uncertain in the cube's many corners.

Notation
    n, q: numbers of points; f: number of features; m: number of outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from dataclasses import field

import numpy as np


LEAST_NOISE = 1e-6  # variance of standardised outputs

_WARP_MARGIN = 1e-7  # BoTorch's: the warping function has no derivative at 0 and 1


@dataclass(frozen=True)
class Priors:
    """What is believed of the hyper-parameters before anything is observed.

    The logarithms of all are Gaussian, of the main effects' share the logit. Pairs are mean and
    standard deviation.

    Attributes:
        lengthscale_median: Of a number's length scale, in units of the cube.
        level_lengthscale_median: The same of a categorical's: another level leaves more of what
            was learnt valid than a number at the other end of its range.
        lengthscale_spread: Standard deviation of the length scales' logarithms.
        outputscale: Of the signal's variance.
        noise: Of the noise's variance.
        main_share: Of the additive kernel's share in the signal's variance.
    """

    lengthscale_median: float = 0.7
    level_lengthscale_median: float = 2.0
    lengthscale_spread: float = 0.8
    outputscale: tuple[float, float] = (0.4, 0.8)
    noise: tuple[float, float] = (-5.0, 1.5)
    main_share: tuple[float, float] = (0.0, 1.5)

    def lengthscale_medians(self, is_level: np.ndarray) -> np.ndarray:
        """Return the median of each feature's length scale, shape (f,).

        Args:
            is_level: Which features are levels of a categorical, Booleans of shape (f,).
        """
        return np.where(is_level, self.level_lengthscale_median, self.lengthscale_median)


@dataclass(frozen=True)
class KernelChoice:
    """What the kernel is made of, and how its hyper-parameters are taken.

    Attributes:
        main_effects: Whether effects of single parameters have a share of their own.
        warped: Whether inputs are warped (the paper).
        n_draws: How many draws of the hyper-parameters around their posterior mode are averaged
            where several outputs are modelled; 0 takes the mode alone (the paper), as a single
            output and warped inputs do.
        priors: Of the hyper-parameters.
    """

    main_effects: bool = True
    warped: bool = False
    n_draws: int = 8
    priors: Priors = field(default_factory=Priors)

    @classmethod
    def paper(cls) -> KernelChoice:
        """Return the paper's: one kernel on warped inputs, fitted (section IV-C)."""
        return cls(main_effects=False, warped=True, n_draws=0)


@dataclass(frozen=True)
class Hyperparameters:
    """Hyper-parameters of m kernels on f features.

    Attributes:
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
        """Return features (n, f) as output j's kernel sees them before they are scaled."""
        return kumaraswamy(x, self.warp_a[j], self.warp_b[j])

    def covariance(
        self, x1: np.ndarray, x2: np.ndarray, is_level: np.ndarray, j: int
    ) -> np.ndarray:
        """Return output j's noise-free covariance of points (q, f) and (n, f): shape (q, n).

        Args:
            x1: Points.
            x2: Others.
            is_level: Which features are levels, any two of which lie 1 apart; Booleans of (f,).
            j: The output's number.
        """
        share = float(self.main_share[j])
        squared, alone = np.zeros((2, len(x1), len(x2)))
        columns = zip(self.warped(x1, j).T, self.warped(x2, j).T, is_level, strict=True)
        for scale, (first, second, is_one) in zip(self.lengthscales[j], columns, strict=True):
            gaps = first[:, np.newaxis] - second
            own = (gaps != 0.0) / scale**2 if is_one else (gaps / scale) ** 2
            squared += own
            if share > 0.0:
                alone += matern(own)
        together = matern(squared)
        return np.asarray(
            self.outputscale[j] * ((1.0 - share) * together + share / len(is_level) * alone)
        )


def prior_medians(n_outputs: int, medians: np.ndarray) -> Hyperparameters:
    """Return the hyper-parameters that hold before anything is observed.

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
    """Return 1 - (1 - x^a)^b, the warping of inputs in [0, 1]; a = b = 1 leaves x as it is."""
    if np.all(a == 1.0) and np.all(b == 1.0):
        return x
    inner = np.clip(x, 0.0, 1.0) * (1.0 - 2.0 * _WARP_MARGIN) + _WARP_MARGIN
    return np.where((a == 1.0) & (b == 1.0), x, 1.0 - (1.0 - inner**a) ** b)


def matern(squared: np.ndarray) -> np.ndarray:
    """Return the Matérn 3/2 correlation at squared scaled distances ≥ 0, any shape (eq. 4)."""
    r = math.sqrt(3.0) * np.sqrt(squared)
    return np.asarray((1.0 + r) * np.exp(-r))
