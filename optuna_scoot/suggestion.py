"""One suggestion: observations in, a point out (paper, figure 3, steps 3 to 7, and algorithm 1).

Surrogate and random forest learn from the observations, the acquisition function judges points
by them, and a solver finds the point that it holds most promising among those that satisfy the
known constraints and POF ≥ Δ. Arrays only; Optuna stays outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from optuna_scoot import acquisition
from optuna_scoot.crash_risk import CrashRisk
from optuna_scoot.design import Domain
from optuna_scoot.design import startup_point
from optuna_scoot.design import without
from optuna_scoot.feasibility import FeasibilityForest
from optuna_scoot.feasibility import FeasibilityThreshold
from optuna_scoot.method import Method
from optuna_scoot.observations import Observations
from optuna_scoot.outputs import OutputTransform
from optuna_scoot.outputs import fit_output_transform
from optuna_scoot.solver import maximise
from optuna_scoot.solver import pareto_front
from optuna_scoot.space import row_keys
from optuna_scoot.surrogate import Surrogate
from optuna_scoot.surrogate import fit_surrogate


_LEAST_PROGRESS = 0.02  # share of the hypervolume (one objective: of the gain over the median)
_MOST_LOG_GAIN = 50.0  # beyond which a gain counts as this much: e^x has an end
_BESIDE = 0.01  # of every parameter's range: what runs there will soon tell what is there


@dataclass(frozen=True)
class Suggestion:
    """A point and why it was suggested.

    Args:
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
    """Fit the surrogate and the forest (paper, figure 3, steps 3 and 4).

    Args:
        observations: With at least one completed trial.
        domain: Space and known constraints.
        method: The choices.
        threshold: The numbers that move Δ.
        seed: Of the forest and of the hyper-parameters' draws.
    """
    space = domain.space
    outputs = np.concatenate([observations.values, observations.constraints], axis=1)
    m = observations.values.shape[1]
    transforms = tuple(
        fit_output_transform(outputs[:, j], logarithm=method.log_outputs and j < m)
        for j in range(outputs.shape[1])
    )
    y = np.stack([t.forward(outputs[:, j]) for j, t in enumerate(transforms)], axis=1)
    surrogate = fit_surrogate(
        space.features(observations.x), y, space.level_features(), method.kernel, seed
    )
    believed = np.empty((0, m))
    if len(observations.pending) and not (m == 1 and method.single == "mace"):
        # MACE draws the members of one front instead; see ``_by_nsga2``.
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


def _learn_crashes(
    observations: Observations, domain: Domain, method: Method, seed: int
) -> tuple[FeasibilityForest, CrashRisk | None]:
    """Fit the two models of what runs and what crashes to all trials that have finished."""
    space = domain.space
    ran = np.concatenate([observations.x, observations.pruned])
    features = space.features(np.concatenate([ran, observations.crashed]))
    labels = np.arange(len(features)) < len(ran)
    if not method.use_forest:
        labels = np.ones_like(labels)
    is_level = space.level_features()
    bold = is_stagnant(observations, method.bold_every) and bool(is_level.any())
    ignored = is_level if bold else np.zeros_like(is_level)
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
    the next suggestion gives all levels the benefit of the doubt: its forest sees the numbers
    alone. The question is asked once in n suggestions, those of a batch counted one by one.

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
    reference = _reference(o) if o.values.shape[1] > 1 else np.median(o.values, axis=0)
    before = acquisition.hypervolume(o.values[:earlier][o.satisfied[:earlier]], reference)
    now = acquisition.hypervolume(o.values[o.satisfied], reference)
    return now - before <= _LEAST_PROGRESS * now


def suggest(
    observations: Observations,
    domain: Domain,
    method: Method,
    threshold: FeasibilityThreshold,
    *,
    model_seed: int,
    draw_seed: int,
) -> Suggestion:
    """Suggest the next point by the model.

    Args:
        observations: With at least one completed trial.
        domain: Space and known constraints.
        method: The choices.
        threshold: The numbers that move Δ.
        model_seed: Of all that several suggestions on the same observations share.
        draw_seed: Of this suggestion alone.

    Raises:
        ConstraintError: When no point satisfies the known constraints.
    """
    model = learn(observations, domain, method, threshold, model_seed)
    taken = taken_keys(observations)
    if method.solver == "nsga2":
        point = _by_nsga2(model, method, taken, model_seed, draw_seed)
    else:
        rng = np.random.default_rng(draw_seed)
        point = maximise(_score(model, method), domain, _starts(model), taken, rng)
    if point is not None:
        return describe(model, point, "model")
    return describe(model, fill_up(observations, domain, draw_seed), "fill")


