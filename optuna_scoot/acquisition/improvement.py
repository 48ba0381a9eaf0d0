"""Acquisition functions, for minimisation: how promising is a point, given what is predicted?

Notation
    mean, std: the surrogate's prediction at q points, shape (q,), or (q, m) for m objectives.
    best: the lowest value observed so far.
    K: a level below which a value is an improvement; EI(K) = E[max(K - Y, 0)].

Every function is larger where a point is more promising. Improvements are given as logarithms:
far from the incumbent the values themselves underflow, and a search would see a plateau.

References:
    MACE: Zhang et al., An efficient batch-constrained Bayesian optimization approach ... via
        multiobjective acquisition ensemble, TCAD 2021 (paper, section IV-E1).
    GP-UCB: Srinivas et al., ICML 2010. Log-EI: Ament et al., NeurIPS 2023.
    EHVI over a box decomposition: Daulton et al., NeurIPS 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import erfcx
from scipy.special import log_ndtr


XI = 1e-4  # ξ of EI and PI (paper, section IV-E1)

LogImprovement = Callable[[int, np.ndarray], np.ndarray]
"""For objective j and levels K (k,): log E[max(K - Y_j, 0)] at each of q points, shape (q, k)."""


def kappa(n_observations: int, n_dimensions: int, nu: float = 0.5, delta: float = 0.01) -> float:
    """Return κ of UCB in the tuning iteration t (paper, section IV-E1).

    κ_t = sqrt(ν τ_t) with τ_t = 2 log(t^(d/2 + 2) π² / (3 δ)), as GP-UCB is commonly written after
    theorem 2 of Srinivas et al. The code of the paper's authors has 3 π² instead of π², as HEBO's
    has: κ² is larger there by 2 ν log 3 = 1.1, κ by 3 % with nine parameters after ten trials.

    Args:
        n_observations: t, the completed trials, ≥ 1; in that code divided by the parallelism.
        n_dimensions: d.
        nu: ν; 0.5 in the code of the paper's authors.
        delta: δ; 0.01 there.
    """
    t = max(n_observations, 1)
    tau = 2.0 * ((n_dimensions / 2.0 + 2.0) * math.log(t) + math.log(math.pi**2 / (3.0 * delta)))
    return math.sqrt(nu * tau)


def upper_confidence_bound(mean: np.ndarray, std: np.ndarray, kappa_t: float) -> np.ndarray:
    """Return κ std - mean (paper, section IV-D1, eq. 7, for minimisation)."""
    return np.asarray(kappa_t * std - mean)


def log_probability_of_improvement(
    mean: np.ndarray, std: np.ndarray, best: float, xi: float = XI
) -> np.ndarray:
    """Return log P(Y < best - ξ) (paper, section IV-D1, eq. 8)."""
    return np.asarray(log_ndtr((best - xi - mean) / std))


def log_expected_improvement(
    mean: np.ndarray, std: np.ndarray, best: float | np.ndarray, xi: float = XI
) -> np.ndarray:
    """Return log E[max(best - ξ - Y, 0)] (paper, section IV-D1, eq. 9), at any distance."""
    return np.asarray(np.log(std) + _log_h((best - xi - mean) / std))


def log_expected_improvement_lognormal(
    mean: np.ndarray, std: np.ndarray, level: float | np.ndarray
) -> np.ndarray:
    """Return log E[max(K - e^Z, 0)] for Z ~ N(mean, std²) and K > 0: the put-option formula.

    E[max(K - e^Z, 0)] = K Φ(a) - exp(mean + std²/2) Φ(a - std) with a = (log K - mean) / std.
    In terms of the scaled complementary error function the ratio r of the second term to the
    first is erfcx((std - a)/√2) / erfcx(-a/√2), which neither over- nor underflows for a ≤ 0.
    """
    log_level = np.log(level)
    a = (log_level - mean) / std
    log_first = log_level + log_ndtr(a)
    low = np.minimum(a, 0.0)
    ratio = erfcx((std - low) / math.sqrt(2.0)) / erfcx(-low / math.sqrt(2.0))
    log_ratio_high = mean + std**2 / 2.0 - log_level + log_ndtr(a - std) - log_ndtr(a)
    ratio = np.where(a > 0.0, np.exp(np.minimum(log_ratio_high, 0.0)), ratio)
    with np.errstate(divide="ignore"):
        return np.asarray(log_first + np.log1p(-np.minimum(ratio, 1.0 - 1e-15)))


def _log_h(u: np.ndarray) -> np.ndarray:
    """Return log(φ(u) + u Φ(u)) without cancellation (Ament et al., 2023, eq. 9)."""
    u = np.asarray(u, dtype=float)
    out = np.empty_like(u)
    near = u > -1.0
    un = u[near]
    density = np.exp(-0.5 * un**2) / math.sqrt(2.0 * math.pi)
    out[near] = np.log(density + un * np.exp(log_ndtr(un)))
    uf = u[~near]
    # φ(u) (1 + u Φ(u)/φ(u)), where Φ/φ is the scaled complementary error function.
    mills = math.sqrt(math.pi / 2.0) * erfcx(-uf / math.sqrt(2.0))
    # Beyond u = -1e3, 1 + u·mills cancels to nothing; its series is 1/u² - 3/u⁴ + ….
    series = 1.0 / uf**2
    bracket = np.where(uf < -1e3, series, 1.0 + uf * mills)
    out[~near] = -0.5 * uf**2 - 0.5 * math.log(2.0 * math.pi) + np.log(np.maximum(bracket, 1e-300))
    return out


def log_expected_hypervolume_improvement(
    log_improvement: LogImprovement, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Return log EHVI at q points (paper, eq. 10), for independent objectives, any number of them.

    The region that dominates the reference point and that no observation dominates is cut into
    disjoint boxes. The improvement is the sum over the boxes of the part that a point dominates:
    EHVI = Σ_boxes Π_j (EI_j(upper_j) - EI_j(lower_j)), each factor an expectation of its own.

    Args:
        log_improvement: Gives log E[max(K - Y_j, 0)] for an objective j and levels K.
        lower: The boxes' lower corners, shape (b, m); -inf where a box has no end.
        upper: The boxes' upper corners, shape (b, m).

    Returns:
        The logarithm of EHVI, shape (q,).
    """
    total: np.ndarray | float = 0.0
    for j in range(lower.shape[1]):
        levels, index = np.unique(np.concatenate([lower[:, j], upper[:, j]]), return_inverse=True)
        finite = np.isfinite(levels)
        log_ei = log_improvement(j, levels[finite])
        padded = np.full((len(log_ei), len(levels)), -np.inf)
        padded[:, finite] = log_ei
        low, high = np.split(padded[:, index.reshape(-1)], 2, axis=1)
        total = total + _log_difference(high, low)
    assert isinstance(total, np.ndarray)
    peak = np.max(total, axis=1, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(peak[:, 0] + np.log(np.sum(np.exp(total - peak), axis=1)))


def _log_difference(larger: np.ndarray, smaller: np.ndarray) -> np.ndarray:
    """Return log(e^larger - e^smaller), -inf where they are equal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(np.isneginf(smaller), -np.inf, smaller - larger)
        return np.where(
            np.isneginf(larger), -np.inf, larger + np.log1p(-np.exp(np.minimum(gap, 0.0)))
        )
