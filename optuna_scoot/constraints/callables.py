"""Known constraints that are callables: what they look at, what they return, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np

from optuna_scoot.constraints.expression import ConstraintError
from optuna_scoot.space.dimension import plain


CallableConstraint = Callable[[Mapping[str, Any]], float]
"""Takes a configuration and returns a number, satisfied where ≤ 0; NaN counts as violated."""


class Recorded(dict[str, Any]):
    """Parameters that remember which of them a callable asked for, and which were not there."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self.asked: set[str] = set()
        self.missing: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)

    def __missing__(self, name: str) -> Any:
        self.missing.add(name)
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value as a dictionary does."""
        if name in self:
            self.asked.add(name)
        return super().get(name, default)


def name_of(function: Callable[..., Any]) -> str:
    """Return what a callable is called in messages."""
    return str(getattr(function, "__name__", function))


def is_satisfied(value: float) -> bool:
    """Return whether a callable's value means satisfied."""
    return value <= 0.0  # NaN is not


def callable_holds(function: CallableConstraint, params: Mapping[str, Any]) -> bool:
    """Return whether a configuration satisfies a callable, as far as it is determined."""
    return is_satisfied(callable_value(function, Recorded(params)))


def missing_names(function: CallableConstraint, params: Mapping[str, Any]) -> set[str]:
    """Return the parameters that a callable asks for in vain."""
    seen = Recorded(params)
    try:
        function(seen)
    except KeyError:
        return seen.missing
    except Exception:  # what else is wrong with it is told where it is needed
        return set()
    return set()


def callable_value(function: CallableConstraint, params: Recorded) -> float:
    """Return a callable's value; -inf where it asks for a parameter that is not drawn yet."""
    try:
        value = function(params)
    except KeyError:
        # Anything else that it lacks is a mistake.
        if params.missing:
            return -np.inf
        raise
    name = name_of(function)
    value = plain(value)
    if isinstance(value, bool):
        raise ConstraintError(
            f"The known constraint {name!r} returned {value}, which may mean satisfied or "
            "violated; return a number, satisfied where <= 0, such as p['a'] - p['b'], or write "
            "the condition as a string, such as 'a <= b'."
        )
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf
    except (TypeError, ValueError) as error:
        raise ConstraintError(
            f"The known constraint {name!r} returned {value!r}; it must return a number, "
            "satisfied where <= 0."
        ) from error
