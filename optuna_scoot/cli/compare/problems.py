"""What is compared on: a `Problem` is a space, an evaluation that may crash, and a known optimum.

Names
    A problem's name says what it is (``"levy-crash"``). Every analytic problem comes in as many
    *instances* as there are integers: the instance shifts, mirrors and permutes it and places its
    crash regions. ``"levy-crash#7"`` is always instance 7; without a number the instance is the
    seed of the run, so that each seed meets another instance.

Sets
    ``tuning`` problems may be looked at while a sampler is developed. ``held-out`` ones are other
    functions, for the figures that are reported.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from typing import Any
from typing import Literal

from optuna.distributions import BaseDistribution


Direction = Literal["minimize", "maximize"]


class CompareError(ValueError):
    """Something the user of the comparison got wrong, with a message fit to print."""


class Family(StrEnum):
    """What kind of problem it is; results are averaged over the problems of a family."""

    SERVICE = "service"
    CRASH_ANALYTIC = "crash-analytic"
    CRASH_MULTI = "crash-multi"
    PLAIN = "plain"
    CONSTRAINED = "constrained"


class ProblemSet(StrEnum):
    """Whether a problem may be looked at while a sampler is developed."""

    TUNING = "tuning"
    HELD_OUT = "held-out"


KNOWN_CONSTRAINT = "known_constraint"
"""Reason of a crash that the known constraints would have foretold."""


class Crash(Exception):
    """The evaluation crashed: there are no values.

    Attributes:
        reason: ``"known_constraint"`` or the name of the hidden cause.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation measured.

    Attributes:
        values: One value an objective.
        constraints: Measured constraints by name; a positive one is violated.
    """

    values: tuple[float, ...]
    constraints: Mapping[str, float] = field(default_factory=dict)

    @property
    def feasible(self) -> bool:
        """Whether every measured constraint holds."""
        return all(value <= 0 for value in self.constraints.values())


@dataclass(frozen=True)
class Problem:
    """One problem to tune.

    Attributes:
        name: Its name, with ``#instance`` where it has instances.
        family: What kind of problem it is.
        space: Distribution of every parameter.
        default: The default configuration; it runs, and is not optimal.
        directions: ``"minimize"`` or ``"maximize"`` for each objective.
        evaluate: Parameters to `Evaluation`; raises `Crash`.
        front: The optimum, shape ``(n_points, n_objectives)`` as nested tuples: one point for a
            single objective, points along the Pareto front for several.
        known_constraints: Expressions over parameter names that every configuration that runs
            satisfies.
        optimal: A configuration whose values lie on the front; empty where none is known.
    """

    name: str
    family: Family
    space: Mapping[str, BaseDistribution]
    default: Mapping[str, Any]
    directions: tuple[Direction, ...]
    evaluate: Callable[[Mapping[str, Any]], Evaluation]
    front: tuple[tuple[float, ...], ...]
    known_constraints: tuple[str, ...] = ()
    optimal: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_objectives(self) -> int:
        """Number of objectives."""
        return len(self.directions)


@dataclass(frozen=True)
class ProblemEntry:
    """A problem's place in the registry.

    Attributes:
        name: Its name without an instance.
        family: Its family.
        problem_set: Whether it is for development or held out.
        build: Instance number to problem.
        has_instances: Whether the instance makes a difference.
    """

    name: str
    family: Family
    problem_set: ProblemSet
    build: Callable[[int], Problem]
    has_instances: bool = True


def registry() -> dict[str, ProblemEntry]:
    """Every problem there is, by name."""
    from optuna_scoot.cli.compare import analytic_multi
    from optuna_scoot.cli.compare import analytic_single
    from optuna_scoot.cli.compare import constrained
    from optuna_scoot.cli.compare import services

    entries = (
        *services.entries(),
        *analytic_single.entries(),
        *analytic_multi.entries(),
        *constrained.entries(),
    )
    return {entry.name: entry for entry in entries}


def select_problems(patterns: Sequence[str]) -> list[str]:
    """The names of the problems that any of the patterns selects.

    Args:
        patterns: Names (``"levy-crash"``, ``"levy-crash#7"``), shell patterns (``"*-crash"``),
            families (``"service"``), sets (``"tuning"``, ``"held-out"``), ``"all"``, or a family
            within a set (``"tuning:plain"``).

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
            msg = (
                f"No problem is called {pattern!r}. There are: {', '.join(entries)}; families "
                f"{', '.join(Family)}; sets {', '.join(ProblemSet)}; all."
            )
            raise CompareError(msg)
        chosen.update(dict.fromkeys(matched))
    return list(chosen)


def _matches(pattern: str, entries: Mapping[str, ProblemEntry]) -> list[str]:
    """Names in the registry that a pattern selects; instances are kept."""
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
    """The family of a problem, by its name with or without an instance."""
    return registry()[name.partition("#")[0]].family


def may_crash(name: str) -> bool:
    """Whether an evaluation of the problem may crash."""
    family = family_of(name)
    if family is Family.CONSTRAINED:
        return name.partition("#")[0].endswith("-crash")
    return family is not Family.PLAIN
