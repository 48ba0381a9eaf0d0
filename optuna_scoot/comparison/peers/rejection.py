"""Known constraints given to a sampler that cannot take them: reject and draw again."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.constraints.known import KnownConstraints


N_RANDOM_DRAWS = 100_000
"""Random configurations drawn before a space counts as having none that is valid."""


class RejectingSampler(BaseSampler):
    """Draws from another sampler until the known constraints hold.

    After ``n_draws`` violating suggestions a random valid configuration takes their place. This
    is what a user of any sampler can do around it, so it is given to every peer.

    Args:
        sampler: The sampler to draw from.
        search_space: Every parameter.
        known_constraints: Expressions that must hold.
        n_draws: Suggestions drawn from the sampler at most.
        seed: Of the random valid configurations.
    """

    def __init__(
        self,
        sampler: BaseSampler,
        search_space: Mapping[str, BaseDistribution],
        known_constraints: Sequence[str],
        *,
        n_draws: int,
        seed: int,
    ) -> None:
        self._sampler = sampler
        self._search_space = dict(search_space)
        self._known = KnownConstraints(tuple(known_constraints))
        self._n_draws = n_draws
        self._random = RandomSampler(seed=seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the whole space: a configuration is accepted or rejected as one."""
        return self._search_space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return a configuration of the inner sampler that holds the constraints, or a random one.

        Raises:
            RuntimeError: If no random configuration is valid either.
        """
        for _ in range(self._n_draws):
            params = self._draw(self._sampler, study, trial)
            if self._known.satisfied(params):
                return params
        for _ in range(N_RANDOM_DRAWS):
            params = self._draw(self._random, study, trial)
            if self._known.satisfied(params):
                return params
        msg = "No configuration satisfies the known constraints."
        raise RuntimeError(msg)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a value of a parameter outside the space, drawn by the inner sampler."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Pass it on."""
        self._sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Pass it on."""
        self._sampler.after_trial(study, trial, state, values)

    def _draw(self, sampler: BaseSampler, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        """Return one whole configuration, drawn as a trial does: relative first, then the rest."""
        inner_space = sampler.infer_relative_search_space(study, trial)
        relative = sampler.sample_relative(study, trial, inner_space)
        return {
            name: relative[name]
            if name in relative
            else sampler.sample_independent(study, trial, name, distribution)
            for name, distribution in self._search_space.items()
        }
