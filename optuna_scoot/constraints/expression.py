"""Expressions over parameter names: whether they hold, and by how much they do not.

An expression is parsed into a syntax tree of which only a small part of Python is allowed; nothing
is ever ``eval``-ed. Floats are compared as people mean it: 0.1 + 0.2 + 0.7 is one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from collections.abc import Mapping
from functools import reduce
from numbers import Real
from typing import Any

import numpy as np

from optuna_scoot.constraints.names import Renamed
from optuna_scoot.constraints.names import readable
from optuna_scoot.constraints.names import spellings
from optuna_scoot.constraints.operators import BINARY
from optuna_scoot.constraints.operators import COMPARE
from optuna_scoot.constraints.operators import FUNCTIONS
from optuna_scoot.constraints.operators import OPPOSITE
from optuna_scoot.constraints.operators import ROUNDING
from optuna_scoot.constraints.operators import fold
from optuna_scoot.constraints.operators import is_whole


_LEAST_VIOLATION = 1e-12  # of what is violated by a rounding error, or by "a < b" where a is b
_ONE_ARGUMENT = frozenset({"abs", "log2"})
_LISTS = (ast.List, ast.Tuple, ast.Set)
_ALLOWED = (
    ast.Name,
    ast.Load,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.UAdd,
    ast.BinOp,
    ast.In,
    ast.NotIn,
    ast.IfExp,
    *_LISTS,
    *BINARY,
    *COMPARE,
)
_DEEPEST = 100  # levels of nesting; ten times as many would exhaust the interpreter's stack
_HELP = (
    "allowed are parameter names (odd ones in backticks: `opt/a`), numbers, strings, "
    "True/False/None, + - * / // %, comparisons, in / not in a list, and / or / not, if-else, "
    "abs, min, max, log2"
)


class ConstraintError(ValueError):
    """A known constraint is malformed, cannot be evaluated, or leaves nothing to suggest."""


class Expression:
    """A whitelisted expression such as ``"max_num_seqs <= max_num_batched_tokens"``.

    Args:
        text: The expression; it must be a condition, true where the constraint is satisfied.
        names: Of the parameters, as far as they are known: names such as ``max-num-seqs`` are
            then read as a whole. In backticks they always are.

    Raises:
        ConstraintError: When the text is not an expression, uses anything that is not allowed, or
            names no parameter.
    """

    def __init__(self, text: str, names: Iterable[str] = ()) -> None:
        self.text = text
        self._spelt = spellings(text, names)
        code, meant = readable(text, self._spelt)
        try:
            tree = ast.parse(code, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ConstraintError(
                f"The known constraint {text!r} is not an expression; {_HELP}."
            ) from error
        if _is_deep(tree):
            raise ConstraintError(
                f"The known constraint '{text[:60]}...' is nested more than {_DEEPEST} levels "
                "deep; write it as several constraints."
            )
        self._tree: ast.expr = Renamed(meant).visit(tree)
        functions = {
            node.func.id
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        self.names = frozenset(
            node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)
        ) - (functions & FUNCTIONS.keys())
        self._check(self._tree)
        if not self.names:
            raise ConstraintError(f"The known constraint {text!r} names no parameter.")
        if not _is_condition(self._tree):
            raise ConstraintError(
                f"The known constraint {text!r} is not a condition; write a comparison such as "
                "'a <= b', or a Boolean parameter."
            )

    def among(self, names: Iterable[str]) -> Expression:
        """Return the same expression as it reads among parameters of these names."""
        names = set(names)
        return self if spellings(self.text, names) == self._spelt else Expression(self.text, names)

    def _check(self, node: ast.AST) -> None:
        if not _is_allowed(node):
            part = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
            raise ConstraintError(
                f"The known constraint {self.text!r} uses {part!r}, which is not allowed; {_HELP}."
            )
        for child in ast.iter_child_nodes(node):
            self._check(child)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Evaluate on scalars (one configuration) or on arrays (n,), element by element.

        Raises:
            KeyError: When a named parameter is missing from ``values``.
            ConstraintError: When the values do not fit the expression (a string compared with
                a number).
        """
        try:
            with np.errstate(divide="ignore", invalid="ignore"):
                return self._value(self._tree, values)
        except (TypeError, ValueError) as error:
            raise ConstraintError(
                f"The known constraint {self.text!r} does not fit its parameters: {error}."
            ) from error

    def violation(self, values: Mapping[str, Any]) -> np.ndarray:
        """Measure how far the values are from satisfying the expression.

        A comparison counts the difference of its sides as a share of their size, ``and`` adds up,
        ``or`` takes the least; what is not a number counts one.

        Args:
            values: As of a call.

        Returns:
            Numbers ≥ 0, shape () or (n,); 0 exactly where the expression holds.

        Raises:
            KeyError: As a call.
            ConstraintError: As a call.
        """
        holds = _truth(self(values))
        with np.errstate(all="ignore"):
            distance = self._distance(self._tree, values, True)
        return np.where(holds, 0.0, _at_least_little(distance))

    def _distance(self, node: ast.expr, values: Mapping[str, Any], wanted: bool) -> Any:
        """Measure how far a condition is from being true, or from being false."""
        if isinstance(node, ast.UnaryOp):
            return self._distance(node.operand, values, not wanted)
        if isinstance(node, ast.BoolOp):
            together = isinstance(node.op, ast.And) == wanted
            parts = [self._distance(operand, values, wanted) for operand in node.values]
            return reduce(np.add if together else np.minimum, parts)
        if isinstance(node, ast.IfExp):
            ways = [
                np.add(self._distance(node.test, values, test), self._distance(b, values, wanted))
                for test, b in ((True, node.body), (False, node.orelse))
            ]
            return np.minimum(*ways)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            kinds = [type(op) if wanted else OPPOSITE[type(op)] for op in node.ops]
            links = [
                self._gap(op, left, right, values)
                for op, left, right in zip(kinds, sides, sides[1:], strict=False)
            ]
            return reduce(np.add if wanted else np.minimum, links)
        return np.where(_truth(self._value(node, values)) == wanted, 0.0, 1.0)

    def _gap(
        self, op: type[ast.cmpop], left: ast.expr, right: ast.expr, values: Mapping[str, Any]
    ) -> Any:
        """Measure how far one comparison is from holding."""
        if isinstance(right, _LISTS):
            single = ast.Eq if op is ast.In else ast.NotEq
            gaps = [self._gap(single, left, element, values) for element in right.elts]
            if not gaps:
                return 0.0 if op is ast.NotIn else 1.0
            return reduce(np.minimum if op is ast.In else np.add, gaps)
        try:
            a, b = self._value(left, values), self._value(right, values)
            holds = self._holds(op, left, right, values)
        except (TypeError, ValueError):  # None among numbers; a guard goes before it
            return 1.0
        try:
            a, b = _number(a), _number(b)
        except (TypeError, ValueError):
            return np.where(holds, 0.0, 1.0)
        size = np.abs(a) + np.abs(b)
        if op is ast.Eq and isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mod):
            size = np.abs(_number(self._value(left.right, values)))
            a, b = np.minimum(np.abs(a - b), size - np.abs(a - b)), 0.0
        gap = np.where(size > 0.0, np.abs(a - b) / np.where(size > 0.0, size, 1.0), 0.0)
        return np.where(holds, 0.0, _at_least_little(gap))

    def _value(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return values[node.id]
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left, values), self._value(node.right, values)
            return BINARY[type(node.op)](_number(left), _number(right))
        if isinstance(node, ast.UnaryOp):
            value = self._value(node.operand, values)
            if isinstance(node.op, ast.Not):
                return np.logical_not(value)
            return -_number(value) if isinstance(node.op, ast.USub) else _number(value)
        if isinstance(node, ast.BoolOp):
            return self._combination(node, values)
        if isinstance(node, ast.Compare):
            return self._comparison(node, values)
        if isinstance(node, ast.IfExp):
            test = _truth(self._value(node.test, values))
            if test.ndim == 0:
                return self._value(node.body if test else node.orelse, values)
            branches = (np.asarray(self._value(b, values)) for b in (node.body, node.orelse))
            return np.where(test, *(_as_objects(b) for b in branches))
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            return FUNCTIONS[node.func.id](*(_number(self._value(a, values)) for a in node.args))
        assert isinstance(node, (ast.List, ast.Tuple, ast.Set))
        return [self._value(element, values) for element in node.elts]

    def _combination(self, node: ast.BoolOp, values: Mapping[str, Any]) -> Any:
        either = isinstance(node.op, ast.Or)
        result = np.asarray(not either)
        for operand in node.values:
            if result.ndim == 0 and bool(result) == either:
                # As in Python, "x == None or x <= 3" never compares None with a number.
                break
            value = _truth(self._value(operand, values))
            result = np.logical_or(result, value) if either else np.logical_and(result, value)
        return result

    def _comparison(self, node: ast.Compare, values: Mapping[str, Any]) -> Any:
        result: Any = True
        sides = [node.left, *node.comparators]
        for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
            if isinstance(right, _LISTS):
                equal = [self._holds(ast.Eq, left, element, values) for element in right.elts]
                found = fold(np.logical_or, [False, *equal])
                holds = found if isinstance(op, ast.In) else np.logical_not(found)
            else:
                holds = self._holds(type(op), left, right, values)
            result = np.logical_and(result, holds)
        return result

    def _holds(
        self, op: type[ast.cmpop], left: ast.expr, right: ast.expr, values: Mapping[str, Any]
    ) -> Any:
        """Compare two sides; floats within a rounding error of each other are equal."""
        a, b = self._value(left, values), self._value(right, values)
        holds = COMPARE[op](a, b)
        kinds = np.asarray(a).dtype.kind + np.asarray(b).dtype.kind
        if "f" not in kinds or not set(kinds) <= set("biuf"):
            return holds
        fractional = ~(is_whole(a) & is_whole(b))
        if not np.any(fractional):
            return holds
        size = np.add(self._size(left, values), self._size(right, values))
        equal = fractional & (np.abs(np.subtract(a, b, dtype=float)) <= ROUNDING * size)
        return np.where(equal, op in (ast.Eq, ast.LtE, ast.GtE), holds)

    def _size(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        """Return the size of what a number was reckoned from, of which its error is a share."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            return np.add(self._size(node.left, values), self._size(node.right, values))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return np.multiply(self._size(node.left, values), self._size(node.right, values))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            divisor = np.abs(_number(self._value(node.right, values)))
            return np.divide(self._size(node.left, values), divisor)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            return self._size(node.operand, values)
        if isinstance(node, ast.Call):
            sizes = (self._size(argument, values) for argument in node.args)
            least = 1.0 if getattr(node.func, "id", "") == "log2" else 0.0
            return reduce(np.maximum, sizes, least)
        return np.abs(_number(self._value(node, values)))


def _is_deep(tree: ast.AST) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)


def _is_allowed(node: ast.AST) -> bool:
    """Return whether a node may stand in an expression; lists stand behind ``in`` alone."""
    if isinstance(node, ast.Constant):
        return node.value is None or isinstance(node.value, (bool, int, float, str))
    if isinstance(node, ast.Compare):
        sides = zip([ast.Eq(), *node.ops], [node.left, *node.comparators], strict=True)
        return all(isinstance(s, _LISTS) == isinstance(op, (ast.In, ast.NotIn)) for op, s in sides)
    if any(isinstance(child, _LISTS) for child in ast.iter_child_nodes(node)):
        return False
    if isinstance(node, ast.Call):
        return (
            isinstance(node.func, ast.Name)
            and node.func.id in FUNCTIONS
            and not node.keywords
            and (len(node.args) == 1 or (node.func.id not in _ONE_ARGUMENT and len(node.args) > 1))
        )
    return isinstance(node, _ALLOWED)


def _number(value: Any) -> Any:
    # NumPy's Booleans add up to Booleans and its integers divide by zero to zero; floats give
    # one configuration and a column of them the same answer.
    array = np.asarray(value)
    kinds = set() if array.dtype.kind in "biuf" else set(map(type, array.flat))
    if not all(issubclass(kind, (Real, np.bool_)) for kind in kinds):
        raise TypeError("arithmetic takes numbers")
    return array.astype(float)


def _at_least_little(violation: Any) -> Any:
    return np.where(np.isnan(violation), 1.0, np.maximum(violation, _LEAST_VIOLATION))


def _as_objects(array: np.ndarray) -> np.ndarray:
    # Together with strings NumPy would turn numbers into strings.
    return array if array.dtype.kind in "biuf" else array.astype(object)


def _truth(value: Any) -> Any:
    return np.asarray(value).astype(bool)


def _is_condition(node: ast.expr) -> bool:
    """Return whether an expression can be a condition: "a - b" as a constraint is a mistake."""
    if isinstance(node, ast.BoolOp):
        return all(_is_condition(v) for v in node.values)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not) and _is_condition(node.operand)
    if isinstance(node, ast.IfExp):
        return _is_condition(node.body) and _is_condition(node.orelse)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool)
    return isinstance(node, (ast.Compare, ast.Name))
