"""The start-up design: points before there is a model (paper, section IV-A, step 2).

A Sobol sequence under the known constraints. Rejection alone starves the levels of categorical
parameters that leave little room: without chunked prefill only a seventh of the range of batched
tokens is valid, so hardly a rejection sample has it off. The covering design therefore repairs a
violating point instead of throwing it away, and chooses its categorical levels itself, those first
that no trial has had: a handful of Sobol points may well leave prefix caching off in all of them.
Where points crash, the next ones keep to what ran: after each crash a point has half as many
parameters of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from optuna_scoot.constraints.domain import Domain
from optuna_scoot.observations import Observations
from optuna_scoot.space.search_space import SearchSpace


_MOST_COMBINATIONS = 512  # of categorical levels that are compared for a covering point
_COVERING_TRIES = 32  # combinations tried before a covering point is given up


@dataclass(frozen=True)
class StartupChoice:
    """How a search begins.

    Attributes:
        covering: Repair points that violate a known constraint, and choose their categorical
            levels so that those that no trial had come first (True); or skip such points and
            leave the others as they are (False, the paper).
        share: Number of points as a share of the number of parameters (the paper: 1).
        least: Number of points at the least.
        most: Number of points at the most.
        own: Share of a point's parameters that it has of its own, the others being those of a
            trial that ran; to the power of the number of trials that crashed (the paper: 1).
        finished: Share of the points that must have finished before the model takes over; 0
            counts running ones alike (the paper).
    """

    covering: bool = True
    share: float = 0.6
    least: int = 4
    most: float = 8
    own: float = 0.5
    finished: float = 0.5

    @classmethod
    def paper(cls) -> StartupChoice:
        """Return the paper's: as many Sobol points as parameters (section IV-A)."""
        return cls(covering=False, share=1.0, least=1, most=math.inf, own=1.0, finished=0.0)

    def is_under_way(
        self, n_given_out: int, n_finished: int, n_parameters: int, n_points: float | None = None
    ) -> bool:
        """Return whether a further point is one of the design's.

        Enough points must have been given out, and of these enough finished: a model of the
        default alone would choose the rest of a first large batch.

        Args:
            n_given_out: Points of the design that run or have finished.
            n_finished: Those of them that have finished.
            n_parameters: Parameters of a configuration.
            n_points: Size of the design where the user sets it; None: by ``share``.
        """
        n = n_points
        if n is None:
            n = min(max(self.least, math.ceil(self.share * n_parameters)), self.most)
        return n_given_out < n or n_finished < n * self.finished


def startup_point(
    domain: Domain, index: int, seed: int, observations: Observations, choice: StartupChoice
) -> np.ndarray:
    """Return point number ``index`` of the start-up design.

    Args:
        domain: Space and known constraints.
        index: ≥ 0; each index is asked for once in a study.
        seed: Of the scrambling, shared by the workers.
        observations: Of all trials so far.
        choice: The design.

    Returns:
        A valid snapped point, shape (d,).

    Raises:
        ConstraintError: When no point satisfies the known constraints.
    """
    if not choice.covering:
        return np.asarray(domain.sobol(index + 1, seed)[index])
    raw = domain.space.sobol(1, seed, start=index)[0]
    rng = np.random.default_rng([seed, index])
    point = _covering_point(domain, raw, observations.all_points, rng)
    if point is None:
        point = domain.repair(raw, rng)
    own = choice.own ** len(observations.crashed)
    return point if own == 1.0 else _closer(domain, point, observations, own, rng)


def _closer(
    domain: Domain,
    point: np.ndarray,
    observations: Observations,
    own: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return a point (d,) with the parameters of a trial that ran, but for a share of its own."""
    ran = np.concatenate([observations.x, observations.pruned])
    if len(ran) == 0:
        return point
    kept = rng.random(len(point)) < own
    kept[rng.integers(len(point))] = True
    mixed = domain.space.snap(np.where(kept, point, ran[rng.integers(len(ran))])[np.newaxis, :])
    return domain.repair(mixed[0], rng)


def _covering_point(
    domain: Domain, raw: np.ndarray, tried: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Return ``raw`` (d,) the valid combination of levels that the points tried cover least.

    None where no parameter is categorical, or where none of the best combinations is valid.
    """
    axes = np.flatnonzero(domain.space.is_categorical)
    if len(axes) == 0:
        return None
    combinations = _combinations(domain.space, axes, rng)
    gain = _coverage_gain(combinations, tried[:, axes]) + 1e-6 * rng.random(len(combinations))
    n_tries = _COVERING_TRIES // 4 if domain.is_thin else _COVERING_TRIES
    for levels in combinations[np.argsort(-gain)[:n_tries]]:
        point = raw.copy()
        point[axes] = levels
        point = domain.space.at_rest(point[np.newaxis, :])[0]
        repaired = domain.repair(point, rng)
        if np.allclose(repaired[axes], point[axes]):
            return repaired
    return None


def _combinations(space: SearchSpace, axes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return combinations of the axes' levels, shape (k, a): all, or random ones of very many."""
    levels = [space.all_units(int(j)) for j in axes]
    if np.prod([float(len(values)) for values in levels]) <= _MOST_COMBINATIONS:
        return np.array(list(product(*levels)))
    return np.stack([rng.choice(values, size=_MOST_COMBINATIONS) for values in levels], axis=1)


def _coverage_gain(combinations: np.ndarray, tried: np.ndarray) -> np.ndarray:
    """Return how new combinations (k, a) are, given those tried (n, a): shape (k,).

    A level counts 2 / (1 + c)² where c trials had it, a pair of levels 1 / (1 + c)².
    """
    same = np.isclose(combinations[:, np.newaxis, :], tried[np.newaxis, :, :])
    gain = np.zeros(len(combinations))
    for i in range(combinations.shape[1]):
        gain += 2.0 / (1.0 + same[:, :, i].sum(axis=1)) ** 2
        for j in range(i):
            gain += 1.0 / (1.0 + (same[:, :, i] & same[:, :, j]).sum(axis=1)) ** 2
    return gain
