"""Columns of a table as parameters of Optuna, and rules over their levels as rules over these.

Every sampler is given the same: what it would get from a user who knows which columns have an
order. Whole numbers at even distances are an integer parameter with a step. Other numbers, such
as powers of two, are the places of their levels, as in ``levels[trial.suggest_int("x", 0, n)]``.
Texts, truths, two levels and what is named as a category are categorical.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from optuna_scoot.comparison.tables.description import Value


@dataclass(frozen=True)
class Column:
    """One parameter of a table.

    Attributes:
        name: Its name.
        levels: Its levels, ascending where they have an order.
        distribution: What a sampler sees; None for a column with a single level.
        by_place: Whether the sampler sees the place of a level instead of the level.
    """

    name: str
    levels: tuple[Value, ...]
    distribution: BaseDistribution | None
    by_place: bool = False

    def level(self, params: Mapping[str, Any]) -> Value:
        """Return the level that a configuration of the sampler means."""
        if self.distribution is None:
            return self.levels[0]
        value: Value = params[self.name]
        return self.levels[int(value)] if self.by_place else value

    def as_level(self, value: Value) -> Value:
        """Return a cell of the column as the level that it is."""
        return str(value) if self._is_text else value

    def values(self, places: np.ndarray) -> np.ndarray:
        """Return what the sampler sees for places of levels, integers of shape ``(n,)``."""
        if self.by_place:
            return places
        levels = np.array(self.levels, dtype=object if self._is_text else None)
        return np.asarray(levels[places])

    @property
    def meaning(self) -> str:
        """Return an expression for the level over the parameter's name."""
        if self.distribution is None:
            return repr(self.levels[0])
        name = f"`{self.name}`"
        return _choice(name, self.levels, 0) if self.by_place else name

    @property
    def _is_text(self) -> bool:
        return any(isinstance(level, str) for level in self.levels)


def make_column(name: str, values: Iterable[Value], *, is_category: bool = False) -> Column:
    """Return the parameter that a column of a table is.

    Args:
        name: Its name.
        values: What stands in it.
        is_category: Whether its numbers have no order.
    """
    found = set(values)
    kinds = {type(value) for value in found}
    if not kinds <= {int, float}:
        # A column of which some cells look like numbers is one of texts.
        found = found if kinds == {bool} else {str(value) for value in found}
    levels = tuple(sorted(found))
    if len(levels) == 1:
        return Column(name, levels, None)
    if len(levels) == 2 or is_category or not kinds <= {int, float}:
        return Column(name, levels, CategoricalDistribution(levels))
    if kinds == {int}:
        whole = [int(level) for level in levels]
        steps = {b - a for a, b in pairwise(whole)}
        if len(steps) == 1:
            return Column(name, levels, IntDistribution(whole[0], whole[-1], step=steps.pop()))
    return Column(name, levels, IntDistribution(0, len(levels) - 1), by_place=True)


def over_parameters(rules: Sequence[str], columns: Sequence[Column]) -> tuple[str, ...]:
    """Return rules over the levels of columns as rules over what the sampler sees.

    Args:
        rules: Expressions over the columns' names, odd ones in backticks or not.
        columns: The columns.
    """
    meanings = {column.name: column.meaning for column in columns}
    names = "|".join(re.escape(name) for name in sorted(meanings, key=len, reverse=True))
    word = re.compile(
        rf"'[^']*'|\"[^\"]*\"|`(?P<odd>[^`]*)`|(?<![\w.])(?P<name>{names})(?![\w.]|\s*\()"
    )

    def meaning(found: re.Match[str]) -> str:
        return meanings.get(found["odd"] or found["name"] or "", found[0])

    return tuple(word.sub(meaning, rule) for rule in rules)


def _choice(name: str, levels: Sequence[Value], first: int) -> str:
    """Return an if-else over a place that gives its level, as deep as a binary search."""
    if len(levels) == 1:
        return repr(levels[0])
    half = len(levels) // 2
    low, high = _choice(name, levels[:half], first), _choice(name, levels[half:], first + half)
    return f"({low} if {name} < {first + half} else {high})"
