"""A measured table as a problem: configurations are looked up, and the optimum is the best row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.stats import rankdata

from optuna_scoot.comparison.problems.problem import KNOWN_CONSTRAINT
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Direction
from optuna_scoot.comparison.problems.problem import Evaluation
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.problem import ProblemEntry
from optuna_scoot.comparison.problems.problem import ProblemSet
from optuna_scoot.comparison.tables.description import Table
from optuna_scoot.comparison.tables.encoding import Column
from optuna_scoot.comparison.tables.encoding import make_column
from optuna_scoot.comparison.tables.encoding import over_parameters
from optuna_scoot.comparison.tables.reading import Configuration
from optuna_scoot.comparison.tables.reading import Outcome
from optuna_scoot.comparison.tables.reading import read_table
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.pareto import is_non_dominated


MISSING = "missing"
"""Reason of the crash of a configuration without a row."""

CHUNK = 200_000
"""Configurations of a table's box that are looked at together."""

MOST_CONFIGURATIONS = 50_000_000
"""Of a box that is gone through for what the rules leave of it."""


def table_name(table: Table) -> str:
    """Return a table's name as a problem: the file's, and digits for content and meaning.

    Runs on another version of a table, or of what its columns mean, are never taken for its own.
    """
    return f"{table.stem}@{table.digest}"


def table_entry(table: Table) -> ProblemEntry:
    """Return a table's place in the registry."""
    return ProblemEntry(
        table_name(table),
        Family.TABLE,
        ProblemSet.TABLES,
        lambda instance: build(table),
        has_instances=False,
        may_crash=_may_crash(table),
    )


@dataclass(frozen=True)
class _Decoded:
    """A table whose columns are parameters.

    Attributes:
        columns: The parameters, in the order of a configuration.
        outcomes: By configuration.
        rules: The known constraints over what a sampler sees.
    """

    columns: tuple[Column, ...]
    outcomes: Mapping[Configuration, Outcome]
    rules: KnownConstraints

    @property
    def ran(self) -> list[Configuration]:
        """Return the configurations that ran."""
        return [key for key, outcome in self.outcomes.items() if outcome.failure is None]

    @property
    def size(self) -> int:
        """Return how many configurations the columns span."""
        return math.prod(len(column.levels) for column in self.columns)

    def configuration(self, params: Mapping[str, Any]) -> Configuration:
        """Return the levels that parameters stand for."""
        return tuple(column.level(params) for column in self.columns)

    def params(self, configuration: Configuration) -> dict[str, Any]:
        """Return a configuration as what a sampler sees."""
        return {
            column.name: column.levels.index(level) if column.by_place else level
            for column, level in zip(self.columns, configuration, strict=True)
            if column.distribution is not None
        }

    def allowed(self, places: Sequence[np.ndarray]) -> np.ndarray:
        """Return which of n configurations, places of levels (n,) by column, the rules allow."""
        return self.rules.satisfied_columns(
            {
                column.name: column.values(place)
                for column, place in zip(self.columns, places, strict=True)
                if column.distribution is not None
            }
        )

    def places(self, configurations: Sequence[Configuration]) -> list[np.ndarray]:
        """Return the places of the levels of n configurations, (n,) by column."""
        orders = [{level: i for i, level in enumerate(column.levels)} for column in self.columns]
        return [
            np.array([order[configuration[k]] for configuration in configurations])
            for k, order in enumerate(orders)
        ]

    def box(self) -> Iterator[list[np.ndarray]]:
        """Yield all configurations that the columns span, as places, in chunks."""
        shape = [len(column.levels) for column in self.columns]
        for start in range(0, self.size, CHUNK):
            yield [*np.unravel_index(np.arange(start, min(start + CHUNK, self.size)), shape)]


@cache
def build(table: Table) -> Problem:
    """Return a table as a problem.

    Args:
        table: The table.

    Raises:
        CompareError: If it cannot be read, or its default cannot be used.
    """
    decoded = _decode(table)
    directions: list[Direction] = ["minimize"] * len(table.minimize)
    directions = (directions + ["maximize"] * len(table.maximize)) * len(table.paths)
    ran = decoded.ran
    signs = np.array([1.0 if direction == "minimize" else -1.0 for direction in directions])
    values = signs * np.array([decoded.outcomes[key].values for key in ran])
    on_front = is_non_dominated(values)
    front = sorted({tuple((signs * row).tolist()) for row in values[on_front]})
    default = _default(table, decoded, ran, values, on_front)
    cost_of_missing = _cost_of_missing([*decoded.outcomes.values()])

    def evaluate(params: Mapping[str, Any]) -> Evaluation:
        outcome = decoded.outcomes.get(decoded.configuration(params))
        cost = cost_of_missing if outcome is None else outcome.cost
        if not decoded.rules.satisfied(params):
            raise Crash(KNOWN_CONSTRAINT, cost)
        if outcome is None:
            raise Crash(MISSING, cost)
        if outcome.failure is not None:
            raise Crash(outcome.failure, cost)
        return Evaluation(outcome.values, cost=cost)

    return Problem(
        name=table_name(table),
        family=Family.TABLE,
        space={c.name: c.distribution for c in decoded.columns if c.distribution is not None},
        default=decoded.params(default),
        directions=tuple(directions),
        evaluate=evaluate,
        front=tuple(front),
        known_constraints=tuple(map(str, decoded.rules.specs)),
        optimal=decoded.params(ran[int(on_front.argmax())]),
    )


