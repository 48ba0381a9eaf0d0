"""What a point is worth: the acquisition under POF ≥ Δ (paper, sections IV-E and IV-G).

Functions of snapped points, built from a model, that are searched.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optuna_scoot.acquisition import improvement
from optuna_scoot.method import Method
from optuna_scoot.model import Model
from optuna_scoot.pareto import hypervolume
from optuna_scoot.pareto import non_dominated_boxes
from optuna_scoot.pareto import reference_point
from optuna_scoot.search.climb import Score
from optuna_scoot.surrogate.outputs import OutputTransform


_MOST_LOG_GAIN = 50.0  # beyond which a gain counts as this much: e^x has an end
_NEXT_TO = 0.01  # of every parameter's range: what runs there will soon tell what is there


def score_function(model: Model, method: Method) -> Score:
    """Return the function that says what a point is worth.

    The expected gain times POF^w, less what a crash costs; where crashes cost nothing, the
    logarithm of that. -inf where POF < Δ (paper, eq. 3) and next to running trials.

    Args:
        model: What was learnt.
        method: The choices.

    Returns:
        A function of snapped points (q, d) to scores (q,), larger is better.
    """
    log_acquisition = _log_acquisition(model, method)
    net_gain = _net_gain(model, method)
    space, crashes = model.domain.space, model.crashes

    def score(x: np.ndarray) -> np.ndarray:
        features = space.features(x)
        mean, std = model.surrogate.predict(features)
        log_gain = log_acquisition(mean, std) + model.log_constraint_probability(mean, std)
        pof = crashes.pof(features)
        log_gain = log_gain + method.pof_weight * np.log(np.maximum(pof, 1e-3))
        allowed = (crashes.margin(pof) >= 0.0) & ~_is_next_to(x, model.observations.pending)
        return np.where(allowed, net_gain(log_gain, features), -np.inf)

    return score


def _net_gain(model: Model, method: Method) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the gain less the crash's cost, from log gains (q,) and features (q, d) to (q,).

    While much can be gained, a crash is worth its risk; towards the end, where the next hundredth
    is at stake, it is not. The risk that half of the configurations that ran had costs nothing:
    the search would sit on the safest of them otherwise. Where crashes cost nothing, or nothing
    is gained yet, log gains stay as they are.
    """
    risk, scale = model.crashes.risk, _gained(model)
    if risk is None or scale <= 0.0:
        return lambda log_gain, _: log_gain
    o = model.observations
    one_hot = model.crashes.one_hot
    ran = model.domain.space.features(np.concatenate([o.x, o.pruned]))
    usual = float(np.median(risk.probability(one_hot(ran))))

    def net_gain(log_gain: np.ndarray, features: np.ndarray) -> np.ndarray:
        unusual = np.maximum(risk.probability(one_hot(features)) - usual, 0.0)
        relative = np.exp(np.minimum(log_gain - np.log(scale), _MOST_LOG_GAIN))
        return np.asarray(relative - method.crash_cost * unusual)

    return net_gain


def _gained(model: Model) -> float:
    """Return what has been gained: the hypervolume, or the incumbent's lead over the median."""
    o, reached = model.observations, model.reached
    if len(reached) == 0:
        return 0.0
    if model.n_objectives > 1:
        return hypervolume(reached, reference_point(o.values, o.reference_point))
    return float(np.median(o.values)) - float(reached.min())


def _is_next_to(x: np.ndarray, pending: np.ndarray) -> np.ndarray:
    """Return which points (q, d) hardly differ from a pending one (p, d): shape (q,)."""
    far = np.abs(x[:, np.newaxis, :] - pending[np.newaxis, :, :]).max(axis=2, initial=0.0)
    return np.asarray(np.any(far < _NEXT_TO, axis=1))


def _log_acquisition(
    model: Model, method: Method
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the log-improvement of the objectives, from predictions (q, m + c) to (q,)."""
    values, o = model.reached, model.observations
    if len(values) == 0:
        # Nothing satisfies the measured constraints yet: find out where they hold.
        return lambda mean, std: np.zeros(len(mean))
    if model.n_objectives == 1:
        transform, best = model.transforms[0], float(values.min())
        best -= method.least_gain * (float(np.median(o.values)) - best)

        def log_ei(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
            return log_improvement(transform, mean[:, 0], std[:, 0], best)

        return log_ei

    reference = reference_point(o.values, o.reference_point)
    gained = np.maximum(reference - values.min(axis=0), 0.0)
    lower, upper = non_dominated_boxes(values - method.least_gain * gained, reference)

    def log_ehvi(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        def of_objective(j: int, levels: np.ndarray) -> np.ndarray:
            return log_improvement(
                model.transforms[j], mean[:, j, np.newaxis], std[:, j, np.newaxis], levels
            )

        return improvement.log_expected_hypervolume_improvement(of_objective, lower, upper)

    return log_ehvi


def log_improvement(
    transform: OutputTransform, mean: np.ndarray, std: np.ndarray, levels: float | np.ndarray
) -> np.ndarray:
    """Return log E[max(K - Y, 0)] in the units in which Y is measured.

    Args:
        transform: Of Y.
        mean: Predicted means of the standardised value, broadcastable with ``levels``.
        std: Predicted deviations, > 0.
        levels: K in measured units.
    """
    location, scale = mean * transform.scale + transform.location, std * transform.scale
    if transform.shift is None:
        return improvement.log_expected_improvement(location, scale, levels, xi=0.0)
    # No value can lie below -s; a level there leaves nothing to improve.
    positive = np.maximum(np.asarray(levels) + transform.shift, 1e-300)
    return improvement.log_expected_improvement_lognormal(location, scale, positive)
