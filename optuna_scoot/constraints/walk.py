"""Valid points where hardly any draw is valid: ordered integers, shares that sum to one.

A violating point is repaired one parameter at a time, as WalkSAT does with Boolean formulas: of
the violated constraints one is chosen at random, of its parameters one, and that parameter takes
the value that leaves the least violation. From valid points a random walk leads to others: one
parameter moves, and others give way as far as it takes.

Points are snapped points of the unit cube, shape (p, d), as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.space.points import row_keys
from optuna_scoot.space.search_space import SearchSpace


_ALL_LEVELS = 128  # parameters of at most so many levels are tried with all of them
_NARROWEST = 1e-16  # of a parameter's range; what is closer is rounding
_RESTLESS = 0.1  # share of steps that go anywhere, out of the places where no step leads down
_ALONE = 0.3  # share of steps that look at one constraint alone
_PROBES = 16  # configurations at which callables are asked which parameters they look at
_JOINT_ROUND = 6  # every so many rounds all parameters of a point move together
_SLOPE_STEP = 1e-7  # of a parameter's range, for slopes


@dataclass(frozen=True)
class _Effort:
    """How much is tried at a time; callables are asked point by point.

    Args:
        chains: Points that walk side by side.
        grid: Values tried of a parameter with many, before the best is looked at more closely.
        zoom: Values tried in each closer look.
        shrink: How much narrower each closer look is.
    """

    chains: int
    grid: int
    zoom: int
    shrink: float


_BY_COLUMN = _Effort(64, 64, 33, 12.0)
_BY_ROW = _Effort(12, 16, 9, 4.0)


class FeasibleWalk:
    """A walk among the points of a space that satisfy its known constraints.

    Args:
        space: The box.
        known: The constraints.
        rng: Source of all choices.

    Attributes:
        is_free: Which parameters no constraint was seen to look at, Booleans of shape (d,).
    """

    def __init__(
        self, space: SearchSpace, known: KnownConstraints, rng: np.random.Generator
    ) -> None:
        self._space = space
        self._known = known
        self._rng = rng
        looked_at = known.scopes(space.columns(space.sobol(_PROBES, 0)))
        names = np.array(space.names)
        self._reads = np.array([np.isin(names, list(s)) for s in looked_at]).reshape(
            -1, len(names)
        )
        self._is_callable = np.arange(len(looked_at)) >= known.n_expressions
        movable = ~space.is_pinned & (space.n_levels > 1)
        self._scopes = self._reads & movable
        self._bound = self._scopes.any(axis=0)
        self.is_free = movable & ~self._bound
        few = np.flatnonzero(movable & (space.n_levels <= _ALL_LEVELS))
        self._levels = {int(j): space.all_units(int(j)) for j in few}
        self._effort = _BY_ROW if known.n_callables else _BY_COLUMN

    @property
    def n_chains(self) -> int:
        """Return how many points walk side by side."""
        return self._effort.chains

    def repaired(
        self,
        x: np.ndarray,
        *,
        frozen: np.ndarray | None = None,
        n_rounds: int = 60,
        nearest: bool = False,
        enough: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change violating points until they satisfy the constraints, as far as that succeeds.

        Args:
            x: Snapped points, shape (p, d).
            frozen: What must not change, Booleans of shape (p, d); None: nothing.
            n_rounds: The most parameters changed a point.
            nearest: Whether the nearest of the values that would do is taken, not any of them.
            enough: How many valid points suffice; None: all.

        Returns:
            The points, shape (p, d), and which of them satisfy all constraints, shape (p,).
        """
        x = x.copy()
        frozen = np.zeros(x.shape, dtype=bool) if frozen is None else frozen
        violations = self._violations(x)
        for number in range(1, n_rounds + 1):
            rows = np.flatnonzero(violations.any(axis=0))
            if len(rows) <= (0 if enough is None else len(x) - enough):
                break
            if number % _JOINT_ROUND == 0:
                x[rows] = self._joint_step(x[rows], violations[:, rows], frozen[rows])
            else:
                self._single_steps(x, rows, violations, frozen, nearest)
            violations[:, rows] = self._violations(x[rows])
        return x, np.all(violations <= 0.0, axis=0)

    def _single_steps(
        self,
        x: np.ndarray,
        rows: np.ndarray,
        violations: np.ndarray,
        frozen: np.ndarray,
        nearest: bool,
    ) -> None:
        """Change one parameter of each of the rows of x, in place."""
        focus = self._any_of(violations[:, rows].T > 0.0)
        choice = self._scopes[focus] & ~frozen[rows]
        can = choice.any(axis=1)
        rows, focus, choice = rows[can], focus[can], choice[can]
        if len(rows) == 0:
            return
        axes = self._any_of(choice)
        for j in np.unique(axes):
            own = axes == j
            at = rows[own]
            x[at, j] = self._best(x[at], int(j), violations[:, at], focus[own], nearest)

    def _joint_step(self, x: np.ndarray, violations: np.ndarray, frozen: np.ndarray) -> np.ndarray:
        """Move all parameters of r points together, by Newton's method on their violations.

        Two equations over the same parameters hold each other up otherwise.
        """
        large = self._space.n_levels > _ALL_LEVELS
        slopes = np.zeros((len(x), len(violations), x.shape[1]))
        for j in np.flatnonzero(self._bound & large):
            # Inwards, by a level at the least.
            step = max(_SLOPE_STEP, 1.0 / self._space.n_levels[j])
            units = self._snapped(int(j), x[:, [j]] + np.where(x[:, [j]] > 0.5, -step, step))
            after = self._along(x, int(j), units, violations)[:, :, 0]
            moved = units[:, 0] - x[:, j]
            moved = np.where(moved == 0.0, np.inf, moved)
            slopes[:, :, j] = ((after - violations) / moved).T
        slopes *= ~frozen[:, np.newaxis, :] & (violations.T > 0.0)[:, :, np.newaxis]
        step_back = np.linalg.pinv(slopes, rcond=1e-6) @ violations.T[:, :, np.newaxis]
        return self._space.snap(np.clip(x - step_back[:, :, 0], 0.0, 1.0))

    def sample(
        self, starts: np.ndarray, n: int, *, frozen: np.ndarray | None = None, burn_in: int = 0
    ) -> np.ndarray:
        """Return valid points that a walk from others leads to.

        Args:
            starts: Valid points, shape (s, d), s > 0.
            n: How many points are wanted.
            frozen: Parameters that must not change, Booleans of shape (d,); None: none.
            burn_in: Steps before the first point counts.

        Returns:
            Valid points, shape (n, d), distinct while the walk finds new ones.
        """
        chains = starts[np.resize(self._rng.permutation(len(starts)), self._effort.chains)]
        fixed = np.zeros(chains.shape[1], dtype=bool) if frozen is None else frozen
        found: dict[bytes, np.ndarray] = {}
        for step in range(burn_in + 24 + 4 * (n // len(chains))):
            chains = self._redrawn(chains, fixed) if step % 2 else self._moved(chains, fixed)
            self._scatter(chains, fixed)
            if step < burn_in:
                continue
            for key, point in zip(row_keys(chains), chains, strict=True):
                found.setdefault(key, point.copy())
            if len(found) >= n:
                break
        points = np.array(list(found.values()))
        if len(points) < n:
            points = np.concatenate(
                [points, np.resize(chains, (n - len(points), chains.shape[1]))]
            )
        return points[:n]

    def _redrawn(self, x: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        """Redraw one parameter of each valid point among the values that the others allow."""
        if not (self._bound & ~fixed).any():
            return x
        before, x = x, x.copy()
        axes = self._any_of(np.tile(self._bound & ~fixed, (len(x), 1)))
        violations = np.zeros((len(self._scopes), len(x)))
        for j in np.unique(axes):
            at = np.flatnonzero(axes == j)
            units = self._values(x[at], int(j))
            totals = self._along(x[at], int(j), units, violations[:, at]).sum(axis=0)
            other = np.abs(units - x[at, j][:, np.newaxis]) > 1e-10
            good = (totals <= 0.0) & other
            pick = self._any_of(good)
            moved = units[np.arange(len(at)), pick]
            x[at, j] = np.where(good.any(axis=1), moved, x[at, j])
        if self._is_callable.any():
            # It may look at parameters that it did not look at elsewhere.
            broken = np.any(self._violations(x) > 0.0, axis=0)
            x = np.where(broken[:, np.newaxis], before, x)
        return x

    def _moved(self, x: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        """Move one parameter of each valid point anywhere; others give way where they can."""
        if not (self._bound & ~fixed).any():
            return x
        rows = np.arange(len(x))
        axes = self._any_of(np.tile(self._bound & ~fixed, (len(x), 1)))
        y = x.copy()
        for j in np.unique(axes):
            at = np.flatnonzero(axes == j)
            units = self._values(x[at], int(j))
            y[at, j] = units[np.arange(len(at)), self._rng.integers(units.shape[1], size=len(at))]
        frozen = np.tile(fixed, (len(x), 1))
        frozen[rows, axes] = True
        y, valid = self.repaired(y, frozen=frozen, n_rounds=4)
        return np.where(valid[:, np.newaxis], y, x)

    def _scatter(self, x: np.ndarray, fixed: np.ndarray) -> None:
        """Redraw what no constraint looks at, in place."""
        for j in np.flatnonzero(self.is_free & ~fixed):
            x[:, j] = self._space.snap_column(int(j), self._rng.random(len(x)))

    def _best(
        self, x: np.ndarray, j: int, violations: np.ndarray, focus: np.ndarray, nearest: bool
    ) -> np.ndarray:
        """Return the coordinate (r,) of axis j that leaves each of r points the least violation.

        Some of the points look at the violation of their focus alone: where constraints hold each
        other up, no single step improves their sum.
        """
        rows = np.arange(len(x))
        alone = self._rng.random(len(x)) < (0.0 if len(violations) == 1 else _ALONE)
        restless = self._rng.random(len(x)) < (0.0 if nearest else _RESTLESS)
        units = self._values(x, j)
        cost, own = self._judged(x, j, units, violations, focus, alone)
        pick = self._least(cost, units, x[:, j], nearest)
        best = units[rows, pick]
        # A closer look where the focus holds at none of the values, and may do so between them.
        inside = (best > units.min(axis=1)) & (best < units.max(axis=1))
        closer = np.flatnonzero((own.min(axis=1) > 0.0) & inside)
        if self._space.n_levels[j] > _ALL_LEVELS and len(closer):
            best[closer] = self._zoomed(
                x[closer], j, best[closer], violations[:, closer], focus[closer], alone[closer]
            )
        anywhere = self._snapped(j, self._rng.random((len(x), 1)))[:, 0]
        return np.where(restless & (cost[rows, pick] > 0.0), anywhere, best)

    def _zoomed(
        self,
        x: np.ndarray,
        j: int,
        best: np.ndarray,
        violations: np.ndarray,
        focus: np.ndarray,
        alone: np.ndarray,
    ) -> np.ndarray:
        """Look ever more closely around the best coordinate so far of axis j, shape (r,)."""
        best = best.copy()
        active = np.arange(len(x))
        before = previous = np.full(len(x), np.inf)
        width = 1.0 / self._effort.grid
        while width > max(_NARROWEST, 0.1 / self._space.n_levels[j]) and len(active):
            steps = np.linspace(-width, width, self._effort.zoom)
            units = self._snapped(j, best[active, np.newaxis] + steps)
            cost, _ = self._judged(
                x[active], j, units, violations[:, active], focus[active], alone[active]
            )
            pick = np.argmin(cost, axis=1)
            best[active] = units[np.arange(len(active)), pick]
            least = cost[np.arange(len(active)), pick]
            # Towards a solution the violation falls as the width does; elsewhere it levels off.
            falling = (least > 0.0) & (least < 0.5 * before)
            active, before, previous = active[falling], previous[falling], least[falling]
            width /= self._effort.shrink
        return best

    def _judged(
        self,
        x: np.ndarray,
        j: int,
        units: np.ndarray,
        violations: np.ndarray,
        focus: np.ndarray,
        alone: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the cost of values on axis j and their violation of the focus, each (r, g)."""
        after = self._along(x, j, units, violations)
        total = after.sum(axis=0)
        own = after[focus, np.arange(len(x))]
        return np.where(alone[:, np.newaxis], own + 1e-6 * total, total), own

    def _values(self, x: np.ndarray, j: int) -> np.ndarray:
        """Return values to try on axis j for each of r points, shape (r, g): all, or some.

        Some are spread over the whole range, others lie at distances of every order of magnitude,
        or where the other parameters are: two may have to be equal.
        """
        if self._space.n_levels[j] <= _ALL_LEVELS:
            return np.tile(self._levels[j], (len(x), 1))
        g = self._effort.grid
        spread = (np.arange(g) + self._rng.random((len(x), g))) / g
        order = 10.0 ** -self._rng.uniform(0.5, 6.0, size=(len(x), g // 4))
        sign = np.where(self._rng.random(order.shape) < 0.5, -1.0, 1.0)
        return self._snapped(j, np.concatenate([spread, x[:, [j]] + sign * order, x], axis=1))

    def _snapped(self, j: int, units: np.ndarray) -> np.ndarray:
        flat = np.clip(units, 0.0, 1.0).ravel()
        return np.asarray(self._space.snap_column(j, flat).reshape(units.shape))

    def _along(
        self, x: np.ndarray, j: int, units: np.ndarray, violations: np.ndarray
    ) -> np.ndarray:
        """Measure r points with each of g values on axis j: shape (c, r, g).

        Only the constraints that look at the axis are asked again.
        """
        r, g = units.shape
        asked = np.flatnonzero(self._reads[:, j])
        out = np.repeat(violations[:, :, np.newaxis], g, axis=2)
        if len(asked) == 0:
            return out
        read = self._reads[asked].any(axis=0) | self._is_callable[asked].any()
        columns = {
            self._space.names[k]: np.repeat(self._space.column(int(k), x[:, k]), g)
            for k in np.flatnonzero(read)
        }
        columns[self._space.names[j]] = self._space.column(j, units.ravel())
        out[asked] = self._known.violations(columns, asked.tolist()).reshape(-1, r, g)
        return out

    def _violations(self, x: np.ndarray) -> np.ndarray:
        return self._known.violations(self._space.columns(x))

    def _any_of(self, mask: np.ndarray) -> np.ndarray:
        """Return the index of a random True in each row of (r, k): shape (r,)."""
        return np.asarray(np.argmax(np.where(mask, self._rng.random(mask.shape), -1.0), axis=1))

    def _least(
        self, cost: np.ndarray, units: np.ndarray, now: np.ndarray, nearest: bool
    ) -> np.ndarray:
        """Return the index of a least cost in each row of (r, g): any, or nearest to ``now``."""
        least = cost <= cost.min(axis=1, keepdims=True)
        if not nearest:
            return self._any_of(least)
        away = np.abs(units - now[:, np.newaxis])
        return np.asarray(np.argmin(np.where(least, away, np.inf), axis=1))
