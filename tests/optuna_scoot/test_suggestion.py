"""One suggestion from arrays: batches spread out, and caution grows with Δ."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from optuna_scoot import KnownConstraints
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.feasibility.forest import FeasibilityForest
from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.feasibility.threshold import FeasibilityThreshold
from optuna_scoot.method import Method
from optuna_scoot.model import learn
from optuna_scoot.observations import Observations
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.suggestion import suggest


MOVING = FeasibilityThreshold()


def _observations(
    x: np.ndarray,
    values: np.ndarray,
    *,
    crashed: np.ndarray | None = None,
    outcomes: tuple[bool, ...] = (),
) -> Observations:
    nothing = np.empty((0, x.shape[1]))
    return Observations(
        x=x,
        values=values,
        constraints=np.empty((len(x), 0)),
        crashed=nothing if crashed is None else crashed,
        pruned=nothing,
        pending=nothing,
        outcomes=outcomes,
        reference_point=None,
    )


def _square() -> Domain:
    axes = {name: FloatDistribution(0.0, 1.0) for name in ("a", "b")}
    return Domain(SearchSpace(axes), KnownConstraints([]))


def _two_objectives(x: np.ndarray) -> np.ndarray:
    """Give squared distances from two corners; the front is the diagonal between them."""
    return np.stack([np.sum(x**2, axis=1), np.sum((x - 1.0) ** 2, axis=1)], axis=1)


def _batch(n: int, values: np.ndarray, x: np.ndarray) -> np.ndarray:
    observations = _observations(x, values)
    for i in range(n):
        suggestion = suggest(
            observations,
            _square(),
            Method(),
            FeasibilityThreshold(),
            model_seed=0,
            draw_seed=i,
            design_seed=0,
        )
        observations = dataclasses.replace(
            observations,
            pending=np.concatenate([observations.pending, suggestion.point[np.newaxis, :]]),
        )
    return observations.pending


def test_a_batch_for_two_objectives_spreads_along_the_front() -> None:
    x = np.random.default_rng(0).random((8, 2))
    batch = _batch(4, _two_objectives(x), x)

    # Four points along a diagonal of length 1.4, none on top of another.
    gaps = np.linalg.norm(batch[:, np.newaxis, :] - batch[np.newaxis, :, :], axis=2)
    assert gaps[np.triu_indices(4, k=1)].min() > 0.1


def test_what_pending_points_are_believed_to_reach_has_to_be_beaten() -> None:
    x = np.linspace(0.0, 1.0, 9)[:, np.newaxis] * np.ones((1, 2))
    x = np.delete(x, 4, axis=0)
    values = np.sum((x - 0.5) ** 2, axis=1, keepdims=True)
    observations = dataclasses.replace(
        _observations(x, values), pending=np.array([[0.5, 0.5], [0.9, 0.1]])
    )
    model = learn(observations, _square(), Method(), FeasibilityThreshold(), 0)

    assert model.believed.shape == (2, 1)
    assert model.believed[0, 0] < values.min()
    assert model.reached.min() == model.believed.min()


def _suggested(
    observations: Observations, *, caution: float = 2.0, threshold: FeasibilityThreshold = MOVING
) -> np.ndarray:
    return suggest(
        observations,
        _square(),
        Method(caution=caution),
        threshold,
        model_seed=0,
        draw_seed=0,
        design_seed=0,
    ).point


def _tempting(n_objectives: int, outcomes: tuple[bool, ...] = ()) -> Observations:
    """Give a history in which the best lies beyond what crashes."""
    x = np.random.default_rng(0).random((10, 2)) * 0.6
    values = -x.sum(axis=1, keepdims=True) if n_objectives == 1 else -x - 0.3 * x[:, ::-1]
    crashed = np.array([[0.7, 0.75], [0.75, 0.65], [0.8, 0.5]])
    return _observations(x, values, crashed=crashed, outcomes=outcomes)


def _pof(observations: Observations, point: np.ndarray) -> float:
    """Give the probability of feasibility in the eyes of another, larger forest."""
    o = observations
    forest = FeasibilityForest(
        np.concatenate([o.x, o.crashed]),
        np.arange(len(o.x) + len(o.crashed)) < len(o.x),
        is_level=np.zeros(2, dtype=bool),
        choice=ForestChoice(n_trees=400),
        seed=99,
    )
    return float(forest.probability(point[np.newaxis, :])[0])


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_caution_keeps_the_search_away_from_crashes(n_objectives: int) -> None:
    observations = _tempting(n_objectives)
    none, some, more = (
        _pof(observations, _suggested(observations, caution=caution))
        for caution in (0.0, 2.0, 9.0)
    )

    # Δ alone leaves it at the edge of what is allowed.
    assert none < 0.65
    assert none + 0.1 < some < more


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_after_crashes_a_moving_delta_suggests_what_is_safer_than_a_fixed_one(
    n_objectives: int,
) -> None:
    # Three crashes of the model's suggestions lead to a Δ of 0.65.
    observations = _tempting(n_objectives, outcomes=(False, False, False))
    fixed, moving = (
        _pof(observations, _suggested(observations, threshold=threshold))
        for threshold in (FeasibilityThreshold(step=0.0), MOVING)
    )

    assert fixed + 0.1 < moving


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_after_many_that_ran_a_moving_delta_dares_more_than_a_fixed_one(n_objectives: int) -> None:
    # All 25 in a row lead to the least Δ, 0.25.
    observations = _tempting(n_objectives, outcomes=(True,) * 25)
    fixed, moving = (
        _pof(observations, _suggested(observations, threshold=threshold))
        for threshold in (FeasibilityThreshold(step=0.0), MOVING)
    )

    assert moving < fixed - 0.1


def test_without_crashes_caution_changes_nothing() -> None:
    x = np.random.default_rng(0).random((8, 2))
    observations = _observations(x, np.sum(x**2, axis=1, keepdims=True))

    np.testing.assert_array_equal(
        _suggested(observations, caution=0.0), _suggested(observations, caution=10.0)
    )
