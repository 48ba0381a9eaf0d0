"""One suggestion: observations in, a point out (paper, figure 3, steps 3 to 7, and algorithm 1).

Models learn from the observations, the acquisition function judges points by them, and a search
finds the point that it considers most promising among those that satisfy the known constraints and
POF ≥ Δ. Arrays only; Optuna stays outside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

import numpy as np

from optuna_scoot.acquisition.score import score_function
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.feasibility.threshold import FeasibilityThreshold
from optuna_scoot.method import Method
from optuna_scoot.model import Model
from optuna_scoot.model import learn
from optuna_scoot.observations import Observations
from optuna_scoot.paper_suggestion import suggest_as_in_paper
from optuna_scoot.pareto import is_non_dominated
from optuna_scoot.search.climb import maximise
from optuna_scoot.space.points import row_keys
from optuna_scoot.space.points import without
from optuna_scoot.startup import startup_point


_LOOKED_AT = 256  # Sobol points among which a new one is chosen


@dataclass(frozen=True)
class Suggestion:
    """A point and why it was suggested.

    Attributes:
        point: Snapped, shape (d,).
        phase: ``"startup"``, ``"model"`` or ``"fill"`` (Sobol points that make up a shortfall).
        mean: Predicted median of each objective, minimised, shape (m,); None without a model.
        std: Half the width of the central 68 % of the prediction, shape (m,); None likewise.
        pof: Probability of feasibility; None without a model.
        threshold: Δ; None without a model.
    """

    point: np.ndarray
    phase: str
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    pof: float | None = None
    threshold: float | None = None

    def explanation(self, signs: np.ndarray) -> dict[str, Any]:
        """Return why the point was suggested, in plain Python values by name.

        Args:
            signs: -1 of an objective that is maximised, 1 of others, shape (m,).
        """
        facts: dict[str, Any] = {"phase": self.phase}
        if self.mean is not None and self.std is not None:
            facts["predicted_mean"] = (signs * self.mean).tolist()
            facts["predicted_std"] = self.std.tolist()
            facts["pof"] = self.pof
            facts["threshold"] = self.threshold
        return facts


def suggest(
    observations: Observations,
    domain: Domain,
    method: Method,
    threshold: FeasibilityThreshold,
    *,
    model_seed: int,
    draw_seed: int,
    design_seed: int,
) -> Suggestion:
    """Suggest the next point by the model.

    Args:
        observations: With at least one completed trial.
        domain: Space and known constraints.
        method: The choices.
        threshold: The numbers that move Δ.
        model_seed: Of all that several suggestions on the same observations share.
        draw_seed: Of this suggestion alone.
        design_seed: Of the start-up design.

    Raises:
        ConstraintError: When no point satisfies the known constraints.
    """
    # Without the running trials, so that what is searched is the same for all of a batch.
    domain = replace(domain, seen=observations.finished_points)
    model = learn(observations, domain, method, threshold, model_seed)
    taken = _taken(observations)
    everything = domain.all_points()
    if everything is not None and len(without(everything, taken)) == 0:
        point = _measured_again(model, everything, draw_seed)
    elif method.nsga2 is not None:
        point = suggest_as_in_paper(
            model,
            method.nsga2,
            _starts(model),
            taken,
            model_seed=model_seed,
            draw_seed=draw_seed,
        )
    else:
        rng = np.random.default_rng(draw_seed)
        point = maximise(score_function(model, method.caution), domain, _starts(model), taken, rng)
    if point is not None:
        return _describe(model, point, "model")
    return _describe(model, fill_up(observations, domain, design_seed), "fill")


def _measured_again(model: Model, everything: np.ndarray, seed: int) -> np.ndarray | None:
    """Return a point that ran, each as often as it is likely to be the best (Thompson sampling).

    Where all has been tried, what is left to learn is which of the best is the best: values may be
    noisy.

    Args:
        model: What was learnt.
        everything: All valid points, shape (n, d).
        seed: Of the draw.

    Returns:
        The point, shape (d,); None where no valid point ran.
    """
    o = model.observations
    ran = set(row_keys(o.x))
    points = everything[[key in ran for key in row_keys(everything)]]
    if len(points) == 0:
        return None
    mean, std = model.predict(points)
    likely = model.log_constraint_probability(mean, std) >= math.log(0.5)
    if likely.any():
        points, mean, std = points[likely], mean[likely], std[likely]
    rng = np.random.default_rng(seed)
    drawn = rng.normal(mean, std)[:, : o.values.shape[1]]
    return np.asarray(points[rng.choice(np.flatnonzero(is_non_dominated(drawn)))])


def _describe(model: Model, point: np.ndarray, phase: str) -> Suggestion:
    """Return a point with why it was suggested."""
    m = model.observations.values.shape[1]
    row = point[np.newaxis, :]
    mean, std = model.predict(row)
    quantiles = np.array(
        [
            [t.backward(mean[0, j] + k * std[0, j]) for k in (-1.0, 0.0, 1.0)]
            for j, t in enumerate(model.transforms[:m])
        ]
    )
    return Suggestion(
        point=point,
        phase=phase,
        mean=quantiles[:, 1],
        std=(quantiles[:, 2] - quantiles[:, 0]) / 2.0,
        pof=float(model.pof(row)[0]),
        threshold=model.threshold,
    )


def suggest_startup(
    observations: Observations, domain: Domain, method: Method, *, index: int, design_seed: int
) -> Suggestion:
    """Return a point of the start-up design (paper, figure 3, step 2).

    Args:
        observations: May be empty; its points are not suggested again.
        domain: Space and known constraints.
        method: The choices.
        index: Number of the point in the design.
        design_seed: Shared by all workers.

    Raises:
        ConstraintError: When no point satisfies the known constraints.
    """
    domain = replace(domain, seen=observations.all_points)
    point = startup_point(domain, index, design_seed, observations, method.startup)
    if row_keys(point[np.newaxis, :])[0] in _taken(observations):
        point = fill_up(observations, domain, design_seed)
    return Suggestion(point, "startup")


def fill_up(observations: Observations, domain: Domain, design_seed: int) -> np.ndarray:
    """Return a Sobol point for what the solver could not give (paper, section IV-G, last lines).

    The start-up's sequence goes on: its first point that satisfies the known constraints and is
    not taken. When all are taken, one that did not crash is repeated.
    """
    tried = observations.all_points
    points = domain.sobol(2 * len(tried) + _LOOKED_AT, design_seed)
    everything = domain.all_points()
    if everything is not None:
        # Of a small space the last ones may be far off in the sequence.
        points = np.concatenate([points, everything])
    new = without(points, _taken(observations))
    if len(new):
        return np.asarray(new[0])
    ran = without(points, set(row_keys(observations.crashed)))
    repeated = ran if len(ran) else points
    return np.asarray(repeated[len(tried) % len(repeated)])


def _taken(observations: Observations) -> set[bytes]:
    """Return the keys of all points that were evaluated, crashed or run now."""
    return set(row_keys(observations.all_points))


def _starts(model: Model) -> np.ndarray:
    """Return the points whose neighbourhood is searched: the incumbents."""
    o = model.observations
    x, values = o.x[o.satisfied], o.values[o.satisfied]
    if len(x) == 0:
        x, values = o.x, np.maximum(o.constraints, 0.0).sum(axis=1, keepdims=True)
    if values.shape[1] == 1:
        return np.asarray(x[np.argsort(values[:, 0], kind="stable")[:3]])
    return np.asarray(x[is_non_dominated(values)][:16])
