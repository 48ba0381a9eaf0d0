"""Observations of trials on the unit square, and what is learnt from them, for unit tests."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import ArrayLike
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from optuna_scoot import FeasibilityThreshold
from optuna_scoot import KnownConstraints
from optuna_scoot import Method
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.model import Model
from optuna_scoot.model import learn
from optuna_scoot.observations import Observations
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.startup import StartupChoice
from optuna_scoot.startup import startup_point
from optuna_scoot.trials.history import History
from optuna_scoot.trials.reading import observe
from tests.optuna_scoot.studies import add


SQUARE: dict[str, BaseDistribution] = {name: FloatDistribution(0.0, 1.0) for name in "ab"}
"""Here a point's parameters are its coordinates in the unit cube."""


def domain_of(axes: Mapping[str, BaseDistribution], *known: str) -> Domain:
    """Give a space with its known constraints."""
    return Domain(SearchSpace(axes), KnownConstraints(known))


def startup(
    domain: Domain,
    index: int,
    seed: int,
    *,
    covering: bool = True,
    tried: ArrayLike | None = None,
    ran: ArrayLike | None = None,
    crashed: ArrayLike | None = None,
) -> np.ndarray:
    """Return a start-up point where some run, ran or crashed before; by default none."""
    d = domain.space.n_dimensions
    pending, completed, failed = (
        np.empty((0, d)) if points is None else np.asarray(points, dtype=float)
        for points in (tried, ran, crashed)
    )
    before = Observations(
        x=completed,
        values=np.ones((len(completed), 1)),
        constraints=np.empty((len(completed), 0)),
        crashed=failed,
        pruned=np.empty((0, d)),
        pending=pending,
        outcomes=(),
        reference_point=None,
    )
    choice = StartupChoice() if covering else StartupChoice.paper()
    return startup_point(domain, index, seed, before, choice)


def observed(
    x: ArrayLike,
    values: ArrayLike,
    *,
    axes: Mapping[str, BaseDistribution] = SQUARE,
    directions: Sequence[str] | None = None,
    constraints: ArrayLike | None = None,
    crashed: ArrayLike = (),
    pruned: ArrayLike = (),
    pending: ArrayLike = (),
    phases: Sequence[str] = (),
    reference_point: Sequence[float] | None = None,
) -> Observations:
    """Observe completed trials, then those that crashed, were pruned after a report, or run.

    Args:
        x: Coordinates of the completed trials, shape (n, d).
        values: Their values, shape (n,) or (n, m).
        axes: The space of d parameters.
        directions: Of the m objectives; None minimises all.
        constraints: Their measured constraints, shape (n, c).
        crashed: Coordinates of those that crashed, shape (k, d).
        pruned: The same of the pruned ones.
        pending: The same of the running ones.
        phases: Of the completed trials; the last is that of all further ones, ``"startup"`` where
            there is none.
        reference_point: Of the hypervolume.
    """
    table = np.asarray(values, dtype=float)
    table = table[:, np.newaxis] if table.ndim == 1 else table
    study = optuna.create_study(directions=directions or ["minimize"] * table.shape[1])
    space = SearchSpace(axes)

    def put(point: np.ndarray, outcome: list[float] | None, **kwargs: Any) -> None:
        number = len(study.get_trials(deepcopy=False))
        phase = phases[min(number, len(phases) - 1)] if phases else "startup"
        params = space.to_params(np.asarray(point, dtype=float))
        add(study, params, outcome, axes, user_attrs={"scoot:phase": phase}, **kwargs)

    for i, point in enumerate(np.asarray(x, dtype=float)):
        measured = [] if constraints is None else np.asarray(constraints, dtype=float)[i]
        named = {f"c{j}": float(value) for j, value in enumerate(measured)}
        put(point, table[i].tolist(), **({"constraints": named} if named else {}))
    for point in np.asarray(crashed, dtype=float):
        put(point, None)
    for point in np.asarray(pruned, dtype=float):
        put(point, None, state=TrialState.PRUNED, intermediate_values={0: 1.0})
    for point in np.asarray(pending, dtype=float):
        put(point, None, state=TrialState.RUNNING)
    return observe(
        History.of(study.get_trials()), space, study.directions, reference_point=reference_point
    )


def learnt(
    observations: Observations,
    method: Method,
    axes: Mapping[str, BaseDistribution] = SQUARE,
    threshold: FeasibilityThreshold | None = None,
) -> Model:
    """Learn without known constraints, from one seed."""
    return learn(
        observations=observations,
        domain=domain_of(axes),
        method=method,
        threshold=threshold or FeasibilityThreshold(),
        seed=0,
    )
