"""What values a parameter can have, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution


if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def values_of(distribution: BaseDistribution) -> str:
    """Return a parameter's values in words: "one of 8, 16, 32", "a whole number from 1 to 9"."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return f"one of {', '.join(map(str, choices))}"
        case IntDistribution(low=low, high=high, step=step):
            kind = "a whole number" if step == 1 else f"a multiple of {step}, counted from {low},"
            return f"{kind} from {low} to {high}"
        case FloatDistribution(low=low, high=high, step=step):
            kind = "a number" if step is None else f"a multiple of {step:g}, counted from {low:g},"
            return f"{kind} from {low:g} to {high:g}"
    return f"in {distribution}"
