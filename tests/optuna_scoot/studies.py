"""Samplers that answer fast and studies with known trials, for the tests of the sampler."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot import Method
from optuna_scoot import ScootSampler
from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.search.nsga2 import Nsga2


QUICK = Method(forest=ForestChoice(n_trees=10))
"""The default method with a small forest: for behaviour that does not depend on its quality."""

QUICK_PAPER = replace(Method.paper(), nsga2=Nsga2(population=20, generations=10))
"""The paper's method on a shorter search."""

MIXED: dict[str, BaseDistribution] = {
    "tokens": IntDistribution(64, 8192, log=True),
    "seqs": IntDistribution(64, 8192, log=True),
    "block": CategoricalDistribution([8, 16, 32]),
    "chunked": CategoricalDistribution([True, False]),
    "delay": FloatDistribution(0.0, 2.0, step=0.1),
    "share": FloatDistribution(0.5, 0.95),
}
"""A space in the manner of an inference engine's: every kind of parameter."""

ENGINE_RULES = ("seqs <= tokens", "chunked or tokens >= 4096", "not (chunked and block == 8)")
"""Known constraints on ``MIXED``."""


def quick(*args: Any, **kwargs: Any) -> ScootSampler:
    """Give a sampler that answers fast; the arguments are the constructor's."""
    return ScootSampler(*args, method=QUICK, **kwargs)


def study_of(
    sampler: optuna.samplers.BaseSampler, directions: Sequence[str] = ("minimize",), **kwargs: Any
) -> optuna.Study:
    """Give a study with one objective a direction."""
    return optuna.create_study(directions=list(directions), sampler=sampler, **kwargs)


def add(
    study: optuna.Study,
    params: Mapping[str, Any],
    values: float | Sequence[float] | None,
    space: Mapping[str, BaseDistribution],
    **kwargs: Any,
) -> FrozenTrial:
    """Add a finished trial: failed when ``values`` is None. Give it back as stored."""
    study.add_trial(
        optuna.create_trial(
            params=dict(params),
            distributions={name: space[name] for name in params},
            values=None
            if values is None
            else [values]
            if isinstance(values, (int, float))
            else values,
            state=kwargs.pop("state", TrialState.FAIL if values is None else TrialState.COMPLETE),
            **kwargs,
        )
    )
    return study.get_trials(deepcopy=False)[-1]


def suggest_all(trial: optuna.Trial, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Let a trial suggest every parameter of a space."""
    return {name: trial._suggest(name, d) for name, d in space.items()}
