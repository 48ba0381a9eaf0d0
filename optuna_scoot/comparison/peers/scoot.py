"""ScootSampler as the comparison runs it: the default, the paper, ablations, and any variant.

A variant needs no entry here: ``scoot:KEY=VALUE/KEY=VALUE`` changes fields of its ``Method``, for
example ``scoot:caution=0.0/forest.most_terms=2``.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from optuna.samplers import BaseSampler

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.feasibility.threshold import FeasibilityThreshold
from optuna_scoot.search.nsga2 import Nsga2


@dataclass(frozen=True)
class Variant:
    """What differs from ScootSampler's default.

    Attributes:
        method: Fields of ``Method`` by name; ``"kernel.warped"`` reaches into a field.
        arguments: Arguments of the constructor by name.
        paper: Whether it starts from the paper's method rather than from the default one.
    """

    method: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    paper: bool = False


ABLATIONS: dict[str, Variant] = {
    "scoot": Variant(),
    "scoot-paper": Variant(paper=True),
    # Whatever a forest says, it neither forbids nor weighs anything; what crashed is still seen.
    "scoot-no-forest": Variant(
        {"caution": 0.0},
        {"feasibility": FeasibilityThreshold(initial=0.0, step=0.0, maximum=0.0, minimum=0.0)},
    ),
    "scoot-random-forest": Variant({"forest.extra": False, "forest.most_terms": 1}),
    "scoot-no-sums": Variant({"forest.most_terms": 1}),
    "scoot-no-main-effects": Variant({"kernel.main_effects": False}),
    "scoot-mode": Variant({"kernel.n_draws": 0}),
    "scoot-no-known": Variant(arguments={"known_constraints": ()}),
    "scoot-fixed-threshold": Variant(arguments={"feasibility": FeasibilityThreshold(step=0.0)}),
    "scoot-no-log": Variant({"log_outputs": False}),
    "scoot-mace": Variant({"nsga2": Nsga2()}),
    "scoot-no-weight": Variant({"caution": 0.0}),
    "scoot-plain-startup": Variant({"startup.covering": False}),
    "scoot-spread-startup": Variant({"startup.own": 1.0}),
}
"""The sampler, the paper's, and what each ablation changes."""


def make_scoot(variant: Variant, problem: Problem, seed: int) -> BaseSampler:
    """Return ScootSampler for a problem.

    Args:
        variant: What differs from the default.
        problem: The problem, whose space and known constraints it is given.
        seed: Its seed.

    Raises:
        CompareError: If the variant changes a field that does not exist.
    """
    from optuna_scoot import Method
    from optuna_scoot import ScootSampler

    method = changed(Method.paper() if variant.paper else Method(), variant.method)
    arguments = {"known_constraints": problem.known_constraints, **variant.arguments}
    return ScootSampler(dict(problem.space), method=method, seed=seed, **arguments)


def parse_settings(settings: str) -> dict[str, Any]:
    """Return ``"a=1/b.c=True"`` as a dictionary of Python values."""
    changes: dict[str, Any] = {}
    for setting in settings.split("/"):
        key, _, text = setting.partition("=")
        try:
            changes[key] = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            changes[key] = text
    return changes


def changed(options: Any, changes: Mapping[str, Any]) -> Any:
    """Return a copy of a dataclass with some fields changed.

    Args:
        options: A dataclass instance.
        changes: Field names to values; ``"kernel.warped"`` reaches into a field.

    Raises:
        CompareError: If a field does not exist.
    """
    for key, value in changes.items():
        first, _, rest = key.partition(".")
        if not dataclasses.is_dataclass(options):
            raise CompareError(f"ScootSampler has no option {first!r} in {options!r}.")
        names = [field.name for field in dataclasses.fields(options)]
        if first not in names:
            raise CompareError(f"ScootSampler has no option {first!r}: {', '.join(names)}.")
        new = changed(getattr(options, first), {rest: value}) if rest else value
        options = dataclasses.replace(options, **{first: new})  # type: ignore[type-var]
    return options


def is_scoot(name: str) -> bool:
    """Return whether a sampler is ScootSampler, in whatever variant."""
    return name.startswith("scoot")
