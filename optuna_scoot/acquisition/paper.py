"""The acquisition functions as the paper uses them: MACE's three, and EHVI (paper, section IV-E).

Functions of snapped points, built from a model, that NSGA-II searches. Nothing but the measured
constraints weighs them: the probability of feasibility bounds the search (eq. 3).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optuna_scoot.acquisition import improvement
from optuna_scoot.acquisition.score import log_expected_gain
from optuna_scoot.model import Model


def mace_functions(model: Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return UCB, PI and EI of the standardised objective (paper, eq. 7 to 9).

    Args:
        model: What was learnt, of one objective.

    Returns:
        A function of snapped points (q, d) to the three (PI and EI as logarithms), shape (q, 3);
        larger is better.
    """
    o = model.observations
    values = o.values[o.satisfied] if o.satisfied.any() else o.values
    best = float(model.transforms[0].forward(values).min())
    kappa_t = improvement.kappa(len(o.x), model.domain.space.n_dimensions)

    def functions(points: np.ndarray) -> np.ndarray:
        mean, std = model.predict(points)
        penalty = model.log_constraint_probability(mean, std)
        mu, sigma = mean[:, 0], std[:, 0]
        return np.stack(
            [
                improvement.upper_confidence_bound(mu, sigma, kappa_t) + penalty,
                improvement.log_probability_of_improvement(mu, sigma, best) + penalty,
                improvement.log_expected_improvement(mu, sigma, best) + penalty,
            ],
            axis=1,
        )

    return functions


def log_ehvi(model: Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return the expected hypervolume improvement (paper, eq. 10, section IV-E2).

    The reference point is what the default configuration reached.

    Args:
        model: What was learnt, of several objectives.

    Returns:
        A function of snapped points (q, d) to logarithms of EHVI, shape (q,); where no observation
        satisfies the measured constraints, of the probability that all of them hold.
    """
    log_gain = log_expected_gain(model)

    def log_weighted_gain(points: np.ndarray) -> np.ndarray:
        mean, std = model.predict(points)
        return np.asarray(log_gain(mean, std) + model.log_constraint_probability(mean, std))

    return log_weighted_gain
