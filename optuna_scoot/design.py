"""Points under the known constraints: all of a small space, Sobol points, repaired points.

The start-up design (paper, section IV-A, step 2) is a Sobol sequence under the known constraints.
Rejection alone starves the levels of categorical parameters that leave little room: without
chunked prefill only a seventh of the range of batched tokens is valid, so hardly a rejection
sample has it off. The balanced design therefore repairs a violating point instead of throwing it
away: it keeps its categorical levels and redraws what stands in their way. The covering design
chooses these levels itself, those first that no trial has had: a handful of Sobol points may well
leave prefix caching off in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from optuna_scoot.constraints import ConstraintError
from optuna_scoot.constraints import KnownConstraints
from optuna_scoot.space import SearchSpace
from optuna_scoot.space import row_keys


_ENUMERABLE = 4096  # spaces of at most so many points are listed whole
_MOST_TRIES = 2**15  # Sobol points looked at before the valid share is called too small
_GRID = 24  # values tried for one parameter of a point under repair
_MOST_COMBINATIONS = 512  # of categorical levels that are compared for a covering point
_COVERING_TRIES = 32  # combinations tried before a covering point is given up


@dataclass(frozen=True)
class Domain:
    """A search space with its known constraints.

    Args:
        space: The box.
        known: The known constraints on it.
    """

    space: SearchSpace
    known: KnownConstraints

    def valid(self, x: np.ndarray) -> np.ndarray:
        """Tell which of the snapped points (n, d) satisfy every known constraint: shape (n,).

        A constraint on a parameter that a point does not ask for passes.
        """
        if not self.known or len(x) == 0:
            return np.ones(len(x), dtype=bool)
        if not self.space.is_conditional:
            return self.known.satisfied_columns(self.space.columns(x))
        valid = np.ones(len(x), dtype=bool)
        patterns, index = np.unique(self.space.active(x), axis=0, return_inverse=True)
        for k, active in enumerate(patterns):
            rows = index.reshape(-1) == k
            columns = self.space.columns(x[rows])
            asked = {n: columns[n] for n, a in zip(self.space.names, active, strict=True) if a}
            if asked:
                valid[rows] = self.known.satisfied_columns(asked)
        return valid

    def all_points(self) -> np.ndarray | None:
        """Give every valid point (n, d) of a small discrete space, None for a larger one.

        Raises:
            ConstraintError: When no point satisfies the known constraints.
        """
        if self.space.n_points > _ENUMERABLE:
            return None
        axes = [self.space.all_units(j) for j in range(self.space.n_dimensions)]
        x = self._snapped_grid(axes)
        x = x[self.valid(x)]
        if len(x) == 0:
            raise _nothing_satisfies(self)
        return np.asarray(x)

    def sobol(self, n: int, seed: int) -> np.ndarray:
        """Give the first n valid points of a scrambled Sobol sequence, shape (n, d).

        Where the valid share is too small for rejection, repaired points fill up.

        Raises:
            ConstraintError: When no point satisfies the known constraints.
        """
        found = np.empty((0, self.space.n_dimensions))
        size = max(16, 2 * n)
        while True:
            raw = self.space.sobol(size, seed)
            found = raw[self.valid(raw)]
            if len(found) >= n or size >= _MOST_TRIES:
                break
            size *= 4
        if len(found) >= n:
            return np.asarray(found[:n])
        rng = np.random.default_rng([seed, n])
        extra = [self.repair(point, rng) for point in raw[: n - len(found)]]
        return np.concatenate([found, *(e[np.newaxis, :] for e in extra)])

    def repair(self, point: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Make a valid point of a snapped one (d,), changing as few parameters as it takes.

        Numbers are redrawn before categorical levels are given up.

        Raises:
            ConstraintError: When no point satisfies the known constraints.
        """
        if self.valid(point[np.newaxis, :])[0]:
            return point
        for attempts in self._repairs(point, rng):
            valid = attempts[self.valid(attempts)]
            if len(valid):
                # Uniform over the values that would do: the nearest one would pile all
                # repaired points up on the constraint's border.
                return np.asarray(valid[rng.integers(len(valid))])
        raise _nothing_satisfies(self)

    def _repairs(self, point: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
        categorical = np.flatnonzero(self.space.is_categorical)
        numeric = np.flatnonzero(~self.space.is_categorical)
        yield self._along(point, numeric, rng)
        # Every number redrawn at once, the categorical levels kept.
        redrawn = rng.random((1024, len(point)))
        redrawn[:, categorical] = point[categorical]
        yield self.space.snap(redrawn)
        yield self._along(point, categorical, rng)
        for j in rng.permutation(categorical):
            for k in range(int(self.space.n_levels[j])):
                moved = redrawn.copy()
                moved[:, j] = (k + 0.5) / self.space.n_levels[j]
                yield self.space.snap(moved)
        yield self.space.snap(rng.random((_MOST_TRIES, len(point))))
        if self.space.n_points <= _ENUMERABLE:
            points = self.all_points()
            assert points is not None
            yield points

    def _along(self, point: np.ndarray, axes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Give points that differ from ``point`` in one of the axes: shape (k, d)."""
        blocks = [point[np.newaxis, :]]
        for j in axes:
            levels = self.space.n_levels[j]
            if levels <= _GRID:
                values = self.space.all_units(int(j))
            else:
                values = (np.arange(_GRID) + rng.random(_GRID)) / _GRID
            block = np.repeat(point[np.newaxis, :], len(values), axis=0)
            block[:, j] = values
            blocks.append(block)
        return self.space.snap(np.concatenate(blocks))

    def _snapped_grid(self, axes: list[np.ndarray]) -> np.ndarray:
        return self.space.snap(np.array(list(product(*axes))))


def _nothing_satisfies(domain: Domain) -> ConstraintError:
    specs = "; ".join(
        s if isinstance(s, str) else getattr(s, "__name__", "callable") for s in domain.known.specs
    )
    return ConstraintError(
        f"No configuration of the search space satisfies the known constraints ({specs}); "
        "check them against the parameters' ranges."
    )


def startup_point(
    domain: Domain, index: int, seed: int, *, balanced: bool, tried: np.ndarray | None = None
) -> np.ndarray:
    """Give point number ``index`` of the start-up design, the same for every worker.

    Args:
        domain: Space and known constraints.
        index: ≥ 0; each index is asked for once in a study.
        seed: Of the scrambling, shared by the workers.
        balanced: Whether a violating point is repaired (each categorical level keeps its share)
            or skipped (the paper's way).
        tried: Points of all trials so far, shape (n, d); the categorical levels of a repaired
            point are then those that they cover least. None leaves the levels of the sequence.

    Returns:
        A valid snapped point, shape (d,).
    """
    if not balanced:
        points = domain.sobol(index + 1, seed)
        return np.asarray(points[index])
    raw = domain.space.sobol(1, seed, start=index)[0]
    rng = np.random.default_rng([seed, index])
    if tried is not None:
        point = _covering_point(domain, raw, tried, rng)
        if point is not None:
            return point
    return domain.repair(raw, rng)


def _covering_point(
    domain: Domain, raw: np.ndarray, tried: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Give ``raw`` (d,) the valid combination of levels that the points tried cover least.

    None where no parameter is categorical, or where none of the best combinations is valid.
    """
    axes = np.flatnonzero(domain.space.is_categorical)
    if len(axes) == 0:
        return None
    combinations = _combinations(domain.space, axes, rng)
    gain = _coverage_gain(combinations, tried[:, axes]) + 1e-6 * rng.random(len(combinations))
    for levels in combinations[np.argsort(-gain)[:_COVERING_TRIES]]:
        point = raw.copy()
        point[axes] = levels
        point = domain.space.settled(point[np.newaxis, :])[0]
        repaired = domain.repair(point, rng)
        if np.allclose(repaired[axes], point[axes]):
            return repaired
    return None


def _combinations(space: SearchSpace, axes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give combinations of the axes' levels, shape (k, a): all, or random ones of very many."""
    levels = [space.all_units(int(j)) for j in axes]
    if np.prod([float(len(values)) for values in levels]) <= _MOST_COMBINATIONS:
        return np.array(list(product(*levels)))
    return np.stack([rng.choice(values, size=_MOST_COMBINATIONS) for values in levels], axis=1)


def _coverage_gain(combinations: np.ndarray, tried: np.ndarray) -> np.ndarray:
    """Give how new combinations (k, a) are beside those tried (n, a): shape (k,).

    A level counts 2 / (1 + c)² where c trials had it, a pair of levels 1 / (1 + c)².
    """
    same = np.isclose(combinations[:, np.newaxis, :], tried[np.newaxis, :, :])
    gain = np.zeros(len(combinations))
    for i in range(combinations.shape[1]):
        gain += 2.0 / (1.0 + same[:, :, i].sum(axis=1)) ** 2
        for j in range(i):
            gain += 1.0 / (1.0 + (same[:, :, i] & same[:, :, j]).sum(axis=1)) ** 2
    return gain


def without(x: np.ndarray, taken: set[bytes]) -> np.ndarray:
    """Drop the rows of x (n, d) whose key is taken, and repeated rows."""
    seen = set(taken)
    keep = []
    for i, key in enumerate(row_keys(x)):
        if key not in seen:
            seen.add(key)
            keep.append(i)
    return x[keep]
