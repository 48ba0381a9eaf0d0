"""What the operators and functions of an expression mean, on scalars and on arrays alike."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np


ROUNDING = 1e-9
"""Floats that differ by such a share of what they were computed from are equal."""


def _quotient(left: Any, right: Any) -> Any:
    whole, near = _nearest_multiple(left, right)
    return np.where(near, whole, np.floor_divide(left, right))


def _remainder(left: Any, right: Any) -> Any:
    _, near = _nearest_multiple(left, right)
    return np.where(near, 0.0, np.mod(left, right))


def _nearest_multiple(left: Any, right: Any) -> tuple[Any, Any]:
    """Return the nearest whole quotient, and where it is meant: 0.3 is three times 0.1."""
    quotient = np.true_divide(left, right)
    whole = np.rint(quotient)
    near = np.abs(quotient - whole) <= ROUNDING * np.maximum(1.0, np.abs(quotient))
    return whole, near & ~(is_whole(left) & is_whole(right))


def is_whole(value: Any) -> Any:
    """Return where numbers are whole."""
    return np.rint(value) == value


def fold(function: Callable[[Any, Any], Any], args: Sequence[Any]) -> Any:
    """Return what a function of two arguments makes of one or more."""
    result = args[0]
    for value in args[1:]:
        result = function(result, value)
    return result


BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: _quotient,
    ast.Mod: _remainder,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "min": lambda *args: fold(np.minimum, args),
    "max": lambda *args: fold(np.maximum, args),
    "log2": np.log2,
}
