"""What the comparison has to know of a sampler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from optuna.samplers import BaseSampler

from optuna_scoot.comparison.peers.modes import PeerMode
from optuna_scoot.comparison.problems.problem import Problem


SamplerFactory = Callable[[Problem, int], BaseSampler]
"""Problem and seed to sampler."""


@dataclass(frozen=True)
class Contestant:
    """A sampler of the comparison.

    Attributes:
        name: Its name.
        make: Makes it for a problem and a seed.
        modes: The ways in which it is run.
        n_draws: With known constraints: suggestions drawn before a random valid one is taken.
        takes_known: Whether it takes the known constraints itself.
        missing: What it lacks to be run here; None where it lacks nothing. Its finished runs are
            reported in any case.
    """

    name: str
    make: SamplerFactory
    modes: tuple[PeerMode, ...]
    n_draws: int = 50
    takes_known: bool = False
    missing: str | None = None
