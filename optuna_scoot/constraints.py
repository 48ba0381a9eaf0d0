"""Known constraints: declared once, checked on parameter dictionaries and, by column, on arrays.

A known constraint (paper, section III, eq. 2) is known before any trial has run: "without chunked
prefill, max_num_batched_tokens is at least max_model_len". It is never violated by a suggestion.
A constraint is an expression string over parameter names or a callable. Strings are parsed into
a syntax tree of which only a small part of Python is allowed; nothing is ever ``eval``-ed.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np


ConstraintSpec = Callable[[Mapping[str, Any]], float] | str


class ConstraintError(ValueError):
    """A known constraint is malformed, cannot be evaluated, or leaves nothing to suggest."""


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "min": lambda *args: _fold(np.minimum, args),
    "max": lambda *args: _fold(np.maximum, args),
    "log2": np.log2,
}
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
    *_BINARY,
    *_COMPARE,
)
_DEEPEST = 100  # levels of nesting; ten times as many would exhaust the interpreter's stack
_HELP = (
    "allowed are parameter names, numbers, strings, True/False/None, + - * / // %, comparisons, "
    "in / not in a list, and / or / not, if-else, abs, min, max, log2"
)


def _fold(function: Callable[[Any, Any], Any], args: Sequence[Any]) -> Any:
    result = args[0]
    for value in args[1:]:
        result = function(result, value)
    return result


class Expression:
    """A whitelisted expression such as ``"max_num_seqs <= max_num_batched_tokens"``.

    Args:
        text: The expression; it must be a condition, true where the constraint is satisfied.

    Raises:
        ConstraintError: When the text is no expression, uses anything that is not allowed, or
            names no parameter.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ConstraintError(
                f"The known constraint {text!r} is not an expression; {_HELP}."
            ) from error
        if _is_deep(self._tree):
            raise ConstraintError(
                f"The known constraint '{text[:60]}...' is nested more than {_DEEPEST} levels "
                "deep; write it as several constraints."
            )
        functions = {
            node.func.id
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        self.names = frozenset(
            node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)
        ) - (functions & _FUNCTIONS.keys())
        self._check(self._tree)
        if not self.names:
            raise ConstraintError(f"The known constraint {text!r} names no parameter.")
        if not _is_condition(self._tree):
            raise ConstraintError(
                f"The known constraint {text!r} is no condition; write a comparison such as "
                "'a <= b', or a Boolean parameter."
            )

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

    def _value(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return values[node.id]
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left, values), self._value(node.right, values)
            return _BINARY[type(node.op)](_number(left), _number(right))
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
            return _FUNCTIONS[node.func.id](*(_number(self._value(a, values)) for a in node.args))
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
        left = self._value(node.left, values)
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = self._value(comparator, values)
            if isinstance(op, (ast.In, ast.NotIn)):
                found = _fold(np.logical_or, [False, *(left == r for r in right)])
                holds = found if isinstance(op, ast.In) else np.logical_not(found)
            else:
                holds = _COMPARE[type(op)](left, right)
            result = np.logical_and(result, holds)
            left = right
        return result


def _is_deep(tree: ast.AST) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)


def _is_allowed(node: ast.AST) -> bool:
    """Tell whether a node may stand in an expression; lists stand behind ``in`` alone."""
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
            and node.func.id in _FUNCTIONS
            and not node.keywords
            and (len(node.args) == 1 or (node.func.id not in _ONE_ARGUMENT and len(node.args) > 1))
        )
    return isinstance(node, _ALLOWED)


def _number(value: Any) -> Any:
    # NumPy's Booleans add up to Booleans and its integers divide by zero to zero; floats give
    # one configuration and a column of them the same answer.
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" and not all(isinstance(v, Real) for v in array.flat):
        raise TypeError("arithmetic takes numbers")
    return array.astype(float)


def _as_objects(array: np.ndarray) -> np.ndarray:
    # Beside strings NumPy would turn numbers into strings.
    return array if array.dtype.kind in "biuf" else array.astype(object)


def _truth(value: Any) -> Any:
    return np.asarray(value).astype(bool)


def _is_condition(node: ast.expr) -> bool:
    """Tell whether an expression can be a condition: "a - b" as a constraint is a mistake."""
    if isinstance(node, ast.BoolOp):
        return all(_is_condition(v) for v in node.values)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not) and _is_condition(node.operand)
    if isinstance(node, ast.IfExp):
        return _is_condition(node.body) and _is_condition(node.orelse)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool)
    return isinstance(node, (ast.Compare, ast.Name))


