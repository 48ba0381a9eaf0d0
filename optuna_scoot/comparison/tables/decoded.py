"""A table whose columns are parameters: configurations as levels, as places, and as parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.tables.description import Table
from optuna_scoot.comparison.tables.description import Value
from optuna_scoot.comparison.tables.encoding import Column
from optuna_scoot.comparison.tables.encoding import make_column
from optuna_scoot.comparison.tables.encoding import over_parameters
from optuna_scoot.comparison.tables.reading import Configuration
from optuna_scoot.comparison.tables.reading import Outcome
from optuna_scoot.comparison.tables.reading import read_table
from optuna_scoot.constraints.known import KnownConstraints


CHUNK = 200_000
"""Configurations of a table's box that are looked at together."""


@dataclass(frozen=True)
class DecodedTable:
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

    def levels(self, cells: Sequence[Value]) -> Configuration:
        """Return the cells of a row as the levels that they are."""
        return _levels(self.columns, cells)

    def named(self, configuration: Configuration) -> dict[str, Value]:
        """Return a configuration with the names of its columns."""
        names = (column.name for column in self.columns)
        return dict(zip(names, configuration, strict=True))


@cache
def decode(table: Table) -> DecodedTable:
    """Read a table, and make its columns parameters.

    Raises:
        CompareError: If it cannot be read, or its columns are not as the table says.
    """
    measurements = read_table(table)
    names = measurements.parameters
    for name in table.categories:
        require_name(table, name, names, "category")
    columns = tuple(
        make_column(name, values, is_category=name in table.categories)
        for name, values in zip(names, zip(*measurements.outcomes, strict=True), strict=True)
    )
    if measurements.guessed:
        _refuse_measured(table, columns, len(measurements.outcomes))
    if all(column.distribution is None for column in columns):
        raise CompareError(f"{table.stem}: no parameter has more than one level.")
    KnownConstraints(table.known_constraints, names=names).check_names(names)
    return DecodedTable(
        columns,
        {_levels(columns, key): outcome for key, outcome in measurements.outcomes.items()},
        KnownConstraints(over_parameters(table.known_constraints, columns)),
    )


def require_name(table: Table, name: str, names: Sequence[str], what: str) -> None:
    """Refuse a name that is none of a table's parameters."""
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


def _levels(columns: Sequence[Column], cells: Sequence[Any]) -> Configuration:
    return tuple(column.as_level(cell) for column, cell in zip(columns, cells, strict=True))
