"""What the user has fixed of a trial before a sampler is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import PartialFixedSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.trials.outcomes import enqueued_params


def enqueued_values(
    trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
) -> dict[str, Any]:
    """Return the values that the user enqueued of parameters in the space, within their ranges."""
    values: dict[str, Any] = {}
    for name, value in enqueued_params(trial).items():
        distribution = search_space.get(name)
        if distribution is not None and SearchSpace({name: distribution}).covers({name: value}):
            values[name] = value
    return values


def partially_fixed(study: Study) -> dict[str, Any]:
    """Return what a ``PartialFixedSampler`` around the study's sampler fixes.

    It takes these out of the search space and puts them in later, where the known constraints
    would not see them.
    """
    around = getattr(study, "sampler", None)
    return dict(around._fixed_params) if isinstance(around, PartialFixedSampler) else {}


def single_values(distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Return the values of parameters that can take only one."""
    values: dict[str, Any] = {}
    for name, distribution in distributions.items():
        if distribution.single():
            low = getattr(distribution, "low", None)
            values[name] = distribution.to_external_repr(0.0 if low is None else float(low))
    return values
