"""What is learnt from the observations (paper, figure 3, steps 3 and 4).

The surrogate of objectives and measured constraints, and two models of what runs and what crashes:
the forest's probability of feasibility with its threshold Δ, and the risk of a crash.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from optuna_scoot.acquisition import improvement as acquisition
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.feasibility.forest import FeasibilityForest
from optuna_scoot.feasibility.forest import FeasibilityThreshold
from optuna_scoot.feasibility.risk import CrashRisk
from optuna_scoot.method import Method
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.surrogate.gaussian_process import Surrogate
from optuna_scoot.surrogate.gaussian_process import fit_surrogate
from optuna_scoot.surrogate.outputs import OutputTransform
from optuna_scoot.surrogate.outputs import fit_output_transform
from optuna_scoot.trials.reading import Observations


_MOST_LEARNT = 400  # observations that a model learns from; a fit costs their number's cube
_REACH = 3.0  # times the better half's span, beyond the median, up to which values differ
_LEAST_PROGRESS = 0.02  # share of the hypervolume (one objective: of the gain over the median)


@dataclass(frozen=True)
class Model:
    """All that has been learnt from the observations.

    Args:
        domain: Space and known constraints.
        surrogate: Of the m objectives and the c measured constraints, in that order.
        transforms: Of the same m + c outputs.
        forest: The probability of feasibility.
        risk: The probability of a crash, as another model sees it; None where crashes cost
            nothing, or where none is known.
        threshold: Δ.
        observations: What it was learnt from.
        believed: Objective values that pending points are believed to reach, minimised, shape
            (p, m), those alone that are believed to satisfy the measured constraints.
    """

    domain: Domain
    surrogate: Surrogate
    transforms: tuple[OutputTransform, ...]
    forest: FeasibilityForest
    risk: CrashRisk | None
    threshold: float
    observations: Observations
    believed: np.ndarray

    def pof(self, x: np.ndarray) -> np.ndarray:
        """Give the probability of feasibility of snapped points (q, d): shape (q,)."""
        return self.forest.probability(self.domain.space.features(x))

    @property
    def satisfied(self) -> np.ndarray:
        """Whether each observation satisfied every measured constraint, shape (n,)."""
        return self.observations.satisfied

    @property
    def reached(self) -> np.ndarray:
        """Values that the next point has to beat, observed or believed, shape (k, m)."""
        return np.concatenate([self.observations.values[self.satisfied], self.believed])

    def log_constraint_probability(self, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """Give the log-probability that all measured constraints hold, shape (q,)."""
        m = self.observations.values.shape[1]
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
        seed: Of the forest and of the hyper-parameters' draws; the risk of a crash has none.
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
    surrogate = fit_surrogate(space.features(x), y, space.level_features(), method.kernel, seed)
    believed = np.empty((0, m))
    if len(observations.pending) and not (m == 1 and method.single == "mace"):
        # MACE draws the members of one front instead; see ``suggestion._by_nsga2``.
        pending = space.features(observations.pending)
        mean, _ = surrogate.predict(pending)
        surrogate = surrogate.believing(pending, mean)
        reached = np.stack([t.backward(mean[:, j]) for j, t in enumerate(transforms)], axis=1)
        believed = reached[np.all(reached[:, m:] <= 0.0, axis=1), :m]
    forest, risk = _learn_crashes(observations, domain, method, seed)
    delta = threshold.after(() if method.fixed_threshold else observations.outcomes)
    return Model(
        domain=domain,
        surrogate=surrogate,
        transforms=transforms,
        forest=forest,
        risk=risk,
        threshold=delta,
        observations=observations,
        believed=believed,
    )


def _measured(observations: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Give the points that have values and these, objectives and constraints: (n, d), (n, m + c).

    Pruned trials among them, with what their reports let expect; where constraints are measured,
    they lack these. Of very many, the best and the latest.
    """
    o = observations
    x, outputs = o.x, np.concatenate([o.values, o.constraints], axis=1)
    if o.pruned_values is not None and o.constraints.shape[1] == 0:
        told = np.isfinite(o.pruned_values).all(axis=1)
        x = np.concatenate([x, o.pruned[told]])
        outputs = np.concatenate([outputs, o.pruned_values[told]])
    kept = _best_and_latest(outputs[:, : o.values.shape[1]], _MOST_LEARNT)
    return x[kept], outputs[kept]


