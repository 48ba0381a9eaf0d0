"""Ax as a sampler (M. Olson et al., 2025), with the generation strategy that it chooses itself.

Ax learns nothing from a failed trial but not to suggest it again. Measured constraints, and the
one by which a crash is told, are outcome constraints.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler

from optuna_scoot.comparison.peers.ask_tell import AskTellSampler
from optuna_scoot.comparison.peers.ask_tell import Optimizer
from optuna_scoot.comparison.peers.ask_tell import Outcome
from optuna_scoot.comparison.peers.ask_tell import Params
from optuna_scoot.comparison.peers.encoding import decode
from optuna_scoot.comparison.peers.encoding import encode
from optuna_scoot.comparison.peers.encoding import levels
from optuna_scoot.comparison.peers.encoding import n_steps
from optuna_scoot.comparison.problems.problem import Problem


def make_ax(problem: Problem, seed: int) -> BaseSampler:
    """Return Ax for a problem."""
    return AskTellSampler(partial(_Ax, seed=seed), problem.space, seed=seed)


class _Ax(Optimizer):
    """A client of Ax. The default configuration takes the place of the centre of its space.

    Args:
        search_space: Every parameter.
        n_objectives: Number of objectives.
        constraints: Names of measured constraints.
        seed: Its seed.
    """

    def __init__(
        self,
        search_space: Mapping[str, BaseDistribution],
        n_objectives: int,
        constraints: Sequence[str],
        *,
        seed: int,
    ) -> None:
        client = _import_quietly()
        self._search_space = search_space
        self._objectives = [f"f{index}" for index in range(n_objectives)]
        self._metrics = {name: f"c{index}" for index, name in enumerate(constraints)}
        self._running: dict[tuple[Any, ...], int] = {}
        self._client = client(random_seed=seed)
        self._client.configure_experiment([_parameter(k, d) for k, d in search_space.items()])
        self._client.configure_optimization(
            objective=", ".join(f"-{name}" for name in self._objectives),
            outcome_constraints=[f"{name} <= 0" for name in self._metrics.values()],
        )
        self._client.configure_generation_strategy(
            initialization_random_seed=seed,
            initialize_with_center=False,
            # What was rejected or is being evaluated does not keep it from suggesting more.
            allow_exceeding_initialization_budget=True,
        )

    def ask(self) -> dict[str, Any]:
        """Return Ax's next configuration."""
        ((index, suggested),) = self._client.get_next_trials(max_trials=1).items()
        params = {k: decode(d, suggested[k]) for k, d in self._search_space.items()}
        self._running[tuple(params.values())] = index
        return params

    def tell(self, params: Params, outcome: Outcome) -> None:
        """Tell Ax the values and constraints, or that the trial came to nothing."""
        index = self._running.pop(tuple(params.values()), None)
        if index is None:
            encoded = {k: encode(d, params[k]) for k, d in self._search_space.items()}
            index = self._client.attach_trial(encoded)
        if outcome.values is None:
            self._client.mark_trial_abandoned(index)
            return
        measured = dict(zip(self._objectives, outcome.values, strict=True))
        limits = {
            metric: outcome.constraints[name]
            for name, metric in self._metrics.items()
            if name in outcome.constraints
        }
        self._client.complete_trial(index, raw_data={**measured, **limits})

    def withdraw(self, params: Params) -> None:
        """Abandon a configuration, so that it is not suggested again."""
        index = self._running.pop(tuple(params.values()), None)
        if index is not None:
            self._client.mark_trial_abandoned(index)


def _import_quietly() -> Any:
    """Return Ax's client, and keep Ax from telling of every trial."""
    logging.disable(logging.INFO)
    try:
        from ax.api.client import Client
        from ax.utils.common.logger import set_stderr_log_level
    finally:
        logging.disable(logging.NOTSET)
    set_stderr_log_level(logging.ERROR)
    return Client


def _parameter(name: str, distribution: BaseDistribution) -> Any:
    """Return a parameter of Ax's space."""
    from ax.api.configs import ChoiceParameterConfig
    from ax.api.configs import RangeParameterConfig

    if isinstance(distribution, CategoricalDistribution):
        values = levels(distribution)
        return ChoiceParameterConfig(name, values, parameter_type="str", is_ordered=False)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    last = n_steps(distribution)
    if last is not None:
        return RangeParameterConfig(name, (0, last), parameter_type="int")
    return RangeParameterConfig(
        name,
        (distribution.low, distribution.high),
        parameter_type="float" if isinstance(distribution, FloatDistribution) else "int",
        scaling="log" if distribution.log else "linear",
    )