class KnownConstraints:
    """All known constraints of a study.

    Args:
        specs: Expression strings, true where satisfied; or callables that take a parameter
            mapping and return a float, satisfied where ≤ 0 (NaN counts as violated).
        given: Values of parameters that are settled already.

    Raises:
        ConstraintError: When one of them is neither, or a string is malformed.
    """

    def __init__(
        self, specs: Iterable[ConstraintSpec] = (), given: Mapping[str, Any] | None = None
    ) -> None:
        if isinstance(specs, str) or callable(specs):
            raise ConstraintError(
                "known_constraints is a list of constraints; put the one you have in brackets."
            )
        self.specs = tuple(specs)
        self._given = dict(given or {})
        self._expressions: list[Expression] = []
        self._callables: list[Callable[[Mapping[str, Any]], float]] = []
        for spec in self.specs:
            if isinstance(spec, str):
                self._expressions.append(Expression(spec))
            elif callable(spec):
                self._callables.append(spec)
            else:
                raise ConstraintError(
                    "A known constraint is a string such as 'a <= b' or a callable that returns "
                    f"a float (satisfied where <= 0), not {spec!r}."
                )

    def __bool__(self) -> bool:
        return bool(self.specs)

    def given(self, params: Mapping[str, Any]) -> KnownConstraints:
        """Give the same constraints with the values of some parameters settled."""
        return KnownConstraints(self.specs, params)

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse expressions over parameters that the search space does not have.

        Raises:
            ConstraintError: With the unknown name and the known ones.
        """
        known = set(names)
        for expression in self._expressions:
            unknown = sorted(expression.names - known)
            if unknown:
                raise ConstraintError(
                    f"The known constraint {expression.text!r} names {unknown[0]!r}, which is not "
                    f"in the search space ({', '.join(sorted(known))})."
                )

    def satisfied(self, params: Mapping[str, Any]) -> bool:
        """Tell whether one configuration satisfies every constraint that it determines.

        A constraint over parameters that ``params`` lacks is undetermined and passes: in
        define-by-run studies the parameters come one at a time.
        """
        params = {**self._given, **params}
        for expression in self._expressions:
            if expression.names <= params.keys() and not _expression_holds(expression, params):
                return False
        return all(_callable_holds(function, params) for function in self._callables)

    def violated(self, params: Mapping[str, Any]) -> list[str]:
        """Tell which constraints one configuration violates, with the values that they look at.

        As in :meth:`satisfied`, a constraint that ``params`` does not determine passes.

        Returns:
            A text each, such as ``"batch >= 16 (batch=8)"``; empty where all are satisfied.
        """
        params = {**self._given, **params}
        texts = []
        for expression in self._expressions:
            if expression.names <= params.keys() and not _expression_holds(expression, params):
                texts.append(_told(expression.text, expression.names, params))
        for function in self._callables:
            seen = _Recorded(params)
            if not _callable_holds(function, seen):
                texts.append(_told(_name_of(function), seen.asked or params.keys(), params))
        return texts

    def satisfied_columns(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Tell for each of n configurations, given as columns (n,), whether it satisfies all.

        Returns:
            Booleans of shape (n,).
        """
        n = len(next(iter(columns.values())))
        holds = np.ones(n, dtype=bool)
        values = {**self._given, **columns}
        by_row: list[Callable[[Mapping[str, Any]], bool]] = [
            partial(_callable_holds, function) for function in self._callables
        ]
        for expression in self._expressions:
            if not expression.names <= values.keys():
                continue
            try:
                holds &= np.broadcast_to(_truth(expression(values)), (n,))
            except ConstraintError:
                # Row by row a guard such as "x == None or x <= 3" may yet hold.
                by_row.append(partial(_expression_holds, expression))
        if by_row:
            rows = {name: column.tolist() for name, column in columns.items()}
            for i in np.flatnonzero(holds):
                params = {**self._given, **{name: row[i] for name, row in rows.items()}}
                holds[i] = all(condition(params) for condition in by_row)
        return holds


class _Recorded(dict[str, Any]):
    """Parameters that remember which of them a callable asked for."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        self.asked.add(name)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        if name in self:
            self.asked.add(name)
        return super().get(name, default)


def _told(what: str, names: Iterable[str], params: Mapping[str, Any]) -> str:
    return f"{what} ({', '.join(f'{name}={params[name]}' for name in sorted(names))})"


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", function))


def _expression_holds(expression: Expression, params: Mapping[str, Any]) -> bool:
    return bool(expression(params))


def _callable_holds(
    function: Callable[[Mapping[str, Any]], float], params: Mapping[str, Any]
) -> bool:
    try:
        value = function(params)
    except KeyError as error:
        # It asks for a parameter that is not drawn yet. Anything else it lacks is a mistake.
        if error.args and error.args[0] not in params:
            return True
        raise
    try:
        return bool(float(value) <= 0.0)
    except (TypeError, ValueError) as error:
        raise ConstraintError(
            f"The known constraint {getattr(function, '__name__', function)!r} returned "
            f"{value!r}; it must return a number, satisfied where <= 0."
        ) from error