def describe(model: Model, point: np.ndarray, phase: str) -> Suggestion:
    """Say why a point was suggested."""
    m = model.observations.values.shape[1]
    row = point[np.newaxis, :]
    mean, std = model.surrogate.predict(model.domain.space.features(row))
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
    """Give a point of the start-up design (paper, figure 3, step 2).

    Args:
        observations: May be empty; its points are not suggested again.
        domain: Space and known constraints.
        method: The choices.
        index: Number of the point in the design.
        design_seed: Shared by all workers.

    Raises:
        ConstraintError: When no point satisfies the known constraints.
    """
    tried = all_points(observations) if method.covering_startup else None
    point = startup_point(
        domain, index, design_seed, balanced=method.balanced_startup, tried=tried
    )
    if row_keys(point[np.newaxis, :])[0] in taken_keys(observations):
        point = fill_up(observations, domain, design_seed + index)
    return Suggestion(point, "startup")


def fill_up(observations: Observations, domain: Domain, seed: int) -> np.ndarray:
    """Give a Sobol point for what the solver could not give (paper, section IV-G, last lines).

    Points not yet taken come first; when all are taken, one that did not crash is repeated.
    """
    points = domain.all_points()
    if points is None:
        points = domain.sobol(256, seed)
    else:
        points = np.random.default_rng(seed).permutation(points)
    for avoided in (taken_keys(observations), set(row_keys(observations.crashed))):
        left = without(points, avoided)
        if len(left):
            return np.asarray(left[0])
    return np.asarray(points[0])


def taken_keys(observations: Observations) -> set[bytes]:
    """Give the keys of all points that were evaluated, crashed or run now."""
    return set(row_keys(all_points(observations)))


def all_points(observations: Observations) -> np.ndarray:
    """Give all points that were evaluated, crashed or run now, shape (n, d)."""
    o = observations
    return np.concatenate([o.x, o.crashed, o.pruned, o.pending])


def _score(model: Model, method: Method) -> Callable[[np.ndarray], np.ndarray]:
    """Build the acquisition times POF^w less what a crash costs, increasing in it.

    -inf where POF < Δ (paper, eq. 3) and beside running trials.
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
        return acquisition.hypervolume(reached, _reference(o))
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

    reference = _reference(model.observations)
    gained = np.maximum(reference - values.min(axis=0), 0.0)
    lower, upper = acquisition.non_dominated_boxes(values - method.least_gain * gained, reference)

    def log_ehvi(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        def log_improvement(j: int, levels: np.ndarray) -> np.ndarray:
            return model.transforms[j].log_improvement(
                mean[:, j, np.newaxis], std[:, j, np.newaxis], levels
            )

        return acquisition.log_expected_hypervolume_improvement(log_improvement, lower, upper)

    return log_ehvi


def _reference(observations: Observations) -> np.ndarray:
    """Give the reference point: the default's values, or a little beyond the worst seen."""
    if observations.reference_point is not None:
        return observations.reference_point
    # The worst of all, not of the front: the front of a few trials hardly spans the trade-off, and
    # what lies outside of its own box would never be looked at.
    values = observations.values
    width = np.ptp(values, axis=0)
    return np.asarray(values.max(axis=0) + 0.1 * np.where(width > 0.0, width, 1.0))


def _starts(model: Model) -> np.ndarray:
    """Give the points whose neighbourhood is searched: the incumbents."""
    o = model.observations
    x, values = o.x[model.satisfied], o.values[model.satisfied]
    if len(x) == 0:
        x, values = o.x, np.maximum(o.constraints, 0.0).sum(axis=1, keepdims=True)
    if values.shape[1] == 1:
        return np.asarray(x[np.argsort(values[:, 0], kind="stable")[:3]])
    return np.asarray(x[acquisition.non_dominated(values)][:16])


def _by_nsga2(
    model: Model, method: Method, taken: set[bytes], model_seed: int, draw_seed: int
) -> np.ndarray | None:
    """Search by NSGA-II as in the paper; None when it finds nothing admissible.

    One objective: a random member of the MACE front (section IV-E1). Several asks on the same
    observations see the same front, so that the points already running are drawn from it without
    replacement (section IV-F). More objectives: the best member by EHVI (section IV-E2).
    """
    o = model.observations
    single = o.values.shape[1] == 1 and method.single == "mace"
    functions = _mace(model) if single else _as_column(_score(model, method))

    def admissible(x: np.ndarray) -> np.ndarray:
        margin = model.pof(x) - model.threshold
        if single:
            return margin
        # The front of one function is a single point: it must not be one that is taken.
        return np.where([key in taken for key in row_keys(x)], -1.0, margin)

    front = pareto_front(
        functions,
        model.domain,
        admissible,
        _starts(model),
        seed=model_seed,
        population=method.population,
        generations=method.generations,
    )
    left = without(front, taken)
    if len(left) == 0:
        return None
    if single:
        return np.asarray(left[np.random.default_rng(draw_seed).integers(len(left))])
    return np.asarray(left[int(np.argmax(functions(left)[:, 0]))])


def _mace(model: Model) -> Callable[[np.ndarray], np.ndarray]:
    """Build UCB, PI and EI of the standardised objective (paper, eq. 7 to 9): (q, d) to (q, 3)."""
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


def _as_column(score: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    # NSGA-II subtracts values: it wants finite ones.
    return lambda x: np.maximum(score(x), -1e9)[:, np.newaxis]
