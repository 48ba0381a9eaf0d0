"""What a point is worth: the acquisition under POF ≥ Δ (paper, sections IV-E and IV-G).

Functions of snapped points, built from a model, that are searched.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optuna_scoot.acquisition import improvement
from optuna_scoot.model import Model
from optuna_scoot.pareto import non_dominated_boxes
from optuna_scoot.pareto import reference_point
from optuna_scoot.search.climb import Score
from optuna_scoot.surrogate.outputs import OutputTransform


_LEAST_POF = 1e-3  # below which one is as bad as another
_LEAST_ROOM = 0.01  # above Δ: odds have no end
_NEXT_TO = 0.01  # of every parameter's range: what runs there will soon tell what is there


def score_function(model: Model, caution: float) -> Score:
    """Return the function that says what a point is worth.

    The logarithm of the expected gain, times the probability of the measured constraints, times a
    power of POF that grows with Δ; -inf where POF < Δ (paper, eq. 3) and next to running trials.

    Args:
        model: What was learnt.
        caution: See :class:`~optuna_scoot.Method`.

    Returns:
        A function of snapped points (q, d) to scores (q,), larger is better.
    """
    log_expected = log_expected_gain(model)
    weight = caution * model.threshold / max(1.0 - model.threshold, _LEAST_ROOM)

    def score(x: np.ndarray) -> np.ndarray:
        mean, std = model.predict(x)
        pof = model.pof(x)
        log_gain = log_expected(mean, std) + model.log_constraint_probability(mean, std)
        log_gain = log_gain + weight * np.log(np.maximum(pof, _LEAST_POF))
        allowed = (pof >= model.threshold) & ~_is_next_to(x, model.observations.pending)
        return np.where(allowed, log_gain, -np.inf)

    return score


def _is_next_to(x: np.ndarray, pending: np.ndarray) -> np.ndarray:
    """Return which points (q, d) hardly differ from a pending one (p, d): shape (q,)."""
    far = np.abs(x[:, np.newaxis, :] - pending[np.newaxis, :, :]).max(axis=2, initial=0.0)
    return np.asarray(np.any(far < _NEXT_TO, axis=1))


def log_expected_gain(model: Model) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return log-EI of one objective or log-EHVI of several, from predictions (q, m + c) to (q,).

    Zero where no observation satisfies the measured constraints.

    Args:
        model: What was learnt.
    """
    values, o = model.reached, model.observations
    if len(values) == 0:
        # Nothing satisfies the measured constraints yet: find out where they hold.
        return lambda mean, std: np.zeros(len(mean))
    if model.n_objectives == 1:
        transform, best = model.transforms[0], float(values.min())

        def log_ei(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
            return log_improvement(transform, mean[:, 0], std[:, 0], best)

        return log_ei

    reference = reference_point(o.values, o.reference_point)
    lower, upper = non_dominated_boxes(values, reference)

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
