"""What a point is worth: the acquisition under POF ≥ Δ (paper, sections IV-E and IV-G).

Functions of snapped points, built from a model, that the solvers search.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optuna_scoot.acquisition import improvement as acquisition
from optuna_scoot.method import Method
from optuna_scoot.model import Model
from optuna_scoot.model import reference_point
from optuna_scoot.search.climb import Score


_MOST_LOG_GAIN = 50.0  # beyond which a gain counts as this much: e^x has an end
_BESIDE = 0.01  # of every parameter's range: what runs there will soon tell what is there


def score_function(model: Model, method: Method) -> Score:
    """Build the expected gain times POF^w, less what a crash costs.

    Where crashes cost nothing it is the logarithm of that. -inf where POF < Δ (paper, eq. 3) and
    beside running trials.

    Args:
        model: What was learnt.
        method: The choices.

    Returns:
        A function of snapped points (q, d) to scores (q,), larger is better.
    """
    log_acquisition = _log_acquisition(model, method)
    net_gain = _net_gain(model, method)
    space = model.domain.space

    def score(x: np.ndarray) -> np.ndarray:
        features = space.features(x)
        mean, std = model.surrogate.predict(features)
        log_gain = log_acquisition(mean, std) + model.log_constraint_probability(mean, std)
        pof = model.forest.probability(features)
        log_gain = log_gain + method.pof_weight * np.log(np.maximum(pof, 1e-3))
        allowed = (pof >= model.threshold) & ~_beside(x, model.observations.pending)
        return np.where(allowed, net_gain(log_gain, features), -np.inf)

    return score


def _net_gain(model: Model, method: Method) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Build the gain less the crash's cost, from log gains (q,) and features (q, f) to (q,).

    While much can be gained, a crash is worth its risk; towards the end, where the next hundredth
    is at stake, it is not. The risk that half of the configurations that ran had costs nothing:
    the search would sit on the safest of them otherwise. Where crashes cost nothing, or nothing
    is gained yet, log gains stay as they are.
    """
    risk, scale = model.risk, _gained(model)
    if risk is None or scale <= 0.0:
        return lambda log_gain, _: log_gain
    o = model.observations
    ran = model.domain.space.features(np.concatenate([o.x, o.pruned]))
    usual = float(np.median(risk.probability(ran)))

    def net_gain(log_gain: np.ndarray, features: np.ndarray) -> np.ndarray:
        unusual = np.maximum(risk.probability(features) - usual, 0.0)
        relative = np.exp(np.minimum(log_gain - np.log(scale), _MOST_LOG_GAIN))
        return np.asarray(relative - method.crash_cost * unusual)

    return net_gain


def _gained(model: Model) -> float:
    """Give what has been gained: the hypervolume, or the incumbent's lead over the median."""
    o, reached = model.observations, model.reached
    if len(reached) == 0:
        return 0.0
    if o.values.shape[1] > 1:
        return acquisition.hypervolume(reached, reference_point(o))
    return float(np.median(o.values)) - float(reached.min())


def _beside(x: np.ndarray, pending: np.ndarray) -> np.ndarray:
    """Tell which points (q, d) differ from a pending one (p, d) by next to nothing: shape (q,)."""
    far = np.abs(x[:, np.newaxis, :] - pending[np.newaxis, :, :]).max(axis=2, initial=0.0)
    return np.asarray(np.any(far < _BESIDE, axis=1))


def _log_acquisition(
    model: Model, method: Method
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Choose the log-improvement of the objectives, from predictions (q, m + c) to (q,)."""
    values = model.reached
    m = model.observations.values.shape[1]
    if len(values) == 0:
        # Nothing satisfies the measured constraints yet: find out where they hold.
        return lambda mean, std: np.zeros(len(mean))
    if m == 1:
        transform, best = model.transforms[0], float(values.min())
        best -= method.least_gain * (float(np.median(model.observations.values)) - best)

        def log_ei(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
            return transform.log_improvement(mean[:, 0], std[:, 0], best)

        return log_ei

    reference = reference_point(model.observations)
    gained = np.maximum(reference - values.min(axis=0), 0.0)
    lower, upper = acquisition.non_dominated_boxes(values - method.least_gain * gained, reference)

    def log_ehvi(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        def log_improvement(j: int, levels: np.ndarray) -> np.ndarray:
            return model.transforms[j].log_improvement(
                mean[:, j, np.newaxis], std[:, j, np.newaxis], levels
            )

        return acquisition.log_expected_hypervolume_improvement(log_improvement, lower, upper)

    return log_ehvi


def mace_functions(model: Model) -> Callable[[np.ndarray], np.ndarray]:
    """Build UCB, PI and EI of the standardised objective (paper, eq. 7 to 9).

    Args:
        model: What was learnt, of one objective.

    Returns:
        A function of snapped points (q, d) to the three (PI and EI as logarithms), shape (q, 3);
        larger is better.
    """
    o = model.observations
    values = o.values[model.satisfied] if model.satisfied.any() else o.values
    best = float(model.transforms[0].forward(values).min())
    kappa_t = acquisition.kappa(len(o.x), model.domain.space.n_dimensions)
    space = model.domain.space

    def functions(points: np.ndarray) -> np.ndarray:
        mean, std = model.surrogate.predict(space.features(points))
        penalty = model.log_constraint_probability(mean, std)
        mu, sigma = mean[:, 0], std[:, 0]
        return np.stack(
            [
                acquisition.upper_confidence_bound(mu, sigma, kappa_t) + penalty,
                acquisition.log_probability_of_improvement(mu, sigma, best) + penalty,
                acquisition.log_expected_improvement(mu, sigma, best) + penalty,
            ],
            axis=1,
        )

    return functions
