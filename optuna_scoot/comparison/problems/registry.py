"""Every problem there is, and how problems are chosen and made by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from collections.abc import Sequence
from functools import cache
from functools import lru_cache

from optuna_scoot.comparison.checkout import has_development
from optuna_scoot.comparison.problems import analytic_multi
from optuna_scoot.comparison.problems import analytic_single
from optuna_scoot.comparison.problems import constrained
from optuna_scoot.comparison.problems import services
from optuna_scoot.comparison.problems.fresh import fresh_entries
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.problem import ProblemEntry
from optuna_scoot.comparison.tables.description import Table
from optuna_scoot.comparison.tables.problem import table_entry


_TABLES: dict[Table, ProblemEntry] = {}


def add_tables(tables: Sequence[Table]) -> list[str]:
    """Make measured tables problems of this process, and return their names.

    Raises:
        CompareError: If one cannot be read.
    """
    for table in tables:
        if table not in _TABLES:
            _TABLES[table] = table_entry(table)
    return [_TABLES[table].name for table in tables]


def added_tables() -> tuple[Table, ...]:
    """Return the tables that are problems of this process."""
    return tuple(_TABLES)


def registry() -> Mapping[str, ProblemEntry]:
    """Return every problem there is, by name; a checkout also has those of the tuning set."""
    return {**_built_in(), **{entry.name: entry for entry in _TABLES.values()}}


@cache
def _built_in() -> Mapping[str, ProblemEntry]:
    entries = (
        *services.entries(),
        *analytic_single.entries(),
        *analytic_multi.entries(),
        *constrained.entries(),
        *fresh_entries(),
    )
    if has_development():
        from optuna_scoot.comparison.development.problems import tuning_entries

        entries += tuning_entries()
    return {entry.name: entry for entry in entries}


def select_problems(patterns: Sequence[str]) -> list[str]:
    """Return the names of the problems that any of the patterns selects.

    Args:
        patterns: Names (``"levy-crash"``, ``"levy-crash#7"``), shell patterns (``"*-crash"``),
            families (``"service"``), sets (``"fresh"``, ``"seen"``), ``"all"``, or a family
            within a set (``"fresh:plain"``).

    Returns:
        Names in the registry's order, each once.

    Raises:
        CompareError: If a pattern selects nothing.
    """
    entries = registry()
    chosen: dict[str, None] = {}
    for pattern in patterns:
        matched = _matches(pattern, entries)
        if not matched:
            families = dict.fromkeys(entry.family for entry in entries.values())
            sets = dict.fromkeys(entry.problem_set for entry in entries.values())
            msg = (
                f"No problem is called {pattern!r}. There are: {', '.join(entries)}; families "
                f"{', '.join(families)}; sets {', '.join(sets)}; all."
            )
            raise CompareError(msg)
        chosen.update(dict.fromkeys(matched))
    return list(chosen)


def _matches(pattern: str, entries: Mapping[str, ProblemEntry]) -> list[str]:
    """Return the names in the registry that a pattern selects; instances are kept."""
    stem, _, instance = pattern.partition("#")
    if instance:
        return [pattern] if stem in entries and instance.isdigit() else []
    problem_set, _, rest = pattern.rpartition(":")
    return [
        name
        for name, entry in entries.items()
        if (not problem_set or entry.problem_set == problem_set)
        and (rest in ("all", entry.family, entry.problem_set) or fnmatch.fnmatchcase(name, rest))
    ]


@lru_cache(maxsize=1024)
def make_problem(name: str, seed: int) -> Problem:
    """Build a problem.

    Args:
        name: A registered name, with ``#instance`` to fix the instance.
        seed: The run's seed, which is the instance where the name does not fix it.

    Returns:
        The problem.

    Raises:
        CompareError: If there is no such problem.
    """
    stem, _, instance = name.partition("#")
    entries = registry()
    if stem not in entries or (instance and not instance.isdigit()):
        msg = f"No problem is called {name!r}. There are: {', '.join(entries)}."
        raise CompareError(msg)
    return entries[stem].build(int(instance) if instance else seed)


def family_of(name: str) -> Family:
    """Return the family of a problem, by its name with or without an instance."""
    return registry()[name.partition("#")[0]].family


def may_crash(name: str) -> bool:
    """Return whether an evaluation of the problem may crash."""
    entry = registry()[name.partition("#")[0]]
    if entry.family is Family.CONSTRAINED:
        return entry.name.endswith("-crash")
    return entry.may_crash and entry.family is not Family.PLAIN
