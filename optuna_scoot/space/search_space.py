"""Search space: Optuna's distributions to and from the unit cube, and Sobol points in it.

Notation
    d: number of parameters; one dimension of the unit cube each, categorical ones included.
    x: points in the unit cube, shape (n, d). A point is *snapped* when every coordinate is the
        centre of the cell of a representable value, so that equal parameters give equal rows.
    f: number of features the models see; a categorical of k > 2 unordered choices takes k of them.

Every representable value of a discrete parameter owns a cell of the same width (in log scale, of
its own log width), the first and the last one included, so that rounding is fair at the ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from scipy.stats import qmc

from optuna_scoot.space.activity import Activity


_EXACT = 2**53  # integers up to here are floats as well


class _Dimension(Protocol):
    """One parameter as an interval: internal values to and from [0, 1]."""

    n_levels: float

    def decode(self, unit: np.ndarray) -> np.ndarray:
        """Give the nearest representable internal values of unit coordinates (n,)."""

    def encode(self, internal: np.ndarray) -> np.ndarray:
        """Give the unit coordinates (n,) of internal values (n,)."""


class _Continuous:
    def __init__(self, low: float, high: float, log: bool) -> None:
        self.n_levels = math.inf
        self._low, self._high, self._log = low, high, log
        self._bounds = (math.log(low), math.log(high)) if log else (low, high)

    def decode(self, unit: np.ndarray) -> np.ndarray:
        lo, hi = self._bounds
        # A convex combination: high - low may overflow for the widest of ranges.
        value = lo * (1.0 - unit) + hi * unit
        return np.clip(np.exp(value) if self._log else value, self._low, self._high)

    def encode(self, internal: np.ndarray) -> np.ndarray:
        lo, hi = self._bounds
        value = np.log(internal) if self._log else np.asarray(internal, dtype=float)
        half = hi / 2 - lo / 2
        return np.clip((value / 2 - lo / 2) / half, 0.0, 1.0)


class _Stepped:
    """Values low, low + step, …, high; with ``log``, integers of log-uniform weight."""

    def __init__(self, low: float, high: float, step: float, n_levels: int, log: bool) -> None:
        self.n_levels = float(n_levels)
        self._low, self._high, self._step, self._log = low, high, step, log
        top = low + step * (n_levels - 1)
        if log:
            self._bounds = (math.log(low - step / 2), math.log(top + step / 2))
        else:
            self._bounds = (-0.5, n_levels - 0.5)

    def decode(self, unit: np.ndarray) -> np.ndarray:
        lo, hi = self._bounds
        position = lo + (hi - lo) * unit
        if self._log:
            position = (np.exp(position) - self._low) / self._step
        index = np.clip(np.rint(position), 0, self.n_levels - 1)
        # As Optuna does: the sum may stick out by a rounding error.
        return np.clip(self._low + self._step * index, self._low, self._high)

    def encode(self, internal: np.ndarray) -> np.ndarray:
        lo, hi = self._bounds
        index = np.rint((np.asarray(internal, dtype=float) - self._low) / self._step)
        position = np.log(self._low + self._step * index) if self._log else index
        return np.clip((position - lo) / (hi - lo), 0.0, 1.0)

    def all_units(self) -> np.ndarray:
        """Give the unit coordinate of every level, shape (n_levels,)."""
        return self.encode(self._low + self._step * np.arange(int(self.n_levels)))


def _dimension(distribution: BaseDistribution) -> _Dimension:
    if isinstance(distribution, CategoricalDistribution):
        n = len(distribution.choices)
        return _Stepped(0.0, n - 1.0, 1.0, n, log=False)
    if isinstance(distribution, IntDistribution):
        n = (distribution.high - distribution.low) // distribution.step + 1
        low, high = _floats_within(distribution.low, distribution.high)
        return _Stepped(low, high, float(distribution.step), n, distribution.log)
    if isinstance(distribution, FloatDistribution):
        if distribution.step is None:
            return _Continuous(distribution.low, distribution.high, distribution.log)
        n = round((distribution.high - distribution.low) / distribution.step) + 1
        return _Stepped(distribution.low, distribution.high, distribution.step, n, log=False)
    raise NotImplementedError(f"The distribution {distribution} is not supported.")


def _floats_within(low: int, high: int) -> tuple[float, float]:
    """Give the bounds as floats that do not stick out: beyond 2^53 integers are rounded."""
    lowest, highest = float(low), float(high)
    if lowest < low:
        lowest = math.nextafter(lowest, math.inf)
    if highest > high:
        highest = math.nextafter(highest, -math.inf)
    return lowest, highest


def _is_ordered(distribution: BaseDistribution) -> bool:
    """Tell whether neighbouring levels are alike: all but categoricals of non-numbers."""
    if not isinstance(distribution, CategoricalDistribution):
        return True
    choices = [plain(choice) for choice in distribution.choices]
    numeric = all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in choices)
    return len(choices) <= 2 or (numeric and choices == sorted(choices))


class SearchSpace:
    """A box of named parameters, seen as the unit cube.

    In a conditional space a point need not have all of them. The coordinate of one that is not
    active rests in the middle of its range, and the models see it there: points that differ in
    what is not asked for are the same point.

    Args:
        distributions: Optuna's distribution of each parameter; the order of the dimensions.
        pinned: Values of parameters that are settled: every snapped point has them.
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
        self._dimensions = [_dimension(d) for d in self.distributions.values()]
        self.n_levels = np.array([d.n_levels for d in self._dimensions])
        self._one_hot = np.array(
            [not _is_ordered(d) for d in self.distributions.values()], dtype=bool
        )
        # How many columns each parameter has among the features.
        self._widths = np.where(self._one_hot, self.n_levels, 1.0).astype(int)
        self.is_categorical = np.array(
            [isinstance(d, CategoricalDistribution) for d in self.distributions.values()],
            dtype=bool,
        )
        self._activity = activity
        middle = np.array([0.5])
        self._resting = np.array([d.encode(d.decode(middle))[0] for d in self._dimensions])
        self._pinned = {
            self.names.index(name): self._encoded(name, [{name: value}])[0]
            for name, value in (pinned or {}).items()
        }

    @property
    def n_dimensions(self) -> int:
        """The number d of parameters."""
        return len(self.names)

    @property
    def n_points(self) -> float:
        """The number of distinct configurations; infinite with a continuous parameter."""
        free = [levels for j, levels in enumerate(self.n_levels) if j not in self._pinned]
        return float(np.prod(free))

    @property
    def n_features(self) -> int:
        """The number f of columns that :meth:`features` gives."""
        return int(self._widths.sum())

    def all_units(self, j: int) -> np.ndarray:
        """Give the unit coordinates of all levels of parameter j, discrete or pinned to one."""
        if j in self._pinned:
            return np.array([self._pinned[j]])
        dimension = self._dimensions[j]
        assert isinstance(dimension, _Stepped)
        return dimension.all_units()

    def snap(self, x: np.ndarray) -> np.ndarray:
        """Move points (n, d) to the centres of their cells, shape (n, d)."""
        out = np.empty_like(x, dtype=float)
        for j, dimension in enumerate(self._dimensions):
            out[:, j] = dimension.encode(dimension.decode(x[:, j]))
        return self.settled(out)

    def settled(self, x: np.ndarray) -> np.ndarray:
        """Give snapped points (n, d) with what is pinned, and at rest what is not active."""
        out = x.copy()
        for j, unit in self._pinned.items():
            out[:, j] = unit
        return np.where(self.active(out), out, self._resting) if self.is_conditional else out

    @property
    def is_conditional(self) -> bool:
        """Whether some points have fewer parameters than d."""
        return self._activity is not None

    def active(self, x: np.ndarray) -> np.ndarray:
        """Tell which parameters the snapped points (n, d) ask for: Booleans of shape (n, d)."""
        if self._activity is None:
            return np.ones(x.shape, dtype=bool)
        return self._activity(self._all_features(x))

    @property
    def typical_size(self) -> int:
        """How many parameters a configuration has: d, in a conditional space their average."""
        return self.n_dimensions if self._activity is None else self._activity.typical_size

    def features(self, x: np.ndarray) -> np.ndarray:
        """Give what the models see of snapped points (n, d): shape (n, f), within [0, 1].

        Discrete levels spread over the whole of [0, 1]; unordered categoricals are one-hot, with
        no level at all where they are not active. Other inactive parameters are seen at 0.5.
        """
        features = self._all_features(x)
        if self._activity is None:
            return features
        active = np.repeat(self.active(x), self._widths, axis=1)
        return np.where(active, features, np.where(self._of_one_hot(), 0.0, 0.5))

    def owners(self) -> np.ndarray:
        """Give the parameter of each feature: indices of shape (f,)."""
        return np.repeat(np.arange(self.n_dimensions), self._widths)

    def _of_one_hot(self) -> np.ndarray:
        return np.asarray(np.repeat(self._one_hot, self._widths))

    def _all_features(self, x: np.ndarray) -> np.ndarray:
        """Give the features as if all parameters were active."""
        columns: list[np.ndarray] = []
        for j, dimension in enumerate(self._dimensions):
            column = x[:, j]
            if self._one_hot[j]:
                level = np.rint(dimension.decode(column)).astype(int)
                columns.extend(np.eye(int(dimension.n_levels))[level].T)
            else:
                edges = dimension.encode(dimension.decode(np.array([0.0, 1.0])))
                width = max(edges[1] - edges[0], 1e-12)
                columns.append((column - edges[0]) / width)
        return np.stack(columns, axis=1)

    def level_features(self) -> np.ndarray:
        """Tell which features are levels of a categorical or Boolean: Booleans of shape (f,)."""
        is_level = self._one_hot | (self.is_categorical & (self.n_levels <= 2))
        return np.repeat(is_level, self._widths)

    def levels(self, x: np.ndarray) -> np.ndarray:
        """Tell which levels of the categoricals and Booleans points (n, d) have.

        Returns:
            Booleans of shape (n, l), one column a level.
        """
        seen = self.features(x)[:, self.level_features()]
        return np.concatenate([seen > 0.5, seen[:, self._two_levels()] < 0.5], axis=1)

    def features_of_levels(self) -> np.ndarray:
        """Give the feature by which each level of :meth:`levels` is seen: indices (l,)."""
        index = np.flatnonzero(self.level_features())
        return np.concatenate([index, index[self._two_levels()]])

    def _two_levels(self) -> np.ndarray:
        """Tell which of the level features stand for two levels, their 0 and their 1."""
        return np.asarray(np.repeat(~self._one_hot, self._widths)[self.level_features()])

    def columns(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Give the parameter values of points (n, d): for each name an array (n,)."""
        return {name: self.column(j, x[:, j]) for j, name in enumerate(self.names)}

    def column(self, j: int, units: np.ndarray) -> np.ndarray:
        """Give the values (n,) of parameter number j at unit coordinates (n,).

        Integers that no 64 bits hold come as Python's.
        """
        distribution = self.distributions[self.names[j]]
        internal = self._dimensions[j].decode(units)
        if isinstance(distribution, CategoricalDistribution):
            return np.asarray(_choices_array(distribution.choices)[internal.astype(int)])
        if isinstance(distribution, IntDistribution):
            if max(-distribution.low, distribution.high) > _EXACT:
                return _integers(distribution, internal)
            return np.asarray(np.rint(internal).astype(np.int64))
        return internal

    def snap_column(self, j: int, units: np.ndarray) -> np.ndarray:
        """Move coordinates (n,) of parameter number j to the centres of their cells."""
        return np.asarray(self._dimensions[j].encode(self._dimensions[j].decode(units)))

    @property
    def is_pinned(self) -> np.ndarray:
        """Whether each parameter is settled, Booleans of shape (d,)."""
        return np.asarray(np.isin(np.arange(self.n_dimensions), list(self._pinned)))

    def to_params(self, point: np.ndarray) -> dict[str, Any]:
        """Give the parameters of one point (d,) as plain Python values."""
        params: dict[str, Any] = {}
        for j, (name, distribution) in enumerate(self.distributions.items()):
            internal = float(self._dimensions[j].decode(point[j : j + 1])[0])
            params[name] = _external(distribution, internal)
        return params

    def to_unit(self, params: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Give the snapped points (n, d) of parameter dictionaries.

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
        """Tell whether ``params`` has some of the parameters, each inside its distribution."""
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
        """Give points number ``start`` … ``start + n - 1`` of a scrambled Sobol sequence, snapped.

        Args:
            n: How many.
            seed: Of the scrambling; the same seed gives the same sequence everywhere.
            start: The first point's index.

        Returns:
            Points of shape (n, d).
        """
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


def _choices_array(choices: Sequence[Any]) -> np.ndarray:
    """Hold choices in an array without NumPy turning mixed kinds into strings."""
    choices = [plain(choice) for choice in choices]
    if all(isinstance(c, bool) for c in choices):
        return np.array(choices)
    if all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in choices):
        return np.array(choices)
    out = np.empty(len(choices), dtype=object)
    out[:] = choices
    return out


def _integers(distribution: IntDistribution, internal: np.ndarray) -> np.ndarray:
    """Give integers (n,) of any size: of 64 bits where the whole range fits, else as objects."""
    low, step = distribution.low, distribution.step
    # In whole numbers, as one configuration's.
    whole = np.frompyfunc(int, 1, 1)(np.rint(internal))
    values = low + step * ((whole - low + step // 2) // step)
    bounds = np.iinfo(np.int64)
    fit = bounds.min <= low and distribution.high <= bounds.max
    return np.asarray(values.astype(np.int64) if fit else values)


def _external(distribution: BaseDistribution, internal: float) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(internal)]
    if isinstance(distribution, IntDistribution):
        # In whole numbers: the float of a large one need not lie on the grid.
        steps = (round(internal) - distribution.low + distribution.step // 2) // distribution.step
        return distribution.low + distribution.step * steps
    return float(internal)


def plain(value: Any) -> Any:
    """Give NumPy's kinds of numbers, Booleans and strings as Python's."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.size == 1):
        return value.item()
    return value


def row_keys(x: np.ndarray) -> list[bytes]:
    """Give a hashable key of each snapped point (n, d), equal for equal points.

    Rounded, since a continuous value does not come back from its distribution to the last bit;
    adding zero turns -0.0 into 0.0.
    """
    return [row.tobytes() for row in np.round(np.ascontiguousarray(x, dtype=float), 10) + 0.0]
