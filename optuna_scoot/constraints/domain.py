"""A search space with its known constraints: which points are valid, and points that are.

Sobol points are kept where they are valid, and a violating point is repaired: what stands in the
way of its categorical levels is drawn again. Where hardly any point is valid (ordered integers,
shares that sum to one) no draw finds one. There points are repaired parameter by parameter, and a
walk from valid points leads to others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from optuna_scoot.constraints.known import ConstraintError
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.constraints.walk import FeasibleWalk
from optuna_scoot.space.search_space import SearchSpace


_ENUMERABLE = 4096  # spaces of at most so many points are listed whole
_MOST_TRIES = 2**15  # Sobol points looked at before the valid share is called too small
_GRID = 24  # values tried for one parameter of a point under repair
_PROBES = 1024  # Sobol points by which the valid share is judged
_THIN = 0.02  # valid share below which points are walked to
_LISTED_THIN = 2**17  # spaces of at most so many points are listed whole where few are valid
_LISTED_FOR_PROOF = 2**21  # and of so many before "nothing satisfies" is said
_MOST_BATCHES = 8  # of Sobol points repaired, before it is said that none was found
_AT_ONCE = 8  # points repaired at once in the place of one
_STEPS_BY_ROW = 24  # steps repaired at a time where a callable is asked point by point


@dataclass(frozen=True)
class Domain:
    """A search space with its known constraints.

    Args:
        space: The box.
        known: The known constraints on it.
        seen: Snapped points that a study holds, valid or not, shape (n, d): where hardly any point
            is valid, others are found from those that are.
    """

    space: SearchSpace
    known: KnownConstraints
    seen: np.ndarray | None = None

    def valid(self, x: np.ndarray) -> np.ndarray:
        """Return which of the snapped points (n, d) satisfy every known constraint: shape (n,).

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

    @cached_property
    def is_thin(self) -> bool:
        """Return whether so few points are valid that draws do not find them."""
        if not self.known:
            return False
        return float(self.valid(self.space.sobol(_PROBES, 0)).mean()) < _THIN

    def all_points(self) -> np.ndarray | None:
        """Return every valid point (n, d) of a small discrete space, None for a larger one.

        Where hardly any is valid, a larger space is small enough as well.

        Raises:
            ConstraintError: When no point satisfies the known constraints.
        """
        if self.space.n_points <= _ENUMERABLE:
            return self._listed
        if self.space.n_points > self._most_listed or not self.is_thin:
            return None
        return self._listed if len(self._listed) <= _ENUMERABLE else None

    @property
    def _most_listed(self) -> int:
        # A callable is asked point by point.
        return _LISTED_THIN // 8 if self.known.n_callables else _LISTED_THIN

    @cached_property
    def _listed(self) -> np.ndarray:
        axes = [self.space.all_units(j) for j in range(self.space.n_dimensions)]
        x = self._snapped_grid(axes)
        x = x[self.valid(x)]
        if len(x) == 0:
            raise _nothing_satisfies(self)
        return np.asarray(x)

    @cached_property
    def _anchors(self) -> np.ndarray:
        """Return valid points (n, d), n > 0, of a domain with few of them.

        Raises:
            ConstraintError: When none is found.
        """
        if self.space.n_points <= self._most_listed:
            return self._listed
        raw = self.space.sobol(2 * _PROBES, 0)
        pools = [raw[self.valid(raw)]]
        if self.seen is not None and len(self.seen):
            seen = self.space.snap(self.seen)
            pools.append(seen[self.valid(seen)])
        rng = np.random.default_rng(0)
        walk = self._walk(rng)
        n, tried, n_known = walk.n_chains, 0, sum(map(len, pools))
        while n_known < n // 4 and (tried == 0 or (n_known == 0 and tried < _MOST_BATCHES * n)):
            repaired, valid = walk.repaired(raw[tried : tried + n], enough=n // 4)
            pools.append(repaired[valid])
            tried += n
            n_known += int(valid.sum())
        anchors = np.concatenate(pools)
        if len(anchors) == 0 and self.space.n_points <= _LISTED_FOR_PROOF:
            anchors = self._listed
        if len(anchors) == 0:
            raise _nothing_found(self, len(raw), tried)
        return np.asarray(walk.sample(anchors, walk.n_chains, burn_in=2 * self.space.n_dimensions))

    def _walk(self, rng: np.random.Generator) -> FeasibleWalk:
        return FeasibleWalk(self.space, self.known, rng)

    def sobol(self, n: int, seed: int) -> np.ndarray:
        """Return the first n valid points of a scrambled Sobol sequence, shape (n, d).

        Where the valid share is too small for rejection, a walk among valid points fills up; its
        points are distinct as long as there are enough.

        Raises:
            ConstraintError: When no point satisfies the known constraints.
        """
        found = np.empty((0, self.space.n_dimensions))
        size = max(16, 2 * n)
        while True:
            raw = self.space.sobol(size, seed)
            found = raw[self.valid(raw)]
            if len(found) >= n or size >= _MOST_TRIES or self.is_thin:
                break
            size *= 4
        if len(found) >= n:
            return np.asarray(found[:n])
        rng = np.random.default_rng([seed, n])
        return np.concatenate([found, self._walked(n - len(found), rng)])

    def _walked(self, n: int, rng: np.random.Generator) -> np.ndarray:
        anchors = self._anchors
        if self.space.n_points <= self._most_listed:
            return np.asarray(np.resize(rng.permutation(anchors), (n, anchors.shape[1])))
        return self._walk(rng).sample(anchors, n)

    def repaired_steps(
        self, moved: np.ndarray, origins: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return steps from valid points; where one broke a constraint, other parameters give way.

        Args:
            moved: Snapped points, shape (n, d).
            origins: The valid points that they come from, shape (n, d).
            rng: Source of the choices.

        Returns:
            Points of shape (n, d), as ``moved`` where the domain is not thin; some may still
            violate.
        """
        if not self.is_thin:
            return moved
        rows = np.flatnonzero(~self.valid(moved))
        if self.known.n_callables:
            rows = rng.permutation(rows)[:_STEPS_BY_ROW]
        points = moved.copy()
        frozen = np.abs(moved[rows] - origins[rows]) > 1e-10
        points[rows], _ = self._walk(rng).repaired(
            moved[rows], frozen=frozen, n_rounds=3, nearest=True
        )
        return points

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
        return self._walked_to(point, rng)

    def _walked_to(self, point: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a valid point (d,), with as many levels of ``point`` (d,) as a known one has."""
        categorical = self.space.is_categorical
        alike = np.isclose(self._anchors[:, categorical], point[categorical]).sum(axis=1)
        nearest = self._anchors[alike == alike.max()]
        n_steps = 2 * self.space.n_dimensions
        walk = self._walk(rng)
        points = walk.sample(nearest, 1, frozen=categorical, burn_in=n_steps)
        return np.asarray(self._keeping(points, point, walk)[0])

    def _keeping(self, points: np.ndarray, point: np.ndarray, walk: FeasibleWalk) -> np.ndarray:
        """Return points (k, d) with what ``point`` (d,) has of unconstrained parameters."""
        kept = np.where(walk.is_free, point, points)
        return np.where(self.valid(kept)[:, np.newaxis], kept, points)

    def _repairs(self, point: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
        categorical = np.flatnonzero(self.space.is_categorical)
        numeric = np.flatnonzero(~self.space.is_categorical)
        yield self._along(point, numeric, rng)
        # Every number redrawn at once, the categorical levels kept.
        redrawn = rng.random((1024, len(point)))
        redrawn[:, categorical] = point[categorical]
        yield self.space.snap(redrawn)
        if self.is_thin:
            yield self._repaired_numbers(self.space.snap(redrawn[:_AT_ONCE]), point, rng)
        yield self._along(point, categorical, rng)
        for j in rng.permutation(categorical):
            for k in range(int(self.space.n_levels[j])):
                moved = redrawn.copy()
                moved[:, j] = (k + 0.5) / self.space.n_levels[j]
                yield self.space.snap(moved)

    def _repaired_numbers(
        self, x: np.ndarray, point: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return points (k, d) with the levels of x (k, d) and other numbers, some valid."""
        frozen = np.tile(self.space.is_categorical, (len(x), 1))
        walk = self._walk(rng)
        points, valid = walk.repaired(x, frozen=frozen, n_rounds=30, enough=len(x) // 2)
        if not valid.any():
            return points
        n_steps = 2 * self.space.n_dimensions
        points = walk.sample(points[valid], len(x), frozen=frozen[0], burn_in=n_steps)
        return self._keeping(points, point, walk)

    def _along(self, point: np.ndarray, axes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return points that differ from ``point`` in one of the axes: shape (k, d)."""
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
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        return self.space.snap(grid.reshape(-1, len(axes)))


def _nothing_satisfies(domain: Domain) -> ConstraintError:
    return ConstraintError(
        "No configuration of the search space satisfies the known constraints "
        f"({_specs(domain)}); check them against the parameters' ranges."
    )


def _nothing_found(domain: Domain, n_drawn: int, n_repaired: int) -> ConstraintError:
    return ConstraintError(
        f"No configuration that satisfies the known constraints ({_specs(domain)}) was found in "
        f"{n_drawn} draws and by repairing {n_repaired} of them; check them against the "
        "parameters' ranges, or enqueue a configuration that satisfies them."
    )


def _specs(domain: Domain) -> str:
    return "; ".join(
        s if isinstance(s, str) else getattr(s, "__name__", "callable") for s in domain.known.specs
    )
