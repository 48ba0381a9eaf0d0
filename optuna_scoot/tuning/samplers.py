"""The samplers that `--sampler` names, each with what it can use of the space."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import optuna


if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.samplers import BaseSampler

    from objectives.spaces import EngineSpace


NSGA2_POPULATION = 10
"""As the genetic algorithm of the paper has it (section V-A); Optuna's own 50 would spend a budget
of 30 trials on a random first generation."""


def make_sampler(name: str, space: EngineSpace, seed: int | None) -> BaseSampler:
    """Make a sampler by name.

    Args:
        name: One of `SAMPLERS`.
        space: The parameters; only SCOOT takes its known constraints, the other samplers meet
            them as crashes.
        seed: Of the sampler.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return SAMPLERS[name](space, seed)


def _scoot(space: EngineSpace, seed: int | None) -> BaseSampler:
    from optuna_scoot import ScootSampler  # loads torch, which takes seconds

    return ScootSampler(
        dict(space.parameters), known_constraints=space.known_constraints, seed=seed
    )


def _tpe(space: EngineSpace, seed: int | None) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed)


def _nsga2(space: EngineSpace, seed: int | None) -> BaseSampler:
    return optuna.samplers.NSGAIISampler(population_size=NSGA2_POPULATION, seed=seed)


def _gp(space: EngineSpace, seed: int | None) -> BaseSampler:
    return optuna.samplers.GPSampler(seed=seed)


def _random(space: EngineSpace, seed: int | None) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


SAMPLERS: dict[str, Callable[[EngineSpace, int | None], BaseSampler]] = {
    "scoot": _scoot,
    "tpe": _tpe,
    "nsga2": _nsga2,
    "gp": _gp,
    "random": _random,
}
