"""Known constraints: declared once, checked on parameter dictionaries and, by column, on arrays.

A known constraint (paper, section III, eq. 2) is known before any trial has run: "without chunked
prefill, max_num_batched_tokens is at least max_model_len". It is never violated by a suggestion.
A constraint is an expression string over parameter names or a callable.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from optuna_scoot.constraints.expression import ConstraintError
from optuna_scoot.constraints.expression import Expression
from optuna_scoot.constraints.names import may_branch
from optuna_scoot.constraints.names import unknown_name
from optuna_scoot.space.dimension import plain


__all__ = ["ConstraintError", "ConstraintSpec", "Expression", "KnownConstraints"]

ConstraintSpec = Callable[[Mapping[str, Any]], float] | str
_Constraint = Expression | Callable[[Mapping[str, Any]], float]


_ENOUGH_TRIALS = 10  # without a name, before it is taken for a mistake


class KnownConstraints:
    """All known constraints of a study.

    Args:
        specs: Expression strings, true where satisfied; or callables that take a parameter
            mapping and return a float, satisfied where ≤ 0 (NaN counts as violated).
        given: Values of parameters that are fixed already.
        names: Of all parameters, where they are known: names such as ``max-num-seqs`` are then
            read as a whole from the start.

    Raises:
        ConstraintError: When one of them is neither, or a string is malformed.
    """

    def __init__(
        self,
        specs: Iterable[ConstraintSpec] = (),
        given: Mapping[str, Any] | None = None,
        *,
        names: Iterable[str] = (),
    ) -> None:
        if isinstance(specs, str) or callable(specs):
            raise ConstraintError(
                "known_constraints is a list of constraints; put the one you have in brackets."
            )
        self.specs = tuple(specs)
        self._given = {name: plain(value) for name, value in (given or {}).items()}
        self._names = frozenset(names)
        self._expressions: list[Expression] = []
        self._read: dict[frozenset[str], list[Expression]] = {}  # as among these names
        self._callables: list[Callable[[Mapping[str, Any]], float]] = []
        for spec in self.specs:
            if isinstance(spec, str):
                self._expressions.append(Expression(spec, self._names))
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
        """Return the same constraints with the values of some parameters fixed."""
        return KnownConstraints(self.specs, params, names=self._names)

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse constraints over parameters that the search space does not have.

        Args:
            names: Of all parameters; where they are given with their distributions, callables
                are asked as well, with the ends of each parameter.

        Raises:
            ConstraintError: With the unknown name, the known ones and the closest of them.
        """
        configurations: list[Mapping[str, Any]] = [dict.fromkeys(names)]
        self._refuse_unknown(self._expressions, configurations)
        if isinstance(names, Mapping) and names:
            ends = [_ends(distribution) for distribution in names.values()]
            for values in zip(*ends, strict=True):
                self._refuse_unknown(self._callables, [dict(zip(names, values, strict=True))])

    def unknown(self, configurations: Sequence[Mapping[str, Any]]) -> str:
        """Return a line on a constraint that names a parameter which no configuration has.

        Args:
            configurations: All parameters of each of the trials that have finished.

        Returns:
            One line; empty where every name is known, or where nothing has finished.
        """
        try:
            self._refuse_unknown([*self._expressions, *self._callables], configurations)
        except ConstraintError as error:
            return str(error)
        return ""

    def check_against(
        self,
        configurations: Sequence[Mapping[str, Any]],
        distributions: Mapping[str, BaseDistribution],
    ) -> str:
        """Refuse names that no parameter of a study has, where it is not for another branch.

        A name that is a known one misspelt is refused at once, any other after some trials, for
        an objective may branch on a number too.

        Args:
            configurations: All parameters of each of the trials that have finished.
            distributions: Of these parameters.

        Returns:
            What to warn of: the unknown name, where the objective may have a branch with it that
            no trial has taken yet (``names.may_branch``). Mostly empty.

        Raises:
            ConstraintError: With the unknown name, the known ones and the closest of them.
        """
        text = self.unknown(configurations)
        certain = "did you mean" in text or len(configurations) >= _ENOUGH_TRIALS
        if text and certain and not may_branch(configurations, distributions):
            raise ConstraintError(
                f"{text} If the objective suggests it elsewhere, pass search_space with it."
            )
        return text

    def _refuse_unknown(
        self,
        constraints: Sequence[_Constraint],
        configurations: Sequence[Mapping[str, Any]],
    ) -> None:
        if not configurations:
            return
        known = set(self._given).union(*configurations)
        for constraint in constraints:
            if isinstance(constraint, Expression):
                missing = set(constraint.among(known).names)
                text = constraint.text
            else:
                missing = set().union(
                    *(_missing(constraint, {**self._given, **c}) for c in configurations)
                )
                text = _name_of(constraint)
            if missing - known:
                raise ConstraintError(
                    f"The known constraint {text!r} names "
                    f"{unknown_name(text, missing - known, known)}"
                )

    def satisfied(self, params: Mapping[str, Any]) -> bool:
        """Return whether one configuration satisfies every constraint that it determines.

        A constraint over parameters that ``params`` lacks is undetermined and passes: in
        define-by-run studies the parameters come one at a time.
        """
        params = self._with_given(params)
        return all(
            e is None or _expression_holds(e, params) for e in self._determined(params)
        ) and all(_callable_holds(function, params) for function in self._callables)

    def violated(self, params: Mapping[str, Any]) -> list[str]:
        """Return which constraints one configuration violates, with the values that they look at.

        As in :meth:`satisfied`, a constraint that ``params`` does not determine passes.

        Returns:
            A text each, such as ``"batch >= 16 (batch=8)"``; empty where all are satisfied.
        """
        params = self._with_given(params)
        texts = []
        for expression in self._determined(params):
            if expression is not None and not _expression_holds(expression, params):
                texts.append(_told(expression.text, expression.names, params))
        for function in self._callables:
            seen = _Recorded(params)
            if not _holds(_callable_value(function, seen)):
                texts.append(_told(_name_of(function), seen.asked or params.keys(), params))
        return texts

    def satisfied_columns(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return which of n configurations, given as columns (n,), satisfy all constraints.

        Returns:
            Booleans of shape (n,).
        """
        n = len(next(iter(columns.values())))
        holds = np.ones(n, dtype=bool)
        values = {**self._given, **columns}
        by_row: list[Callable[[Mapping[str, Any]], bool]] = [
            partial(_callable_holds, function) for function in self._callables
        ]
        for expression in filter(None, self._determined(values)):
            try:
                holds &= np.broadcast_to(np.asarray(expression(values)).astype(bool), (n,))
            except ConstraintError:
                # Row by row a guard such as "x == None or x <= 3" may yet hold.
                by_row.append(partial(_expression_holds, expression))
        if by_row:
            for i, params in self._rows(columns, np.flatnonzero(holds)):
                holds[i] = all(condition(params) for condition in by_row)
        return holds

    def scopes(self, columns: Mapping[str, np.ndarray]) -> list[frozenset[str]]:
        """Return the parameters that each of the c constraints looks at, among the columns.

        Args:
            columns: A few configurations, as of :meth:`satisfied_columns`; callables are asked
                what they look at there.

        Returns:
            One set a constraint, empty where the columns do not determine it.
        """
        determined = self._determined({**self._given, **columns})
        scopes = [frozenset(e.names & columns.keys() if e else ()) for e in determined]
        n = len(next(iter(columns.values())))
        for function in self._callables:
            asked: set[str] = set()
            for _, params in self._rows(columns, np.arange(n)):
                seen = _Recorded(params)
                _callable_value(function, seen)
                asked |= seen.asked
            scopes.append(frozenset(asked or columns.keys()) & columns.keys())
        return scopes

    def violations(
        self, columns: Mapping[str, np.ndarray], only: Sequence[int] | None = None
    ) -> np.ndarray:
        """Measure how far each of n configurations is from satisfying each constraint.

        Args:
            columns: As of :meth:`satisfied_columns`. What the constraints looked at do not ask
                for may be left out.
            only: The constraints to look at, by their place in :meth:`scopes`; None: all.

        Returns:
            Numbers ≥ 0, shape (c, n), 0 exactly where a constraint is satisfied; an expression's
            as of :meth:`Expression.violation`, a callable's by its value.
        """
        n = len(next(iter(columns.values())))
        values = {**self._given, **columns}
        constraints: list[_Constraint | None] = [*self._determined(values), *self._callables]
        chosen = range(len(constraints)) if only is None else only
        out = np.zeros((len(chosen), n))
        for row, constraint in enumerate(constraints[k] for k in chosen):
            if constraint is None:
                continue
            if isinstance(constraint, Expression):
                try:
                    out[row] = constraint.violation(values)
                    continue
                except ConstraintError:
                    pass  # a guard may yet hold row by row
            for i, params in self._rows(columns, np.arange(n)):
                out[row, i] = _violation(constraint, params)
        return out

    @property
    def n_expressions(self) -> int:
        """Return how many constraints are strings; they come first in :meth:`scopes`."""
        return len(self._expressions)

    @property
    def n_callables(self) -> int:
        """Return how many are callables, which are asked configuration by configuration."""
        return len(self._callables)

    def _determined(self, params: Mapping[str, Any]) -> list[Expression | None]:
        """Return each expression where all of its parameters are there, otherwise None."""
        names = self._names.union(params)
        if names not in self._read:
            self._read[names] = [expression.among(names) for expression in self._expressions]
        return [e if e.names <= params.keys() else None for e in self._read[names]]

    def _with_given(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._given, **{name: plain(value) for name, value in params.items()}}

    def _rows(
        self, columns: Mapping[str, np.ndarray], indices: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Return the configurations of some rows of the columns, as plain Python values."""
        values = [column.tolist() for column in columns.values()]
        for i in indices.tolist():
            row = {name: v[i] for name, v in zip(columns, values, strict=True)}
            yield i, {**self._given, **row}


class _Recorded(dict[str, Any]):
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


def _told(what: str, names: Iterable[str], params: Mapping[str, Any]) -> str:
    return f"{what} ({', '.join(f'{name}={params[name]}' for name in sorted(names))})"


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", function))


def _ends(distribution: BaseDistribution) -> tuple[Any, Any]:
    """Return the first and the last value of a distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0], distribution.choices[-1]
    return getattr(distribution, "low", None), getattr(distribution, "high", None)


def _expression_holds(expression: Expression, params: Mapping[str, Any]) -> bool:
    return bool(expression(params))


def _callable_holds(
    function: Callable[[Mapping[str, Any]], float], params: Mapping[str, Any]
) -> bool:
    return _holds(_callable_value(function, _Recorded(params)))


def _holds(value: float) -> bool:
    return value <= 0.0  # NaN is not


def _violation(constraint: _Constraint, params: Mapping[str, Any]) -> float:
    if isinstance(constraint, Expression):
        return float(constraint.violation(params))
    value = _callable_value(constraint, _Recorded(params))
    if _holds(value):
        return 0.0
    # In proportion for small values; the units of large ones do not outweigh the others.
    return float(np.log1p(value)) if np.isfinite(value) else 1e3


def _missing(
    function: Callable[[Mapping[str, Any]], float], params: Mapping[str, Any]
) -> set[str]:
    """Return the parameters that a callable asks for in vain."""
    seen = _Recorded(params)
    try:
        function(seen)
    except KeyError:
        return seen.missing
    except Exception:  # what else is wrong with it is told where it is needed
        return set()
    return set()


def _callable_value(function: Callable[[Mapping[str, Any]], float], params: _Recorded) -> float:
    """Return a callable's value; -inf where it asks for a parameter that is not drawn yet."""
    try:
        value = function(params)
    except KeyError:
        # Anything else that it lacks is a mistake.
        if params.missing:
            return -np.inf
        raise
    name = _name_of(function)
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