def _cost_of_missing(outcomes: Sequence[Outcome]) -> float | None:
    """Return what a configuration without a row costs: as the median one that failed.

    Where none failed, as the median of all.
    """
    failed = [outcome.cost for outcome in outcomes if outcome.failure is not None]
    costs = failed or [outcome.cost for outcome in outcomes]
    known = [cost for cost in costs if cost is not None]
    return float(np.median(known)) if known else None


def check(table: Table) -> None:
    """Refuse a table whose rows and rules do not fit, or that lacks rows without a word on it.

    Args:
        table: The table.

    Raises:
        CompareError: If it cannot be used, with what to change.
    """
    build(table)
    decoded = _decode(table)
    ran = decoded.ran
    broken = ~decoded.allowed(decoded.places(ran))
    if broken.any():
        key = ran[int(broken.argmax())]
        rule = KnownConstraints(table.known_constraints).violated(_named(decoded, key))
        msg = f"{table.stem}: {broken.sum()} of {len(ran)} configurations that ran violate a "
        raise CompareError(f"{msg}known constraint, such as {rule[0] if rule else key}.")
    if table.missing_crashes:
        return
    rows = [*decoded.outcomes]
    n_rows = int(decoded.allowed(decoded.places(rows)).sum())
    n_allowed = _n_allowed(decoded)
    if n_allowed is None or n_rows < n_allowed:
        of = "more" if n_allowed is None else str(n_allowed)
        msg = (
            f"{table.stem} has {n_rows} rows of the {of} configurations that its columns span"
            f"{' within the known constraints' if decoded.rules else ''}: name the --constraint "
            "that the others break, or say --missing-crashes where they cannot run."
        )
        raise CompareError(msg)


def _n_allowed(decoded: _Decoded) -> int | None:
    """Return how many configurations the rules leave, None where that is too long to count."""
    if not decoded.rules:
        return decoded.size
    if decoded.size > MOST_CONFIGURATIONS:
        return None
    return sum(int(decoded.allowed(places).sum()) for places in decoded.box())


@cache
def _decode(table: Table) -> _Decoded:
    measurements = read_table(table)
    names = measurements.parameters
    for name in table.categories:
        _require_name(table, name, names, "category")
    columns = tuple(
        make_column(name, values, is_category=name in table.categories)
        for name, values in zip(names, zip(*measurements.outcomes, strict=True), strict=True)
    )
    if measurements.guessed:
        _refuse_measured(table, columns, len(measurements.outcomes))
    if all(column.distribution is None for column in columns):
        raise CompareError(f"{table.stem}: no parameter has more than one level.")
    KnownConstraints(table.known_constraints, names=names).check_names(names)
    return _Decoded(
        columns,
        {_levels(columns, key): outcome for key, outcome in measurements.outcomes.items()},
        KnownConstraints(over_parameters(table.known_constraints, columns)),
    )


def _levels(columns: Sequence[Column], cells: Sequence[Any]) -> Configuration:
    return tuple(column.as_level(cell) for column, cell in zip(columns, cells, strict=True))


def _named(decoded: _Decoded, configuration: Configuration) -> dict[str, Any]:
    names = (column.name for column in decoded.columns)
    return dict(zip(names, configuration, strict=True))


def _require_name(table: Table, name: str, names: Sequence[str], what: str) -> None:
    if name not in names:
        msg = f"{table.stem}: the {what} {name!r} is none of the parameters {', '.join(names)}."
        raise CompareError(msg)


def _refuse_measured(table: Table, columns: Sequence[Column], n_rows: int) -> None:
    """Refuse a column of numbers that are nearly all different: it has been measured."""
    for column in columns:
        fractions = any(isinstance(level, float) for level in column.levels)
        if fractions and len(column.levels) > max(20, n_rows / 2):
            msg = (
                f"{table.stem}: {column.name} has {len(column.levels)} values in {n_rows} rows: "
                "is it measured? Name the columns that are --parameters."
            )
            raise CompareError(msg)


def _may_crash(table: Table) -> bool:
    decoded = _decode(table)
    return len(decoded.ran) < decoded.size


def _default(
    table: Table,
    decoded: _Decoded,
    ran: Sequence[Configuration],
    values: np.ndarray,
    on_front: np.ndarray,
) -> Configuration:
    """Return the default configuration: the one named, or one of median rank off the front."""
    named = read_table(table).default
    if table.default:
        named = _complete(table, decoded)
    if named is None:
        if on_front.all():
            raise CompareError(f"{table.stem}: no configuration is better than another.")
        rest = np.flatnonzero(~on_front)
        ranks = rankdata(values[rest], axis=0).mean(axis=1)
        return ran[int(rest[np.argsort(ranks, kind="stable")[(len(rest) - 1) // 2]])]
    default = _levels(decoded.columns, named)
    outcome = decoded.outcomes.get(default)
    if outcome is None or outcome.failure is not None:
        why = "is in no row" if outcome is None else f"does not run ({outcome.failure})"
        shown = ", ".join(f"{name}={value}" for name, value in _named(decoded, default).items())
        raise CompareError(f"{table.stem}: the default {shown} {why}; name another.")
    if on_front[ran.index(default)]:
        msg = f"{table.stem}: nothing is better than the default, which leaves nothing to gain"
        raise CompareError(f"{msg}; name another.")
    return default


def _complete(table: Table, decoded: _Decoded) -> Configuration:
    """Return the default that a table names, with the level of each column."""
    given = dict(table.default)
    names = [column.name for column in decoded.columns]
    for name in given:
        _require_name(table, name, names, "default's")
    lacks = [c.name for c in decoded.columns if c.name not in given and c.distribution is not None]
    if lacks:
        raise CompareError(f"{table.stem}: the default says nothing of {', '.join(lacks)}.")
    return tuple(given.get(column.name, column.levels[0]) for column in decoded.columns)
