"""One suggestion from arrays: batches spread out, and bold suggestions once nothing is gained."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution

from optuna_scoot import KnownConstraints
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.feasibility.chances import given_up
from optuna_scoot.feasibility.chances import is_stagnant
from optuna_scoot.feasibility.threshold import FeasibilityThreshold
from optuna_scoot.method import Method
from optuna_scoot.model import learn
from optuna_scoot.observations import Observations
from optuna_scoot.space.one_hot import OneHot
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.suggestion import suggest


def _observations(
    x: np.ndarray,
    values: np.ndarray,
    *,
    crashed: np.ndarray | None = None,
    outcomes: tuple[bool, ...] = (),
) -> Observations:
    nothing = np.empty((0, x.shape[1]))
    n_startup = len(x) - sum(outcomes)
    return Observations(
        x=x,
        values=values,
        constraints=np.empty((len(x), 0)),
        crashed=nothing if crashed is None else crashed,
        crashed_by_model=np.zeros(0 if crashed is None else len(crashed), dtype=bool),
        pruned=nothing,
        pending=nothing,
        outcomes=outcomes,
        completed_before=tuple(n_startup + sum(outcomes[:i]) for i in range(len(outcomes))),
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


@pytest.mark.parametrize(
    ("values", "outcomes", "stagnant"),
    [
        # The last three suggestions: no better than 5, where the median is 7.
        ([9.0, 5.0, 7.0, 7.0, 7.0], (True, True, True, True, True), True),
        # The last of them is better.
        ([9.0, 5.0, 7.0, 7.0, 4.0], (True, True, True, True, True), False),
        # A gain of 1 % of the distance to the median is none.
        ([9.0, 5.0, 7.0, 7.0, 4.98], (True, True, True, True, True), True),
        # Crashes gain nothing either.
        ([9.0, 7.0, 5.0], (True, True, False, False, False), True),
        # Not at every trial: the question is asked once in three.
        ([9.0, 7.0, 5.0, 7.0, 7.0, 7.0], (True,) * 6, False),
        ([9.0, 7.0, 5.0, 7.0], (True, True), False),
    ],
)
def test_stagnation_by_hand(
    values: list[float], outcomes: tuple[bool, ...], stagnant: bool
) -> None:
    column = np.array(values)[:, np.newaxis]
    observations = _observations(np.zeros((len(values), 2)), column, outcomes=outcomes)

    assert is_stagnant(observations, 3) is stagnant
    assert is_stagnant(observations, 0) is False


def test_a_pruned_suggestion_has_no_value_that_could_be_a_gain() -> None:
    # The last three: 7, pruned, 7. The 4 before them is no gain of theirs.
    values = np.array([[9.0], [4.0], [7.0], [7.0]])
    observations = dataclasses.replace(
        _observations(np.zeros((4, 2)), values),
        outcomes=(True,) * 5,
        completed_before=(0, 1, 2, 3, 3),
    )
    assert is_stagnant(observations, 3) is True


def test_of_a_batch_one_suggestion_in_three_is_bold() -> None:
    values = np.array([[9.0], [5.0], [7.0], [7.0], [7.0]])
    observations = _observations(np.zeros((5, 2)), values, outcomes=(True,) * 5)
    bold = [
        is_stagnant(dataclasses.replace(observations, pending=np.zeros((n, 2))), 3)
        for n in range(8)
    ]
    assert bold == [True, False, False, True, False, False, True, False]


@pytest.mark.parametrize("last", [(2.0, 2.0), (0.5, 3.0)])
def test_stagnation_of_two_objectives_is_that_of_the_hypervolume(
    last: tuple[float, float],
) -> None:
    values = np.array([[1.0, 1.0], [3.0, 3.0], [2.0, 2.0], [2.5, 2.0], last])
    observations = dataclasses.replace(
        _observations(np.zeros((5, 2)), values, outcomes=(True,) * 5),
        reference_point=np.array([4.0, 4.0]),
    )
    # (0.5, 3) adds 0.5 x 1 to the 3 x 3 of (1, 1).
    assert is_stagnant(observations, 3) is (last == (2.0, 2.0))


def _domain_with_flag() -> Domain:
    axes = {"n": FloatDistribution(0.0, 1.0), "on": CategoricalDistribution([False, True])}
    return Domain(SearchSpace(axes), KnownConstraints([]))


@pytest.mark.parametrize(("outcomes", "bold"), [((True,) * 5, True), ((True,) * 4, False)])
def test_a_level_blamed_for_other_crashes_gets_another_chance(
    outcomes: tuple[bool, ...], bold: bool
) -> None:
    domain = _domain_with_flag()
    numbers = np.linspace(0.0, 0.6, 8)
    x = domain.space.to_unit([{"n": float(n), "on": False} for n in numbers])
    # Large numbers crash, and it so happened that the flag was on with them alone.
    crashed = domain.space.to_unit([{"n": n, "on": True} for n in (0.8, 0.9, 1.0)])
    values = np.concatenate([[1.0], np.full(7, 2.0)])[:, np.newaxis]
    observations = _observations(x, values, crashed=crashed, outcomes=outcomes)
    model = learn(observations, domain, Method(bold_every=3), FeasibilityThreshold(), 0)
    good, bad = domain.space.to_unit([{"n": 0.2, "on": True}, {"n": 0.9, "on": True}])

    assert bool(model.pof(good[np.newaxis, :])[0] > 0.9) is bold
    assert model.pof(bad[np.newaxis, :])[0] < 0.3


@pytest.mark.parametrize(
    ("by_model", "ran_once", "shown"),
    [
        # Two of the model's own suggestions crashed with "a": it is given up.
        ([True, False, True], False, ["a"]),
        # One did; the other points were start-up's.
        ([True, False, False], False, []),
        ([True, True, True], False, ["a"]),
        # It ran elsewhere.
        ([True, True, True], True, []),
    ],
)
def test_a_level_is_given_up_after_two_crashes_of_the_model_unless_it_ever_ran(
    by_model: list[bool], ran_once: bool, shown: list[str]
) -> None:
    space = SearchSpace(
        {
            "n": FloatDistribution(0.0, 1.0),
            "kind": CategoricalDistribution(["a", "b", "c"]),
            "on": CategoricalDistribution([False, True]),
        }
    )
    ran = space.to_unit(
        [
            {"n": 0.1, "kind": "c", "on": False},
            {"n": 0.2, "kind": "a" if ran_once else "c", "on": True},
        ]
    )
    crashed = space.to_unit([{"n": n, "kind": "a", "on": n > 0.5} for n in (0.4, 0.5, 0.6)])
    observations = dataclasses.replace(
        _observations(ran, np.ones((2, 1)), crashed=crashed),
        crashed_by_model=np.array(by_model),
    )
    one_hot = OneHot(space.features(np.concatenate([ran, crashed])), space.is_level)
    # A number; of the kinds "a" and "c"; off and on.
    expected = [False, "a" in shown, False, False, False]

    assert given_up(observations, space, one_hot).tolist() == expected


def test_a_flag_that_was_given_up_gets_no_further_chance() -> None:
    domain = _domain_with_flag()
    x = domain.space.to_unit([{"n": float(n), "on": False} for n in np.linspace(0.0, 0.6, 8)])
    crashed = domain.space.to_unit([{"n": n, "on": True} for n in (0.8, 0.9, 1.0)])
    values = np.concatenate([[1.0], np.full(7, 2.0)])[:, np.newaxis]
    observations = _observations(x, values, crashed=crashed, outcomes=(True,) * 5)
    blamed = dataclasses.replace(observations, crashed_by_model=np.ones(3, dtype=bool))
    good = domain.space.to_unit([{"n": 0.2, "on": True}])
    pof = [
        learn(o, domain, Method(bold_every=3), FeasibilityThreshold(), 0).pof(good)[0]
        for o in (observations, blamed)
    ]

    assert pof[0] > 0.9 > 0.5 > pof[1]


def test_without_levels_crashes_stay_what_they_are() -> None:
    x = np.random.default_rng(0).random((8, 2)) * 0.5
    values = np.concatenate([[1.0], np.full(7, 2.0)])[:, np.newaxis]
    observations = _observations(x, values, crashed=x + 0.5, outcomes=(True,) * 5)
    models = [
        learn(observations, _square(), method, FeasibilityThreshold(), 0)
        for method in (Method(bold_every=3), Method(bold_every=0))
    ]
    queries = np.random.default_rng(1).random((50, 2))

    np.testing.assert_array_equal(models[0].pof(queries), models[1].pof(queries))


def _suggested(observations: Observations, cost: float) -> np.ndarray:
    return suggest(
        observations,
        _square(),
        Method(crash_cost=cost),
        FeasibilityThreshold(),
        model_seed=0,
        draw_seed=0,
        design_seed=0,
    ).point


@pytest.mark.parametrize("two_objectives", [False, True])
def test_what_a_crash_costs_keeps_the_search_away_from_crashes(two_objectives: bool) -> None:
    x = np.random.default_rng(0).random((10, 2)) * 0.6
    # The best lies beyond what crashes.
    values = np.stack([-x.sum(axis=1), x[:, 1] - x[:, 0]], axis=1)[:, : 1 + two_objectives]
    observations = _observations(x, values, crashed=np.array([[0.7, 0.75], [0.75, 0.65]]))
    risk = learn(observations, _square(), Method(), FeasibilityThreshold(), 0).crashes.risk
    assert risk is not None
    free, dear = (
        float(risk.probability(_suggested(observations, cost)[np.newaxis, :])[0])
        for cost in (0.0, 10.0)
    )

    assert dear < free - 0.05
    # As safe as the half of what ran, and not at the safest place there is.
    corners = np.stack(np.meshgrid([0.0, 0.25, 0.5], [0.0, 0.25, 0.5]), axis=-1).reshape(-1, 2)
    assert dear < np.median(risk.probability(x)) + 1e-3
    assert dear > risk.probability(corners).min() + 0.01


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        # All alike: the best is no better than the median.
        (np.full((6, 1), 3.0), None),
        # Nothing is better than the reference point.
        (np.linspace(2.0, 3.0, 12).reshape(6, 2), np.array([1.0, 1.0])),
    ],
    ids=["one objective", "two objectives"],
)
def test_before_anything_is_gained_a_crash_costs_nothing(
    values: np.ndarray, reference: np.ndarray | None
) -> None:
    x = np.random.default_rng(0).random((6, 2)) * 0.6
    observations = dataclasses.replace(
        _observations(x, values, crashed=np.array([[0.7, 0.7]])), reference_point=reference
    )

    np.testing.assert_array_equal(_suggested(observations, 0.0), _suggested(observations, 10.0))


def test_without_crashes_their_cost_changes_nothing() -> None:
    x = np.random.default_rng(0).random((8, 2))
    observations = _observations(x, np.sum(x**2, axis=1, keepdims=True))

    np.testing.assert_array_equal(_suggested(observations, 0.0), _suggested(observations, 10.0))
