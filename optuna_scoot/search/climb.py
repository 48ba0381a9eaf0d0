"""The search of the default: one function is climbed from many points at once.

All points of a round are scored in one matrix product. They live in the unit cube, are always
snapped, and satisfy the known constraints (paper, section IV-E3).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optuna_scoot.constraints.domain import Domain
from optuna_scoot.space.points import row_keys
from optuna_scoot.space.points import without


Score = Callable[[np.ndarray], np.ndarray]
"""Snapped points (q, d) to scores (q,), larger is better, -inf where a point is ruled out."""


def maximise(
    score: Score,
    domain: Domain,
    starts: np.ndarray,
    taken: set[bytes],
    rng: np.random.Generator,
    *,
    n_sobol: int = 1024,
    n_climbers: int = 8,
    n_rounds: int = 10,
) -> np.ndarray | None:
    """Find a valid point of the highest score that is not taken.

    A Sobol batch and the neighbourhood of the starts are scored; the best climb on: each round
    tries steps of shrinking length along one or two parameters, other levels of a categorical
    with the numbers that it forces, and keeps the best.

    Args:
        score: The function.
        domain: Space and known constraints.
        starts: Good known points, shape (s, d); their neighbourhood is searched.
        taken: Keys of the points that must not be returned.
        rng: Source of the steps.
        n_sobol: Size of the first batch.
        n_climbers: How many points climb.
        n_rounds: How many rounds they climb.

    Returns:
        The point, shape (d,); None when every valid point is taken or ruled out.
    """
    everything = domain.all_points()
    if everything is not None:
        return _best(without(everything, taken), score)
    # Where hardly any point is valid each of them costs a walk.
    n_sobol = n_sobol // 8 if domain.is_thin else n_sobol
    pool = [domain.sobol(n_sobol, int(rng.integers(2**31)))]
    for width in (0.3, 0.1, 0.03):
        pool.append(_neighbours(starts, domain, rng, width, 12))
    points = np.concatenate(pool)
    points = without(points[domain.valid(points)], taken)
    scores = score(points)
    order = np.argsort(-scores, kind="stable")[:n_climbers]
    climbers, heights = points[order], scores[order]
    for width in np.geomspace(0.25, 0.003, n_rounds):
        climbers, heights = _climb(climbers, heights, score, domain, taken, rng, float(width))
    if len(heights) == 0 or not np.isfinite(heights.max()):
        return None
    return np.asarray(climbers[int(np.argmax(heights))])


def _best(points: np.ndarray, score: Score) -> np.ndarray | None:
    if len(points) == 0:
        return None
    scores = score(points)
    best = int(np.argmax(scores))
    return np.asarray(points[best]) if np.isfinite(scores[best]) else None


def _climb(
    climbers: np.ndarray,
    heights: np.ndarray,
    score: Score,
    domain: Domain,
    taken: set[bytes],
    rng: np.random.Generator,
    width: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Let every climber take its best step of about ``width``, if one leads up."""
    n_steps = 24
    steps = _neighbours(climbers, domain, rng, width, n_steps)
    owner = np.repeat(np.arange(len(climbers)), n_steps)
    keys = row_keys(steps)
    usable = domain.valid(steps) & np.array([key not in taken for key in keys], dtype=bool)
    steps, owner = steps[usable], owner[usable]
    if len(steps) == 0:
        return climbers, heights
    reached = score(steps)
    climbers, heights = climbers.copy(), heights.copy()
    for i in range(len(climbers)):
        own = np.flatnonzero(owner == i)
        if len(own) and reached[own].max() > heights[i]:
            best = own[int(np.argmax(reached[own]))]
            climbers[i], heights[i] = steps[best], reached[best]
    return climbers, heights


def _neighbours(
    x: np.ndarray, domain: Domain, rng: np.random.Generator, width: float, n_each: int
) -> np.ndarray:
    """Return ``n_each`` snapped neighbours of each point: shape (n * n_each, d).

    A neighbour differs in one or a few parameters: a number by a step of about ``width`` but of at
    least one level, a categorical by another level. Where hardly any point is valid, others give
    way: what one share gains another loses.
    """
    space = domain.space
    n, d = len(x) * n_each, space.n_dimensions
    moved = np.repeat(x, n_each, axis=0)
    if n == 0:
        return moved
    chosen = rng.random((n, d)) < min(1.0, 1.2 / d)
    chosen[np.arange(n), rng.integers(d, size=n)] = True
    # A whole level at the least, or a step below half a level would snap back.
    step = rng.normal(size=(n, d)) * width
    least = np.where(np.isfinite(space.n_levels), 1.0 / space.n_levels, 0.0)
    step = np.where(np.abs(step) < least, np.where(step < 0.0, -least, least), step)
    reflected = np.abs(moved + step)
    reflected = np.where(reflected > 1.0, 2.0 - reflected, reflected)
    target = np.where(space.is_categorical, rng.random((n, d)), np.clip(reflected, 0.0, 1.0))
    # A few numbers are redrawn whole: a level switched on may ask for quite other numbers.
    redrawn = rng.random((n, d)) < 0.1
    target = np.where(redrawn, rng.random((n, d)), target)
    return domain.repaired_steps(space.snap(np.where(chosen, target, moved)), moved, rng)
