"""Optimisers of other packages, which are asked and told, as samplers of Optuna."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState


Params = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What an optimiser is told of a finished trial.

    Attributes:
        values: The objective values, all to be minimised; None after a failed trial.
        constraints: Measured constraints by name; a positive one is violated.
    """

    values: Sequence[float] | None
    constraints: Mapping[str, float]


class Optimizer(ABC):
    """An optimiser of another package, over Optuna's parameters."""

    @abstractmethod
    def ask(self) -> dict[str, Any]:
        """Return a configuration to evaluate."""

    @abstractmethod
    def tell(self, params: Params, outcome: Outcome) -> None:
        """Take the outcome of a configuration, which need not be one that it suggested."""

    @abstractmethod
    def withdraw(self, params: Params) -> None:
        """Take that a configuration which it suggested will not be evaluated."""


Start = Callable[[Mapping[str, BaseDistribution], int, Sequence[str]], Optimizer]
"""Space, number of objectives and names of the constraints to an optimiser."""


class AskTellSampler(BaseSampler):
    """Suggests what an optimiser suggests that is told of every finished trial.

    The optimiser is started at the first suggestion: then the default configuration has told
    which constraints are measured.

    Args:
        start: Starts the optimiser.
        search_space: Every parameter; those with a single value are kept from the optimiser.
        seed: Of parameters outside the space.
    """

    def __init__(
        self, start: Start, search_space: Mapping[str, BaseDistribution], *, seed: int
    ) -> None:
        self._start = start
        self._search_space = {k: d for k, d in search_space.items() if not d.single()}
        self._random = RandomSampler(seed=seed)
        self._optimizer: Optimizer | None = None
        self._told: set[int] = set()
        self._asked: dict[int, dict[str, Any]] = {}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the whole space."""
        return self._search_space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the optimiser's next suggestion; one for the same trial before was rejected."""
        states = (TrialState.COMPLETE, TrialState.FAIL)
        finished = study.get_trials(deepcopy=False, states=states)
        if self._optimizer is None:
            names = dict.fromkeys(name for other in finished for name in other.constraints)
            self._optimizer = self._start(self._search_space, len(study.directions), list(names))
        if trial.number in self._asked:
            self._optimizer.withdraw(self._asked.pop(trial.number))
        signs = [1 if d is StudyDirection.MINIMIZE else -1 for d in study.directions]
        for other in finished:
            if other.number not in self._told:
                self._told.add(other.number)
                self._tell(self._optimizer, other, signs)
        self._asked[trial.number] = self._optimizer.ask()
        return dict(self._asked[trial.number])

    def _tell(self, optimizer: Optimizer, trial: FrozenTrial, signs: Sequence[int]) -> None:
        params = {name: trial.params[name] for name in self._search_space}
        asked = self._asked.pop(trial.number, None)
        if asked is not None and asked != params:
            optimizer.withdraw(asked)
        values = None
        if trial.state == TrialState.COMPLETE:
            values = [sign * value for sign, value in zip(signs, trial.values, strict=True)]
        optimizer.tell(params, Outcome(values, trial.constraints))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a random value, for a parameter outside the space."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)