def _best_and_latest(values: np.ndarray, n: int) -> np.ndarray:
    """Choose n of the rows of values (k, m): half by their mean rank, half from the end."""
    if len(values) <= n:
        return np.arange(len(values))
    ranks = np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0).mean(axis=1)
    best = np.argsort(ranks, kind="stable")[: n // 2]
    others = np.setdiff1d(np.arange(len(values)), best)
    return np.sort(np.concatenate([best, others[-(n - len(best)) :]]))


def _learn_crashes(
    observations: Observations, domain: Domain, method: Method, seed: int
) -> tuple[FeasibilityForest, CrashRisk | None]:
    """Fit the two models of what runs and what crashes to the trials that have finished.

    Of very many, to as many of each kind as suffice: the best and the latest that ran.
    """
    space = domain.space
    o, half = observations, _MOST_LEARNT // 2
    kept = _best_and_latest(o.values, half)
    ran = np.concatenate([o.x[kept], o.pruned[-half:]])
    features = space.features(np.concatenate([ran, o.crashed[-half:]]))
    labels = np.arange(len(features)) < len(ran)
    if not method.use_forest:
        labels = np.ones_like(labels)
    is_level = space.level_features()
    bold = is_stagnant(observations, method.bold_every) and bool(is_level.any())
    ignored = np.zeros_like(is_level)
    if bold:
        ignored = is_level & ~given_up(observations, space, method.level_chances)
    forest = FeasibilityForest(
        features, labels, is_level=is_level, ignored=ignored, choice=method.forest, seed=seed
    )
    if method.crash_cost == 0.0 or labels.all():
        return forest, None
    lengthscales = method.kernel.lengthscale_medians(is_level)
    return forest, CrashRisk(features, labels, lengthscales=lengthscales, ignored=ignored)


def is_stagnant(observations: Observations, n: int) -> bool:
    """Tell whether the last n suggestions of the model gained nothing worth the name.

    A level that crashed in its first trials is ruled out by the forest for good, although these
    trials may have crashed for other reasons. Once the rest of the space has little left to give,
    the next suggestion gives levels the benefit of the doubt: its forest sees the numbers alone,
    and the levels that were given up (:func:`given_up`). The question is asked once in n
    suggestions, those of a batch counted one by one.

    Args:
        observations: Of the study.
        n: How many; 0 says no.
    """
    o = observations
    if n == 0 or len(o.outcomes) < n or (len(o.outcomes) + len(o.pending) + 1) % n != 0:
        return False
    earlier = o.completed_before[-n]
    if earlier < 1:
        return False
    reference = reference_point(o) if o.values.shape[1] > 1 else np.median(o.values, axis=0)
    before = acquisition.hypervolume(o.values[:earlier][o.satisfied[:earlier]], reference)
    now = acquisition.hypervolume(o.values[o.satisfied], reference)
    return now - before <= _LEAST_PROGRESS * now


def given_up(observations: Observations, space: SearchSpace, chances: int) -> np.ndarray:
    """Tell which features show a level that has had its chances, Booleans of shape (f,).

    A crash of a start-up point blames its numbers as much as its levels. The model's suggestions
    have numbers that it holds good: where these crash too, again and again, the level is to blame.

    Args:
        observations: Of the study.
        space: Theirs.
        chances: How many of the model's suggestions with a level must have crashed, while no trial
            with it ever ran.
    """
    o = observations
    ran = space.levels(np.concatenate([o.x, o.pruned])).any(axis=0)
    n_crashes = space.levels(o.crashed[o.crashed_by_model]).sum(axis=0)
    shown = np.zeros(space.n_features, dtype=bool)
    shown[space.features_of_levels()[~ran & (n_crashes >= chances)]] = True
    return shown


def reference_point(observations: Observations) -> np.ndarray:
    """Give the reference point of the hypervolume (paper, section IV-E2), shape (m,).

    The default's values, or a little beyond the worst seen where they are not known.
    """
    if observations.reference_point is not None:
        return observations.reference_point
    # The worst of all, not of the front: the front of a few trials hardly spans the trade-off, and
    # what lies outside of its own box would never be looked at.
    values = observations.values
    worst = np.minimum(values.max(axis=0), worst_that_matters(values))
    width = worst - values.min(axis=0)
    return np.asarray(worst + 0.1 * np.where(width > 0.0, width, 1.0))


def worst_that_matters(values: np.ndarray) -> np.ndarray:
    """Give the level of each objective beyond which a value is simply bad, shape (m,).

    A configuration that is overloaded, or a penalty of a million, must not set the scale by which
    all others are seen: what counts is what the better half spans, and what the front reaches.

    Args:
        values: Minimised, shape (n, m), n ≥ 1.
    """
    median = np.median(values, axis=0)
    front = values[acquisition.non_dominated(values)].max(axis=0)
    return np.asarray(np.maximum(median + _REACH * (median - values.min(axis=0)), front))
