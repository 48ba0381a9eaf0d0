"""What is learnt from the observations (paper, figure 3, steps 3 and 4).

The surrogate of objectives and measured constraints, and what runs and what crashes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from optuna_scoot.constraints.domain import Domain
from optuna_scoot.feasibility.forest import FeasibilityForest
from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.feasibility.threshold import FeasibilityThreshold
from optuna_scoot.method import Method
from optuna_scoot.observations import Observations
from optuna_scoot.pareto import worst_that_matters
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.surrogate.gaussian_process import Surrogate
from optuna_scoot.surrogate.gaussian_process import fit_surrogate
from optuna_scoot.surrogate.outputs import OutputTransform
from optuna_scoot.surrogate.outputs import fit_output_transform


_MOST_LEARNT = 400  # observations that a model learns from; a fit costs their number's cube


@dataclass(frozen=True)
class Model:
    """All that has been learnt from the observations.

    Attributes:
        domain: Space and known constraints.
        observations: What it was learnt from.
        surrogate: Of the m objectives and the c measured constraints, in that order.
        transforms: Of the same m + c outputs.
        forest: Of what runs and what crashes.
        threshold: Δ.
        believed: Objective values that pending points are believed to reach, minimised, shape
            (p, m), those alone that are believed to satisfy the measured constraints.
    """

    domain: Domain
    observations: Observations
    surrogate: Surrogate
    transforms: tuple[OutputTransform, ...]
    forest: FeasibilityForest
    threshold: float
    believed: np.ndarray

    @property
    def n_objectives(self) -> int:
        """Return the number m of objectives."""
        return int(self.observations.values.shape[1])

    @property
    def reached(self) -> np.ndarray:
        """Return the values that the next point has to beat, seen or believed, shape (k, m)."""
        o = self.observations
        return np.concatenate([o.values[o.satisfied], self.believed])

    def pof(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of feasibility of snapped points (q, d): shape (q,)."""
        return self.forest.probability(self.domain.space.features(x))

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation of the standardised outputs at points (q, d): (q, m + c)."""
        return self.surrogate.predict(self.domain.space.features(x))

    def log_constraint_probability(self, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """Return the log-probability that all measured constraints hold, shape (q,).

        Args:
            mean: Of the standardised outputs, shape (q, m + c).
            std: Their deviations, shape (q, m + c).
        """
        m = self.n_objectives
        total = np.zeros(len(mean))
        for j, transform in enumerate(self.transforms[m:], start=m):
            level = float(transform.forward(np.zeros(1))[0])
            total += log_ndtr((level - mean[:, j]) / std[:, j])
        return total


def learn(
    observations: Observations,
    domain: Domain,
    method: Method,
    threshold: FeasibilityThreshold,
    seed: int,
) -> Model:
    """Fit the surrogate and the models of what runs (paper, figure 3, steps 3 and 4).

    Args:
        observations: With at least one completed trial.
        domain: Space and known constraints.
        method: The choices.
        threshold: The numbers that move Δ.
        seed: Of the forest and of the hyper-parameters' draws.
    """
    space = domain.space
    x, outputs = _measured(observations)
    m = observations.values.shape[1]
    if method.log_outputs:
        # The paper models values as they were measured.
        outputs[:, :m] = np.minimum(outputs[:, :m], worst_that_matters(observations.values))
    transforms = tuple(
        fit_output_transform(outputs[:, j], logarithm=method.log_outputs and j < m)
        for j in range(outputs.shape[1])
    )
    y = np.stack([t.forward(outputs[:, j]) for j, t in enumerate(transforms)], axis=1)
    is_level = space.is_level
    surrogate = fit_surrogate(space.features(x), y, is_level, method.kernel, seed)
    believed = np.empty((0, m))
    if len(observations.pending) and method.nsga2 is None:
        # The paper draws all of a batch from one search; see ``paper_suggestion``.
        pending = space.features(observations.pending)
        mean, _ = surrogate.predict(pending)
        surrogate = surrogate.believing(pending, mean)
        reached = np.stack([t.backward(mean[:, j]) for j, t in enumerate(transforms)], axis=1)
        believed = reached[np.all(reached[:, m:] <= 0.0, axis=1), :m]
    forest = _grow(observations, space, method.forest, seed)
    delta = threshold.after(observations.outcomes)
    return Model(domain, observations, surrogate, transforms, forest, delta, believed)


def _measured(observations: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Return the points that have values, and these with constraints: (n, d), (n, m + c).

    Pruned trials among them, with what their reports let expect; where constraints are measured,
    those that told all of these. Of very many a part.
    """
    o = observations
    x, outputs = o.x, np.concatenate([o.values, o.constraints], axis=1)
    n_constraints = o.constraints.shape[1]
    if o.pruned_values is not None:
        limits = o.pruned_constraints
        if limits is None:
            limits = np.full((len(o.pruned), n_constraints), np.nan)
        pruned = np.concatenate([o.pruned_values, limits], axis=1)
        told = np.isfinite(pruned).all(axis=1)
        x = np.concatenate([x, o.pruned[told]])
        outputs = np.concatenate([outputs, pruned[told]])
    kept = _subset(outputs[:, : o.values.shape[1]], _MOST_LEARNT)
    return x[kept], outputs[kept]


def _subset(values: np.ndarray, n: int) -> np.ndarray:
    """Return which n of the rows of values (k, m) are learnt from.

    A quarter are the best by their mean rank, a quarter the latest, and half are spread evenly
    over all others: late in a study the best and the latest crowd in one place, and a model of
    them alone knows nothing of the rest.
    """
    if len(values) <= n:
        return np.arange(len(values))
    ranks = np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0).mean(axis=1)
    best = np.argsort(ranks, kind="stable")[: n // 4]
    others = np.setdiff1d(np.arange(len(values)), best)
    others, latest = np.split(others, [-(n // 4)])
    n_spread = n - len(best) - len(latest)
    spread = others[np.linspace(0.0, len(others) - 1.0, n_spread).round().astype(int)]
    return np.sort(np.concatenate([best, latest, spread]))


def _grow(
    observations: Observations, space: SearchSpace, choice: ForestChoice, seed: int
) -> FeasibilityForest:
    """Return the forest of what ran and what crashed.

    Of very many as many of each kind as suffice; of those that crashed the latest.
    """
    o, half = observations, _MOST_LEARNT // 2
    kept = _subset(o.values, half)
    ran, crashed = np.concatenate([o.x[kept], o.pruned[-half:]]), o.crashed[-half:]
    features = space.features(np.concatenate([ran, crashed]))
    labels = np.arange(len(features)) < len(ran)
    return FeasibilityForest(features, labels, is_level=space.is_level, choice=choice, seed=seed)
