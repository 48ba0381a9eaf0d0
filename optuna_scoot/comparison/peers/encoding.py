"""Optuna's parameters as the plain ones of other packages.

A choice is the index of its level as a text; a stepped number, unless it is logarithmic, is the
number of its step.
"""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution


def levels(distribution: CategoricalDistribution) -> list[str]:
    """Return the levels of a choice."""
    return [str(index) for index in range(len(distribution.choices))]


def n_steps(distribution: FloatDistribution | IntDistribution) -> int | None:
    """Return the number of the last step of a stepped number, None for one that has none."""
    if distribution.log or distribution.step is None:
        return None
    return round((distribution.high - distribution.low) / distribution.step)


def encode(distribution: BaseDistribution, value: Any) -> Any:
    """Return a value of Optuna's as another package has it."""
    if isinstance(distribution, CategoricalDistribution):
        return str(distribution.choices.index(value))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if distribution.log or distribution.step is None:
        return value
    return round((value - distribution.low) / distribution.step)


def decode(distribution: BaseDistribution, value: Any) -> Any:
    """Return another package's value as Optuna has it, within the distribution's bounds."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(value)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if not distribution.log and distribution.step is not None:
        value = distribution.low + int(value) * distribution.step
    bounded = min(max(value, distribution.low), distribution.high)
    return round(bounded) if isinstance(distribution, IntDistribution) else float(bounded)
