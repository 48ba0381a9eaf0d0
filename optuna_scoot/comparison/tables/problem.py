"""A measured table as a problem: configurations are looked up, and the optimum is the best row."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
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
from optuna_scoot.comparison.tables.decoded import DecodedTable
from optuna_scoot.comparison.tables.decoded import decode
from optuna_scoot.comparison.tables.decoded import require_name
from optuna_scoot.comparison.tables.description import Table
from optuna_scoot.comparison.tables.reading import Configuration
from optuna_scoot.comparison.tables.reading import Outcome
from optuna_scoot.comparison.tables.reading import read_table
from optuna_scoot.pareto import is_non_dominated


MISSING = "missing"
"""Reason of the crash of a configuration without a row."""


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


@cache
def build(table: Table) -> Problem:
    """Return a table as a problem.

    Args:
        table: The table.

    Raises:
        CompareError: If it cannot be read, or its default cannot be used.
    """
    decoded = decode(table)
    directions: list[Direction] = ["minimize"] * len(table.minimize)
    directions = (directions + ["maximize"] * len(table.maximize)) * len(table.paths)
    ran = decoded.ran
    signs = np.array([1.0 if direction == "minimize" else -1.0 for direction in directions])
    values = signs * np.array([decoded.outcomes[key].values for key in ran])
    on_front = is_non_dominated(values)
    best = np.unique(values[on_front], axis=0)
    default = _default(table, decoded, ran, values, best)
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
        front=tuple(tuple((signs * point).tolist()) for point in best),
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


def _may_crash(table: Table) -> bool:
    decoded = decode(table)
    return len(decoded.ran) < decoded.size


def _default(
    table: Table,
    decoded: DecodedTable,
    ran: Sequence[Configuration],
    values: np.ndarray,
    best: np.ndarray,
) -> Configuration:
    """Return the default configuration: the one named, or one of median rank.

    Args:
        table: The table.
        decoded: The same, decoded.
        ran: The n configurations that ran.
        values: Theirs, minimised, shape (n, m).
        best: Points of the front, shape (k, m).
    """
    beaten = np.zeros(len(ran), dtype=bool)
    for point in best:
        beaten |= (point < values).all(axis=1)
    named = read_table(table).default
    if table.default:
        named = _complete(table, decoded)
    if named is None:
        if not beaten.any():
            raise CompareError(f"{table.stem}: no configuration is better than another.")
        rest = np.flatnonzero(beaten)
        ranks = rankdata(values[rest], axis=0).mean(axis=1)
        return ran[int(rest[np.argsort(ranks, kind="stable")[(len(rest) - 1) // 2]])]
    default = decoded.levels(named)
    outcome = decoded.outcomes.get(default)
    if outcome is None or outcome.failure is not None:
        why = "is in no row" if outcome is None else f"does not run ({outcome.failure})"
        shown = ", ".join(f"{name}={value}" for name, value in decoded.named(default).items())
        raise CompareError(f"{table.stem}: the default {shown} {why}; name another.")
    if not beaten[ran.index(default)]:
        each = " in every objective" if values.shape[1] > 1 else ""
        msg = f"{table.stem}: nothing is better than the default{each}, so nothing can be gained"
        raise CompareError(f"{msg}; name another.")
    return default


def _complete(table: Table, decoded: DecodedTable) -> Configuration:
    """Return the default that a table names, with the level of each column."""
    given = dict(table.default)
    names = [column.name for column in decoded.columns]
    for name in given:
        require_name(table, name, names, "default's")
    lacks = [c.name for c in decoded.columns if c.name not in given and c.distribution is not None]
    if lacks:
        raise CompareError(f"{table.stem}: the default says nothing of {', '.join(lacks)}.")
    return tuple(given.get(column.name, column.levels[0]) for column in decoded.columns)
