"""Search space: Optuna's distributions to and from the unit cube, and Sobol points in it.

Notation
    d: number of parameters; one dimension of the unit cube each, categorical ones included.
    x: points in the unit cube, shape (n, d). A point is *snapped* when every coordinate is the
        centre of the cell of a representable value, so that equal parameters give equal rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from optuna_scoot.space.activity import Activity
from optuna_scoot.space.dimension import Stepped
from optuna_scoot.space.dimension import column_values
from optuna_scoot.space.dimension import dimension_of
from optuna_scoot.space.dimension import external_value
from optuna_scoot.space.dimension import is_ordered


if TYPE_CHECKING:
    from scipy.stats import qmc


class SearchSpace:
    """A box of named parameters, seen as the unit cube.

    In a conditional space a point need not have all of them. The coordinate of one that is not
    active rests in the middle of its range, and the models see it there: points that differ in
    what is not asked for are the same point.

    Args:
        distributions: Optuna's distribution of each parameter; the order of the dimensions.
        pinned: Values of parameters that are fixed: every snapped point has them.
        activity: Tells which parameters are active, from what :meth:`features` gives without it;
            None: all of them are.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        pinned: Mapping[str, Any] | None = None,
        activity: Activity | None = None,
    ) -> None:
        self.distributions = dict(distributions)
        self.names = tuple(self.distributions)
        self._dimensions = [dimension_of(d) for d in self.distributions.values()]
        self.n_levels = np.array([d.n_levels for d in self._dimensions])
        self.is_categorical = np.array(
            [isinstance(d, CategoricalDistribution) for d in self.distributions.values()],
            dtype=bool,
        )
        ordered = np.array([is_ordered(d) for d in self.distributions.values()], dtype=bool)
        self.is_level = ~ordered | (self.is_categorical & (self.n_levels <= 2))
        """Of which parameters a value is a level, like no other: Booleans of shape (d,)."""
        self._activity = activity
        middle = np.array([0.5])
        self._resting = np.array([d.encode(d.decode(middle))[0] for d in self._dimensions])
        self._pinned = {
            self.names.index(name): self._encoded(name, [{name: value}])[0]
            for name, value in (pinned or {}).items()
        }

    @property
    def n_dimensions(self) -> int:
        """Return the number d of parameters."""
        return len(self.names)

    @property
    def n_points(self) -> float:
        """Return the number of distinct configurations; infinite with a continuous parameter."""
        free = [levels for j, levels in enumerate(self.n_levels) if j not in self._pinned]
        return float(np.prod(free))

    def all_units(self, j: int) -> np.ndarray:
        """Return the unit coordinates of all levels of parameter j, discrete or pinned to one."""
        if j in self._pinned:
            return np.array([self._pinned[j]])
        dimension = self._dimensions[j]
        assert isinstance(dimension, Stepped)
        return dimension.all_units()

    def snap(self, x: np.ndarray) -> np.ndarray:
        """Move points (n, d) to the centres of their cells, shape (n, d)."""
        out = np.empty_like(x, dtype=float)
        for j, dimension in enumerate(self._dimensions):
            out[:, j] = dimension.encode(dimension.decode(x[:, j]))
        return self.at_rest(out)

    def at_rest(self, x: np.ndarray) -> np.ndarray:
        """Return snapped points (n, d) with what is pinned, and at rest what is not active."""
        out = x.copy()
        for j, unit in self._pinned.items():
            out[:, j] = unit
        return np.where(self.active(out), out, self._resting) if self.is_conditional else out

    @property
    def is_conditional(self) -> bool:
        """Return whether some points have fewer parameters than d."""
        return self._activity is not None

    def active(self, x: np.ndarray) -> np.ndarray:
        """Return which parameters the snapped points (n, d) ask for: Booleans of shape (n, d)."""
        if self._activity is None:
            return np.ones(x.shape, dtype=bool)
        return self._activity(self._all_features(x))

    @property
    def typical_size(self) -> int:
        """Return how many parameters a configuration has, in a conditional space on average."""
        return self.n_dimensions if self._activity is None else self._activity.typical_size

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return what the models see of snapped points (n, d): shape (n, d).

        Values of numbers spread over the whole of [0, 1]. Of a categorical or Boolean it is the
        index of the level, which says nothing but whether two are the same. Inactive parameters
        are seen in the middle, as numbers, or with a level of their own, -1.
        """
        features = self._all_features(x)
        if self._activity is None:
            return features
        return np.where(self.active(x), features, np.where(self.is_level, -1.0, 0.5))

    def _all_features(self, x: np.ndarray) -> np.ndarray:
        """Return the features as if all parameters were active."""
        columns: list[np.ndarray] = []
        for j, dimension in enumerate(self._dimensions):
            if self.is_level[j]:
                columns.append(np.rint(dimension.decode(x[:, j])))
            else:
                edges = dimension.encode(dimension.decode(np.array([0.0, 1.0])))
                width = max(edges[1] - edges[0], 1e-12)
                columns.append((x[:, j] - edges[0]) / width)
        return np.stack(columns, axis=1)

    def columns(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parameter values of points (n, d): for each name an array (n,)."""
        return {name: self.column(j, x[:, j]) for j, name in enumerate(self.names)}

    def column(self, j: int, units: np.ndarray) -> np.ndarray:
        """Return the values (n,) of parameter number j at unit coordinates (n,).

        Integers that do not fit into 64 bits come as Python's.
        """
        distribution = self.distributions[self.names[j]]
        return column_values(distribution, self._dimensions[j].decode(units))

    def snap_column(self, j: int, units: np.ndarray) -> np.ndarray:
        """Move coordinates (n,) of parameter number j to the centres of their cells."""
        return np.asarray(self._dimensions[j].encode(self._dimensions[j].decode(units)))

    @property
    def is_pinned(self) -> np.ndarray:
        """Return which parameters are fixed, Booleans of shape (d,)."""
        return np.asarray(np.isin(np.arange(self.n_dimensions), list(self._pinned)))

    def to_params(self, point: np.ndarray) -> dict[str, Any]:
        """Return the parameters of one point (d,) as plain Python values."""
        params: dict[str, Any] = {}
        for j, (name, distribution) in enumerate(self.distributions.items()):
            internal = float(self._dimensions[j].decode(point[j : j + 1])[0])
            params[name] = external_value(distribution, internal)
        return params

    def asked_for(self, point: np.ndarray) -> dict[str, Any]:
        """Return the parameters of one point (d,) that are active there."""
        active = self.active(point[np.newaxis, :])[0]
        params = self.to_params(point)
        return {n: params[n] for n, is_active in zip(self.names, active, strict=True) if is_active}

    def to_unit(self, params: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the snapped points (n, d) of parameter dictionaries.

        Parameters that one lacks were not asked for: their coordinates rest.

        Raises:
            ValueError: When a value lies outside its distribution.
        """
        out = np.repeat(self._resting[np.newaxis, :], len(params), axis=0)
        for j, name in enumerate(self.names):
            rows = [i for i, p in enumerate(params) if name in p]
            if rows:
                out[rows, j] = self._encoded(name, [params[i] for i in rows])
        return out

    def _encoded(self, name: str, params: Sequence[Mapping[str, Any]]) -> np.ndarray:
        distribution = self.distributions[name]
        internal = np.array([distribution.to_internal_repr(p[name]) for p in params], dtype=float)
        if not all(distribution._contains(v) for v in internal):
            raise ValueError(f"A value of {name} lies outside {distribution}.")
        return self._dimensions[self.names.index(name)].encode(internal)

    def covers(self, params: Mapping[str, Any]) -> bool:
        """Return whether ``params`` has some of the parameters, each inside its distribution."""
        shared = self.distributions.keys() & params.keys()
        try:
            return bool(shared) and all(
                self.distributions[name]._contains(
                    self.distributions[name].to_internal_repr(params[name])
                )
                for name in shared
            )
        except (ValueError, TypeError):
            return False

    def sobol(self, n: int, seed: int, start: int = 0) -> np.ndarray:
        """Return points ``start`` … ``start + n - 1`` of a scrambled Sobol sequence, snapped.

        Args:
            n: How many.
            seed: Of the scrambling; the same seed gives the same sequence everywhere.
            start: The first point's index.

        Returns:
            Points of shape (n, d).
        """
        from scipy.stats import qmc  # takes half a second, which a refused command need not wait

        engine = qmc.Sobol(self.n_dimensions, scramble=True, rng=np.random.default_rng(seed))
        if start:
            engine.fast_forward(start)
        return self.snap(_draw(engine, n))


def _draw(engine: qmc.Sobol, n: int) -> np.ndarray:
    # Powers of two are drawn whole: SciPy warns about the balance of any other first number.
    if n == 0:
        return np.empty((0, engine.d))
    if engine.num_generated == 0:
        return engine.random_base2(max(0, math.ceil(math.log2(n))))[:n]
    return engine.random(n)
