"""What is suggested on small spaces, against looking at every point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from optuna_scoot import FeasibilityThreshold
from optuna_scoot import KnownConstraints
from optuna_scoot import Method
from optuna_scoot.acquisition.paper import log_ehvi
from optuna_scoot.acquisition.paper import mace_functions
from optuna_scoot.acquisition.score import score_function
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.model import Model
from optuna_scoot.model import learn
from optuna_scoot.observations import Observations
from optuna_scoot.search.nsga2 import Nsga2
from optuna_scoot.space.points import row_keys
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.startup import StartupChoice
from optuna_scoot.suggestion import Suggestion
from optuna_scoot.suggestion import _starts
from optuna_scoot.suggestion import fill_up
from optuna_scoot.suggestion import suggest
from optuna_scoot.suggestion import suggest_startup
from tests.optuna_scoot.observed import SQUARE
from tests.optuna_scoot.observed import domain_of
from tests.optuna_scoot.observed import learnt
from tests.optuna_scoot.observed import observed
from tests.optuna_scoot.observed import startup
from tests.optuna_scoot.studies import QUICK
from tests.optuna_scoot.studies import QUICK_PAPER


GRID: dict[str, BaseDistribution] = {"p": IntDistribution(0, 7), "q": IntDistribution(0, 7)}
CORNERLESS = Domain(SearchSpace(GRID), KnownConstraints(["p + q <= 12"]))
"""61 of 64 points."""

PAPER = replace(QUICK_PAPER, kernel=QUICK.kernel, nsga2=Nsga2(population=16, generations=8))
"""The paper's search, of a model that is not sure enough of itself for fronts of one point."""

MODEL_SEED = 3


def _points(*pairs: tuple[int, int]) -> np.ndarray:
    return SearchSpace(GRID).to_unit([{"p": p, "q": q} for p, q in pairs])


EVERYTHING = _points(*((p, q) for p in range(8) for q in range(8) if p + q <= 12))
RAN = [(0, 0), (2, 5), (5, 1), (3, 3), (1, 7), (6, 4)]
CRASHED = [(7, 5), (5, 7), (7, 3)]


def _numbers(points: np.ndarray) -> list[tuple[int, int]]:
    params = [SearchSpace(GRID).to_params(point) for point in points]
    return [(p["p"], p["q"]) for p in params]


def _value(p: int, q: int) -> float:
    return float((p - 6.0) ** 2 + 0.7 * (q - 5.0) ** 2)


def _single(pending: tuple[tuple[int, int], ...] = ()) -> Observations:
    return observed(
        _points(*RAN),
        [_value(*pair) for pair in RAN],
        axes=GRID,
        crashed=_points(*CRASHED),
        pending=_points(*pending),
    )


def _double(pending: tuple[tuple[int, int], ...] = ()) -> Observations:
    return observed(
        _points(*RAN),
        [[_value(p, q), 10.0 + p - q] for p, q in RAN],
        axes=GRID,
        crashed=_points(*CRASHED),
        pending=_points(*pending),
        reference_point=[70.0, 17.5],
    )


def _suggested(observations: Observations, method: Method, draw_seed: int = 0) -> Suggestion:
    return suggest(
        observations,
        CORNERLESS,
        method,
        FeasibilityThreshold(),
        model_seed=MODEL_SEED,
        draw_seed=draw_seed,
        design_seed=0,
    )


def _model(observations: Observations, method: Method) -> Model:
    return learn(observations, CORNERLESS, method, FeasibilityThreshold(), MODEL_SEED)


def _free(observations: Observations) -> np.ndarray:
    """Give the valid points that were neither evaluated nor run now."""
    o = observations
    taken = set(row_keys(np.concatenate([o.x, o.crashed, o.pruned, o.pending])))
    return EVERYTHING[[key not in taken for key in row_keys(EVERYTHING)]]


def test_mace_draws_from_the_front_of_its_functions_among_what_is_feasible() -> None:
    observations = _single(pending=((6, 5),))
    model = _model(observations, PAPER)
    feasible = EVERYTHING[model.pof(EVERYTHING) >= 0.5]
    functions = mace_functions(model)(feasible)
    front = {
        pair
        for pair, value in zip(_numbers(feasible), functions, strict=True)
        if not np.any(np.all(functions >= value, axis=1) & np.any(functions > value, axis=1))
    }
    left = front - {*RAN, *CRASHED, (6, 5)}
    # Feasibility and the running point both matter here.
    assert len(feasible) < len(EVERYTHING)
    assert (6, 5) in front
    suggestions = [_suggested(observations, PAPER, seed) for seed in range(8)]
    drawn = _numbers(np.stack([s.point for s in suggestions]))

    assert {s.phase for s in suggestions} == {"model"}
    # Each of them, for eight are asked for.
    assert len(left) >= 2
    assert set(drawn) == left


