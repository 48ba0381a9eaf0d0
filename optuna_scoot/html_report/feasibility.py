"""Where configurations run and where they crash, as the sampler's own forest learnt it.

The probability of feasibility (paper, section IV-G) has as many dimensions as parameters. It is
shown over the two that change it most, on average over all others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution

from optuna_scoot.constraints.domain import Domain
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.feasibility.forest import FeasibilityForest
from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.trials.outcomes import Outcome


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna_scoot.space.search_space import SearchSpace
    from optuna_scoot.trials.history import Record


_Pof = Callable[[np.ndarray], np.ndarray]  # of points (n, d): shape (n,)

_RAN = (Outcome.COMPLETED, Outcome.PRUNED)
_MOST_TRIALS = 400  # as many as the sampler learns from
_N_OTHERS = 128  # points of the other parameters that are averaged over
_MOST_OTHERS = 4096  # looked at where known constraints leave few of them
_N_EFFECTS = 512  # points by which the parameters are told apart
_N_STEPS = 25  # along a number
_FEW_LEVELS = 8  # up to as many are named one by one


@dataclass(frozen=True)
class Axis:
    """A parameter along which feasibility is shown.

    Attributes:
        name: The parameter.
        values: Along the axis, increasing where they are numbers.
        is_log: Whether the axis is logarithmic.
        is_listed: Whether the values are few, and named one by one.
    """

    name: str
    values: tuple[Any, ...]
    is_log: bool
    is_listed: bool


@dataclass(frozen=True)
class Tried:
    """A trial among the two parameters: its number, where it lies, whether it ran."""

    number: int
    x: Any
    y: Any
    ran: bool


@dataclass(frozen=True)
class FeasibilityMap:
    """The probability of feasibility over one or two parameters.

    Attributes:
        x: The parameter that tells most.
        y: The one that tells next; None where there is only one.
        pof: Shape (values of y, values of x), the first being 1 without y; NaN where known
            constraints leave nothing.
        tried: The trials that ran or crashed, as far as they have these parameters.
        n_parameters: How many the forest sees.
        n_ran: Trials that it learnt from which ran.
        n_crashed: And those that crashed.
    """

    x: Axis
    y: Axis | None
    pof: np.ndarray
    tried: tuple[Tried, ...]
    n_parameters: int
    n_ran: int
    n_crashed: int

    @property
    def has_gaps(self) -> bool:
        """Return whether known constraints rule out a part."""
        return bool(np.isnan(self.pof).any())


def learn_feasibility(
    records: Sequence[Record],
    space: SearchSpace,
    known: KnownConstraints | None = None,
    seed: int = 0,
) -> FeasibilityMap | None:
    """Return where configurations run; None where none or all of them crashed.

    Args:
        records: Trials that say something about the parameters, by their numbers.
        space: Of these parameters.
        known: The known constraints; outside of them nothing is shown.
        seed: Of the forest.
    """
    told = [r for r in records if r.outcome in (*_RAN, Outcome.CRASHED)][-_MOST_TRIALS:]
    ran = np.array([r.outcome in _RAN for r in told], dtype=bool)
    if ran.all() or not ran.any():
        return None
    features = space.features(space.to_unit([r.params for r in told]))
    forest = FeasibilityForest(
        features, ran, is_level=space.is_level, choice=ForestChoice(), seed=seed
    )

    def pof_of(points: np.ndarray) -> np.ndarray:
        return forest.probability(space.features(points))

    domain = Domain(space, KnownConstraints() if known is None else known)
    others = space.sobol(_MOST_OTHERS, seed)
    told_most = np.argsort(-_effects(pof_of, space, others[:_N_EFFECTS]), kind="stable")[:2]
    j = int(told_most[0])
    k = int(told_most[1]) if len(told_most) > 1 else None
    x, x_units = _axis(space, j)
    y, y_units = (None, np.array([0.5])) if k is None else _axis(space, k)
    pof = np.array(
        [
            [_mean(pof_of, domain, others, {j: a} if k is None else {j: a, k: b}) for a in x_units]
            for b in y_units
        ]
    )
    tried = _tried(told, ran, x, y)
    n_ran = int(ran.sum())
    return FeasibilityMap(x, y, pof, tried, space.n_dimensions, n_ran, len(ran) - n_ran)


def _effects(pof_of: _Pof, space: SearchSpace, points: np.ndarray) -> np.ndarray:
    """Return how much each parameter changes the probability, shape (d,).

    Half the mean square of the change when it alone is drawn anew: its total
    effect (Jansen, 1999).
    """
    before = pof_of(points)
    effects = np.empty(space.n_dimensions)
    rng = np.random.default_rng(0)
    for j in range(space.n_dimensions):
        changed = points.copy()
        changed[:, j] = rng.permutation(points[:, j])  # Sobol points a distance apart are akin
        after = pof_of(space.at_rest(changed))
        effects[j] = 0.5 * np.mean((after - before) ** 2)
    return effects


def _axis(space: SearchSpace, j: int) -> tuple[Axis, np.ndarray]:
    """Return the axis of parameter number j, and its values' unit coordinates."""
    name = space.names[j]
    distribution = space.distributions[name]
    listed = space.n_levels[j] <= _FEW_LEVELS
    if listed or isinstance(distribution, CategoricalDistribution):
        units = space.all_units(j)
    else:
        units = np.unique(space.snap_column(j, np.linspace(0.0, 1.0, _N_STEPS)))
    values = [_plain(value) for value in space.column(j, units)]
    if not isinstance(distribution, CategoricalDistribution):
        order = np.argsort(values, kind="stable")
        units, values = units[order], [values[i] for i in order]
    is_log = bool(getattr(distribution, "log", False))
    is_listed = bool(listed or isinstance(distribution, CategoricalDistribution))
    return Axis(name, tuple(values), is_log and not is_listed, is_listed), units


def _mean(pof_of: _Pof, domain: Domain, others: np.ndarray, fixed: dict[int, float]) -> float:
    """Return the mean probability with some coordinates fixed; NaN where nothing is valid."""
    for n in (_N_OTHERS, _MOST_OTHERS):
        points = others[:n].copy()
        for j, unit in fixed.items():
            points[:, j] = unit
        points = domain.space.at_rest(points)
        points = points[domain.valid(points)][:_N_OTHERS]
        if len(points):
            return float(np.mean(pof_of(points)))
    return float("nan")


def _tried(told: Sequence[Record], ran: np.ndarray, x: Axis, y: Axis | None) -> tuple[Tried, ...]:
    names = [x.name] if y is None else [x.name, y.name]
    return tuple(
        Tried(r.trial.number, r.params[x.name], None if y is None else r.params[y.name], bool(ok))
        for r, ok in zip(told, ran, strict=True)
        if all(name in r.params for name in names)
    )


def _plain(value: Any) -> Any:
    """Return a value of an array as Python has it."""
    return value.item() if isinstance(value, np.generic) else value
