"""Fewer overrides: those that the model expects to matter to nobody go back to the default.

A tuned configuration sets every parameter, as the search had to choose some value of each. What
does not matter is one more line to explain and to keep when the engine changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from optuna_scoot.tuning.paired import LEAST_CHANGE


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from optuna.study import Study

    from objectives.spaces import EngineSpace
    from optuna_scoot.constraints.known import KnownConstraints


LEAST_CHANCE = 0.5
"""A configuration that is less likely to run is not worth a measurement."""
SEED = 0


def simplify(
    study: Study, space: EngineSpace, known: KnownConstraints, params: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return a configuration with fewer overrides that should be as good, None for none.

    Overrides are set back to the default one by one, the least important first, as long as the
    surrogate of the study expects every objective to stay within 1 % of the whole configuration,
    every limit to be kept, and the engine to run. It is a guess that has to be measured.

    Args:
        study: Tuned, by whatever sampler.
        space: What was tuned.
        known: What a configuration has to satisfy.
        params: The whole configuration.
    """
    loss = _expected_loss(study, space, params)
    simple = dict(params)
    while True:
        candidates = [
            {**simple, name: space.default[name]}
            for name in simple
            if simple[name] != space.default[name]
        ]
        candidates = [candidate for candidate in candidates if known.satisfied(candidate)]
        if not candidates:
            break
        losses = loss(candidates)
        least = int(np.argmin(losses))
        if losses[least] > LEAST_CHANGE:
            break
        simple = candidates[least]
    return None if simple in (dict(params), dict(space.default)) else simple


def _expected_loss(
    study: Study, space: EngineSpace, params: Mapping[str, Any]
) -> Callable[[list[dict[str, Any]]], np.ndarray]:
    """Return a function that gives the largest relative loss of configurations over another.

    Infinite where a limit is not expected to be kept or the engine is not expected to run.
    """
    # These take long to load.
    from optuna_scoot.constraints.domain import Domain
    from optuna_scoot.constraints.known import KnownConstraints
    from optuna_scoot.feasibility.threshold import FeasibilityThreshold
    from optuna_scoot.method import Method
    from optuna_scoot.model import learn
    from optuna_scoot.space.search_space import SearchSpace
    from optuna_scoot.trials.history import History
    from optuna_scoot.trials.reading import observe

    search_space = SearchSpace(dict(space.parameters))
    history = History.of(study.get_trials(deepcopy=False))
    observations = observe(history, search_space, study.directions)
    domain = Domain(search_space, KnownConstraints(space.known_constraints))
    model = learn(observations, domain, Method(), FeasibilityThreshold(), SEED)
    m = model.n_objectives

    def predicted(configurations: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
        x = search_space.snap(search_space.to_unit(configurations))
        mean, _ = model.predict(x)
        columns = [t.backward(mean[:, j]) for j, t in enumerate(model.transforms)]
        return np.stack(columns, axis=1), model.pof(x)

    whole = predicted([dict(params)])[0][0, :m]

    def loss(configurations: list[dict[str, Any]]) -> np.ndarray:
        outputs, chance = predicted(configurations)
        losses = ((outputs[:, :m] - whole) / np.maximum(np.abs(whole), 1e-300)).max(axis=1)
        fits = np.all(outputs[:, m:] <= 0.0, axis=1) & (chance >= LEAST_CHANCE)
        return np.where(fits, losses, np.inf)

    return loss