def test_of_two_objectives_the_papers_are_the_largest_by_ehvi_among_what_is_feasible() -> None:
    running: list[tuple[int, int]] = []
    for _ in range(4):
        suggestion = _suggested(_double(tuple(running)), PAPER)
        assert suggestion.phase == "model"
        running += _numbers(suggestion.point[np.newaxis])
    # What runs has taught the model nothing: all four are judged by the same.
    model = _model(_double(), PAPER)
    free = _free(_double())
    by_ehvi = free[np.argsort(-log_ehvi(model)(free))]
    feasible = by_ehvi[model.pof(by_ehvi) >= 0.5]

    # Feasibility decides: without it others would come first.
    assert _numbers(by_ehvi[:4]) != _numbers(feasible[:4])
    assert running == _numbers(feasible[:4])


@pytest.mark.parametrize("double", [False, True], ids=["one objective", "two"])
def test_the_defaults_point_is_the_one_of_the_highest_score(double: bool) -> None:
    observations = _double() if double else _single(pending=((6, 4), (4, 4)))
    free = _free(observations)
    score = score_function(_model(observations, QUICK), QUICK.caution)(free)
    suggestion = _suggested(observations, QUICK)

    assert suggestion.phase == "model"
    assert _numbers(suggestion.point[np.newaxis]) == [_numbers(free)[int(np.argmax(score))]]


@pytest.mark.parametrize("method", [QUICK, PAPER], ids=["default", "paper"])
def test_where_nothing_new_is_feasible_a_sobol_point_fills_up(method: Method) -> None:
    # One point ran, all around it crashed: no tree of the forest holds another for certain.
    crashed = _points(*((p, q) for p in range(8) for q in range(0, 8, 2) if p + q <= 12))
    observations = observed(_points((3, 3)), [1.0], axes=GRID, crashed=crashed)
    certain = FeasibilityThreshold(initial=1.0, maximum=1.0)
    suggestion = suggest(
        observations, CORNERLESS, method, certain, model_seed=0, draw_seed=0, design_seed=4
    )

    assert suggestion.phase == "fill"
    assert _numbers(suggestion.point[np.newaxis])[0] in _numbers(_free(observations))
    assert suggestion.pof is not None
    assert suggestion.pof < 1.0


# What is told of a suggestion


@pytest.mark.parametrize("log_outputs", [False, True])
def test_a_suggestion_tells_median_and_width_in_measured_units(log_outputs: bool) -> None:
    method = replace(QUICK, log_outputs=log_outputs)
    values = [[np.exp(_value(*pair) / 10.0), 10.0 + pair[0]] for pair in RAN]
    observations = observed(
        _points(*RAN), values, axes=GRID, crashed=_points(*CRASHED), reference_point=[90.0, 20.0]
    )
    suggestion = _suggested(observations, method)
    model = _model(observations, method)
    row = suggestion.point[np.newaxis]
    mean, std = (a[0] for a in model.surrogate.predict(model.domain.space.features(row)))
    first = model.transforms[0]
    assert (first.shift is not None) is log_outputs
    at = mean[0] * first.scale + first.location
    low, middle, high = (at + k * std[0] * first.scale for k in (-1.0, 0.0, 1.0))
    if first.shift is not None:
        low, middle, high = (np.exp(z) - first.shift for z in (low, middle, high))

    assert suggestion.mean is not None
    assert suggestion.std is not None
    assert suggestion.mean[0] == pytest.approx(middle)
    assert suggestion.std[0] == pytest.approx((high - low) / 2.0)
    assert suggestion.pof == pytest.approx(float(model.pof(row)[0]))
    assert suggestion.threshold == 0.5
    assert suggestion.mean.shape == suggestion.std.shape == (2,)


# Start-up and shortfall


def test_a_start_up_point_that_is_taken_gives_way_to_one_that_is_not() -> None:
    first = startup(CORNERLESS, 0, 11)
    nothing = observed(np.empty((0, 2)), np.empty((0, 1)), axes=GRID)
    taken = observed(np.empty((0, 2)), np.empty((0, 1)), axes=GRID, pending=[first])
    points = [
        suggest_startup(o, CORNERLESS, QUICK, index=0, design_seed=11) for o in (nothing, taken)
    ]

    assert [p.phase for p in points] == ["startup", "startup"]
    assert _numbers(points[0].point[np.newaxis]) == _numbers(first[np.newaxis])
    assert _numbers(points[1].point[np.newaxis])[0] in _numbers(_free(taken))
    assert points[0].pof is None


