"""Start-up points: how many, and how they keep to what ran once points crash."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from optuna_scoot import KnownConstraints
from optuna_scoot import ScootSampler
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.startup import StartupChoice
from optuna_scoot.startup import startup_point
from tests.optuna_scoot.observed import domain_of
from tests.optuna_scoot.observed import observed
from tests.optuna_scoot.observed import startup
from tests.optuna_scoot.studies import ENGINE_RULES
from tests.optuna_scoot.studies import MIXED
from tests.optuna_scoot.studies import QUICK
from tests.optuna_scoot.studies import add
from tests.optuna_scoot.studies import quick
from tests.optuna_scoot.studies import study_of
from tests.optuna_scoot.studies import suggest_all


NUMBERS: dict[str, BaseDistribution] = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(16)}
RAN = np.random.default_rng(0).random((1, 16))
CRASHED = np.random.default_rng(1).random((5, 16))
INDICES = range(48)


def _points(domain: Domain, ran: np.ndarray, n_crashed: int) -> np.ndarray:
    """Give start-up points of many indices, each after the same trials."""
    crashed = CRASHED[:n_crashed, : domain.space.n_dimensions]
    return np.stack([startup(domain, i, 7, ran=ran, crashed=crashed) for i in INDICES])


# How many


@pytest.mark.parametrize(
    ("n_parameters", "n_points"), [(1, 4), (6, 4), (7, 5), (10, 6), (13, 8), (14, 8), (60, 8)]
)
def test_points_are_three_for_five_parameters_but_four_at_least_and_eight_at_most(
    n_parameters: int, n_points: int
) -> None:
    choice = StartupChoice()

    assert choice.is_under_way(n_points - 1, n_points - 1, n_parameters)
    assert not choice.is_under_way(n_points, n_points, n_parameters)


def test_the_paper_has_as_many_points_as_parameters_and_a_user_as_many_as_asked_for() -> None:
    assert StartupChoice.paper().is_under_way(59, 59, 60)
    assert not StartupChoice.paper().is_under_way(60, 60, 60)
    assert StartupChoice().is_under_way(19, 19, 60, n_points=20)
    assert not StartupChoice().is_under_way(1, 1, 60, n_points=1)


def test_of_sixty_parameters_the_ninth_trial_is_the_models() -> None:
    space: dict[str, BaseDistribution] = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(60)}
    study = study_of(quick(space, seed=0))
    study.optimize(lambda trial: sum(suggest_all(trial, space).values()), n_trials=9)
    phases = [trial.user_attrs["scoot:phase"] for trial in study.trials]

    assert phases == ["startup"] * 8 + ["model"]


# After crashes


@pytest.mark.parametrize("n_crashed", [0, 1, 2, 5])
def test_after_each_crash_a_point_has_half_as_many_parameters_of_its_own(n_crashed: int) -> None:
    domain = domain_of(NUMBERS)
    points, alone = _points(domain, RAN, n_crashed), _points(domain, RAN, 0)
    is_own = ~np.isclose(points, RAN)

    # One of its own at the least, drawn from all: 1 / 16 of the others.
    expected = 0.5**n_crashed
    expected += (1.0 - expected) / 16.0
    assert np.mean(is_own) == pytest.approx(expected, abs=0.04)
    assert is_own.any(axis=1).all()
    # Its own are those that it has where nothing crashed.
    np.testing.assert_allclose(points[is_own], alone[is_own])


def test_each_point_keeps_to_one_of_those_that_ran() -> None:
    domain = domain_of(NUMBERS)
    ran = np.random.default_rng(2).random((3, 16))
    n_shared = np.isclose(_points(domain, ran, 2)[:, np.newaxis, :], ran).sum(axis=2)

    assert np.all(np.count_nonzero(n_shared, axis=1) <= 1)
    assert set(np.argmax(n_shared, axis=1)) == {0, 1, 2}


def test_what_was_pruned_ran() -> None:
    nothing = np.empty((0, 16))
    pruned = observed(nothing, np.empty((0, 1)), axes=NUMBERS, pruned=RAN, crashed=CRASHED)
    point = startup_point(domain_of(NUMBERS), 0, 7, pruned, StartupChoice())

    assert np.isclose(point, RAN[0]).sum() >= 12


def test_while_nothing_ran_crashes_change_nothing() -> None:
    domain = domain_of(NUMBERS)
    nothing = np.empty((0, 16))

    np.testing.assert_array_equal(_points(domain, nothing, 3), _points(domain, nothing, 0))


def test_the_papers_points_are_the_same_after_crashes() -> None:
    first, second = (
        startup(domain_of(NUMBERS), 5, 7, covering=False, ran=RAN, crashed=crashed)
        for crashed in (CRASHED, CRASHED[:0])
    )

    np.testing.assert_array_equal(first, second)


def test_what_keeps_to_what_ran_satisfies_the_known_constraints() -> None:
    domain = Domain(SearchSpace(MIXED), KnownConstraints(ENGINE_RULES))
    ran = domain.sobol(4, 3)
    shared = []
    for n_crashed in (0, 1, 3):
        points = _points(domain, ran, n_crashed)
        assert domain.valid(points).all()
        np.testing.assert_allclose(domain.space.snap(points), points)
        same = np.isclose(points[:, np.newaxis, :], ran[np.newaxis])
        shared.append(float(np.mean(same.mean(axis=2).max(axis=1))))

    # Repaired or not, they share the more the more has crashed.
    assert shared[0] + 0.1 < shared[1] < shared[2] - 0.1


def _next_of_a_worker(seed: int) -> list[dict[str, object]]:
    """Ask for three trials after one that ran and two that crashed."""
    study = study_of(quick(MIXED, known_constraints=ENGINE_RULES, seed=seed, n_startup_trials=20))
    space = SearchSpace(MIXED)
    points = Domain(space, KnownConstraints(ENGINE_RULES)).sobol(3, 11)
    for value, point in zip((1.0, None, None), points, strict=True):
        attrs = {"scoot:phase": "startup"}
        add(study, space.to_params(point), value, MIXED, user_attrs=attrs)
    return [suggest_all(study.ask(), MIXED) for _ in range(3)]


def test_workers_of_one_seed_agree_and_each_index_has_its_own_point() -> None:
    first, second, other = (_next_of_a_worker(seed) for seed in (5, 5, 6))

    assert first == second
    assert first != other
    assert len({tuple(params.values()) for params in first}) == 3


def test_a_search_that_begins_with_crashes_soon_keeps_to_what_runs() -> None:
    # What runs is a part of the space around the default, in which no Sobol point lies.
    default = dict.fromkeys(NUMBERS, 0.4)

    def objective(trial: optuna.Trial) -> float:
        params = suggest_all(trial, NUMBERS)
        if sum(abs(params[name] - default[name]) for name in NUMBERS) > 1.5:
            raise MemoryError
        return float(params["x0"])

    def n_crashed(own: float) -> int:
        method = replace(QUICK, startup=StartupChoice(own=own))
        total = 0
        for seed in range(4):
            study = study_of(ScootSampler(NUMBERS, seed=seed, method=method))
            study.enqueue_trial(default)
            study.optimize(objective, n_trials=9, catch=(MemoryError,))
            total += len(study.get_trials(states=(TrialState.FAIL,)))
        return total

    # Of the eight after the default.
    assert n_crashed(own=1.0) == 4 * 8
    assert n_crashed(own=StartupChoice().own) < 0.75 * 4 * 8
