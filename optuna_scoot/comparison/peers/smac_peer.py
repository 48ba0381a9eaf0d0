"""SMAC3 as a sampler (M. Lindauer et al., 2022): its random forest, ParEGO for several objectives.

SMAC takes no constraints. The cost of a crash is a value of its model whatever its status, so a
failed trial is told as crashed at the worst cost seen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from pathlib import Path
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


N_TRIALS = 30
"""Budget that SMAC plans for: a quarter of it, seven trials, are its Sobol design."""


def make_smac(problem: Problem, seed: int) -> BaseSampler:
    """Return SMAC3 for a problem."""
    return AskTellSampler(partial(_Smac, seed=seed), problem.space, seed=seed)


class _Smac(Optimizer):
    """SMAC's facade for mixed parameters, with its model fitted again after every trial.

    Args:
        search_space: Every parameter.
        n_objectives: Number of objectives.
        constraints: Names of measured constraints, which it does not take.
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
        from ConfigSpace import ConfigurationSpace
        from smac import HyperparameterOptimizationFacade
        from smac import Scenario
        from smac.multi_objective.parego import ParEGO

        self._search_space = search_space
        self._worst: list[float] | None = None
        self._infos: dict[Any, Any] = {}
        self._configspace = ConfigurationSpace(seed=seed)
        self._configspace.add([_parameter(name, d) for name, d in search_space.items()])
        # It writes what it was given there.
        self._folder = tempfile.TemporaryDirectory(prefix="optuna-scoot-")
        scenario = Scenario(
            self._configspace,
            output_directory=Path(self._folder.name),
            deterministic=True,
            objectives=[f"f{index}" for index in range(n_objectives)],
            n_trials=N_TRIALS,
            seed=seed,
        )
        facade = HyperparameterOptimizationFacade
        self._facade = facade(
            scenario,
            target_function=_never_called,
            multi_objective_algorithm=ParEGO(scenario) if n_objectives > 1 else None,
            config_selector=facade.get_config_selector(scenario, retrain_after=1),
            logging_level=False,
        )

    def ask(self) -> dict[str, Any]:
        """Return SMAC's next configuration."""
        from joblib import parallel_config

        # Threads for ten small trees cost more than the trees.
        with parallel_config(backend="sequential"):
            info = self._facade.ask()
        self._infos[info.config] = info
        return {k: decode(d, info.config[k]) for k, d in self._search_space.items()}

    def tell(self, params: Params, outcome: Outcome) -> None:
        """Tell SMAC the costs; of a crash before anything ran, nothing."""
        from ConfigSpace import Configuration
        from smac.runhistory import StatusType
        from smac.runhistory import TrialInfo
        from smac.runhistory import TrialValue

        values = outcome.values
        if values is not None:
            worst = values if self._worst is None else self._worst
            self._worst = [max(pair) for pair in zip(worst, values, strict=True)]
        if self._worst is None:
            return
        encoded = {k: encode(d, params[k]) for k, d in self._search_space.items()}
        configuration = Configuration(self._configspace, values=encoded)
        info = self._infos.get(configuration, TrialInfo(configuration, seed=0))
        costs = list(self._worst if values is None else values)
        status = StatusType.CRASHED if values is None else StatusType.SUCCESS
        value = TrialValue(costs if len(costs) > 1 else costs[0], status=status)
        self._facade.tell(info, value, save=False)

    def withdraw(self, params: Params) -> None:
        """Leave it running: SMAC suggests no configuration twice and learns nothing from it."""


def _never_called(configuration: Any, seed: int = 0) -> float:
    """Stand for the target function, which the facade wants to be named."""
    raise NotImplementedError


def _parameter(name: str, distribution: BaseDistribution) -> Any:
    """Return a parameter of SMAC's space."""
    from ConfigSpace import Categorical
    from ConfigSpace import Float
    from ConfigSpace import Integer

    if isinstance(distribution, CategoricalDistribution):
        return Categorical(name, levels(distribution))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    last = n_steps(distribution)
    if last is not None:
        return Integer(name, (0, last))
    kind = Float if isinstance(distribution, FloatDistribution) else Integer
    return kind(name, (distribution.low, distribution.high), log=distribution.log)