LEVELS: dict[str, BaseDistribution] = {
    "kind": CategoricalDistribution(["a", "b"]),
    "n": IntDistribution(0, 9),
}


@pytest.mark.parametrize("covering", [True, False])
def test_start_up_covers_the_levels_that_no_trial_had_where_it_is_asked_to(covering: bool) -> None:
    domain = Domain(SearchSpace(LEVELS), KnownConstraints([]))
    method = replace(QUICK, startup=StartupChoice(covering=covering))
    had = domain.space.to_unit([{"kind": "a", "n": n} for n in range(4)])
    observations = observed(had, [1.0] * 4, axes=LEVELS)
    kinds = [
        domain.space.to_params(
            suggest_startup(observations, domain, method, index=i, design_seed=5).point
        )["kind"]
        for i in range(8)
    ]

    assert set(kinds) == ({"b"} if covering else {"a", "b"})


def _with(ran: ArrayLike, crashed: ArrayLike) -> Observations:
    return observed(ran, np.ones(len(np.asarray(ran))), axes=GRID, crashed=crashed)


def test_what_fills_up_is_new_then_what_ran_then_anything() -> None:
    crashed = EVERYTHING[10:30]
    new = _with(np.concatenate([EVERYTHING[:10], EVERYTHING[33:]]), crashed)
    all_taken = _with(np.concatenate([EVERYTHING[:10], EVERYTHING[30:]]), crashed)
    all_crashed = _with(EVERYTHING[:0], EVERYTHING)

    def filled(observations: Observations) -> set[tuple[int, int]]:
        return set(
            _numbers(np.stack([fill_up(observations, CORNERLESS, seed) for seed in range(150)]))
        )

    assert filled(new) == set(_numbers(EVERYTHING[30:33]))
    ran = filled(all_taken)
    assert ran <= set(_numbers(np.concatenate([EVERYTHING[:10], EVERYTHING[30:]])))
    assert len(ran) > 25
    assert len(filled(all_crashed)) > 25


def test_in_a_small_space_the_last_point_fills_up_however_rare_it_is() -> None:
    # Of a logarithmic range its share is 0.02 %: no short sequence comes by it.
    axes: dict[str, BaseDistribution] = {"n": IntDistribution(1, 600, log=True)}
    domain = Domain(SearchSpace(axes), KnownConstraints([]))
    tried = domain.space.to_unit([{"n": n} for n in range(1, 600)])
    point = fill_up(observed(tried, np.ones(599), axes=axes), domain, 0)

    assert domain.space.to_params(point) == {"n": 600}


def test_in_a_large_space_sobol_points_fill_up() -> None:
    domain = domain_of(SQUARE, "a <= b")
    sequence = domain.sobol(256, 4)
    nothing = observed(np.empty((0, 2)), np.empty((0, 1)))
    taken = observed(sequence[:1], [1.0], pruned=sequence[1:2], crashed=sequence[2:3])

    assert fill_up(nothing, domain, 4).tolist() == sequence[0].tolist()
    assert fill_up(taken, domain, 4).tolist() == sequence[3].tolist()


# Where the search starts


def _starting(
    axes: Mapping[str, BaseDistribution], observations: Observations
) -> list[list[float]]:
    return [list(point) for point in _starts(learnt(observations, QUICK, axes))]


def test_the_search_starts_at_the_three_best_that_satisfy_the_measured_constraints() -> None:
    x = np.random.default_rng(0).random((6, 2))
    values = [5.0, 1.0, 3.0, 2.0, 4.0, 6.0]
    violated = [[-1.0], [2.0], [-1.0], [-1.0], [0.0], [-1.0]]

    assert _starting(SQUARE, observed(x, values)) == x[[1, 3, 2]].tolist()
    assert _starting(SQUARE, observed(x, values, constraints=violated)) == x[[3, 2, 4]].tolist()


def test_while_nothing_satisfies_them_the_search_starts_at_the_least_violation() -> None:
    x = np.random.default_rng(0).random((5, 2))
    # What is satisfied does not make up for what is violated: 3, 1, 2, 4 and 5 in total.
    constraints = [[3.0, -9.0], [1.0, -1.0], [1.5, 0.5], [-50.0, 4.0], [2.5, 2.5]]

    assert (
        _starting(SQUARE, observed(x, np.arange(5.0), constraints=constraints))
        == x[[1, 2, 0]].tolist()
    )


def test_of_two_objectives_the_search_starts_at_the_front() -> None:
    x = np.random.default_rng(0).random((5, 2))
    values = [[1.0, 9.0], [2.0, 9.5], [5.0, 5.0], [9.0, 1.0], [9.0, 5.0]]

    assert _starting(SQUARE, observed(x, values)) == x[[0, 2, 3]].tolist()
