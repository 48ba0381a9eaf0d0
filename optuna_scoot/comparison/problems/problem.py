"""What samplers are compared on: a space, an evaluation that may crash, and a known optimum.

Names
    A problem's name says what it is (``"levy-crash"``). Every analytic problem comes in as many
    *instances* as there are integers: the instance shifts, mirrors and permutes it and places its
    crash regions. ``"levy-crash#7"`` is always instance 7; without a number the instance is the
    seed of the run, so that each seed meets another instance.

Sets
    ``tuning`` problems are looked at while a sampler is developed. ``seen`` ones were held out at
    first, until choices were made on their results. Nothing was chosen on ``fresh`` ones: they are
    for the figures that are reported. ``tables`` are measured ones that a user gives.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
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
    TABLE = "table"


class ProblemSet(StrEnum):
    """Whether anything of ``ScootSampler`` was chosen on a problem."""

    TUNING = "tuning"
    SEEN = "seen"
    FRESH = "fresh"
    TABLES = "tables"


KNOWN_CONSTRAINT = "known_constraint"
"""Reason of a crash that the known constraints would have predicted."""


class Crash(Exception):
    """The evaluation crashed: there are no values.

    Attributes:
        reason: ``"known_constraint"`` or the name of the hidden cause.
        cost: What the trial cost all the same, where the problem says.
    """

    def __init__(self, reason: str, cost: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cost = cost


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation measured.

    Attributes:
        values: One value an objective.
        constraints: Measured constraints by name; a positive one is violated.
        cost: What the trial cost, where the problem says.
    """

    values: tuple[float, ...]
    constraints: Mapping[str, float] = field(default_factory=dict)
    cost: float | None = None

    @property
    def feasible(self) -> bool:
        """Return whether every measured constraint holds."""
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
        evaluate: Parameters to ``Evaluation``; raises ``Crash``.
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
        """Return the number of objectives."""
        return len(self.directions)


@dataclass(frozen=True)
class ProblemEntry:
    """A problem's place in the registry.

    Attributes:
        name: Its name without an instance.
        family: Its family.
        problem_set: Whether anything was chosen on it.
        build: Instance number to problem.
        has_instances: Whether the instance makes a difference.
        may_crash: Whether an evaluation may crash.
    """

    name: str
    family: Family
    problem_set: ProblemSet
    build: Callable[[int], Problem]
    has_instances: bool = True
    may_crash: bool = True
