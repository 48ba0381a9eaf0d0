"""The samplers that have a name here, each with what it can use of the space."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import optuna
from optuna.samplers import BaseSampler

from optuna_scoot.tuning.errors import InputError


if TYPE_CHECKING:
    from collections.abc import Callable

    from objectives.spaces import EngineSpace


NSGA2_POPULATION = 10
"""As the genetic algorithm of the paper has it (section V-A); Optuna's own 50 would spend a budget
of 30 trials on a random first generation."""


def make_sampler(name: str, space: EngineSpace, seed: int | None) -> BaseSampler:
    """Return a sampler by its name.

    Args:
        name: One of ``SAMPLERS``.
        space: The parameters; only SCOOT takes its known constraints, the other samplers meet
            them as crashes.
        seed: Of the sampler.

    Raises:
        InputError: There is no sampler of this name.
    """
    if name not in SAMPLERS:
        raise InputError(
            f"`sampler` {name!r}: one of {', '.join(SAMPLERS)}, or a sampler of Optuna's"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return SAMPLERS[name](space, seed)


def _scoot(space: EngineSpace, seed: int | None) -> BaseSampler:
    from optuna_scoot import ScootSampler  # loads torch, which takes seconds

    return ScootSampler(
        dict(space.parameters), known_constraints=space.known_constraints, seed=seed
    )


SAMPLERS: dict[str, Callable[[EngineSpace, int | None], BaseSampler]] = {
    "scoot": _scoot,
    "tpe": lambda _, seed: optuna.samplers.TPESampler(seed=seed),
    "nsga2": lambda _, seed: optuna.samplers.NSGAIISampler(
        population_size=NSGA2_POPULATION, seed=seed
    ),
    "gp": lambda _, seed: optuna.samplers.GPSampler(seed=seed),
    "random": lambda _, seed: optuna.samplers.RandomSampler(seed=seed),
}
