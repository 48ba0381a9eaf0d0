"""Solvers against brute force: the best admissible point, the whole Pareto front, nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_scoot import KnownConstraints
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.search.climb import Score
from optuna_scoot.search.climb import maximise
from optuna_scoot.search.nsga2 import Nsga2
from optuna_scoot.search.nsga2 import search_front
from optuna_scoot.space.points import row_keys
from optuna_scoot.space.search_space import SearchSpace


SMALL = SearchSpace(
    {
        "a": IntDistribution(0, 9),
        "b": IntDistribution(1, 32, log=True),
        "c": CategoricalDistribution(["x", "y", "z"]),
    }
)
LARGE = SearchSpace(
    {
        "u": FloatDistribution(0.0, 1.0),
        "v": FloatDistribution(0.0, 1.0),
        "n": IntDistribution(0, 999),
        "c": CategoricalDistribution(["x", "y", "z"]),
    }
)
NO_STARTS = np.empty((0, 4))


def _rugged(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(40.0 * points @ np.arange(1.0, points.shape[1] + 1.0)))


def _peak(points: np.ndarray) -> np.ndarray:
    """Give a hill with its top, 0, at u = 0.3, v = 0.8, n = 700, c = "y"."""
    target = LARGE.to_unit([{"u": 0.3, "v": 0.8, "n": 700, "c": "y"}])[0]
    wrong = np.abs(points[:, 3] - target[3]) > 1e-6
    return np.asarray(-((points[:, :3] - target[:3]) ** 2).sum(axis=1) - 0.5 * wrong)


def test_a_small_space_is_searched_whole() -> None:
    domain = Domain(SMALL, KnownConstraints(["a + b > 6"]))
    points = domain.all_points()
    assert points is not None
    order = np.argsort(-_rugged(points))
    taken: set[bytes] = set()
    for expected in points[order[:20]]:
        found = maximise(_rugged, domain, NO_STARTS[:, :3], taken, np.random.default_rng(0))
        assert found is not None
        np.testing.assert_array_equal(found, expected)
        taken.add(row_keys(found[np.newaxis])[0])


def test_nothing_is_found_where_all_is_taken_or_ruled_out() -> None:
    domain = Domain(SMALL, KnownConstraints())
    points = domain.all_points()
    assert points is not None
    rng = np.random.default_rng(0)

    def ruled_out(x: np.ndarray) -> np.ndarray:
        return np.full(len(x), -np.inf)

    assert maximise(_rugged, domain, points[:1], set(row_keys(points)), rng) is None
    assert maximise(ruled_out, domain, points[:1], set(), rng) is None
    assert maximise(ruled_out, Domain(LARGE, KnownConstraints()), NO_STARTS, set(), rng) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_top_of_a_mixed_hill_is_reached(seed: int) -> None:
    domain = Domain(LARGE, KnownConstraints())
    found = maximise(_peak, domain, NO_STARTS, set(), np.random.default_rng(seed))

    assert found is not None
    params = LARGE.to_params(found)
    assert params["c"] == "y"
    assert _peak(found[np.newaxis])[0] > -3e-3


def test_the_search_keeps_to_the_known_constraints_and_what_is_not_taken() -> None:
    # The top is forbidden; the best that is left lies on the border.
    domain = Domain(LARGE, KnownConstraints(["u + v <= 0.6", "c != 'y' or n < 500"]))
    seen: list[np.ndarray] = []

    def score(points: np.ndarray) -> np.ndarray:
        seen.append(points)
        return _peak(points)

    rng = np.random.default_rng(0)
    first = maximise(score, domain, NO_STARTS, set(), rng)
    assert first is not None
    assert domain.valid(np.concatenate(seen)).all()
    assert LARGE.to_params(first)["u"] + LARGE.to_params(first)["v"] > 0.5
    taken = set(row_keys(first[np.newaxis]))
    second = maximise(score, domain, first[np.newaxis], taken, np.random.default_rng(0))
    assert second is not None
    assert row_keys(second[np.newaxis])[0] not in taken


def test_a_start_in_a_narrow_admissible_region_is_followed() -> None:
    corner = LARGE.to_unit([{"u": 0.999, "v": 0.999, "n": 3, "c": "z"}])

    def narrow(points: np.ndarray) -> np.ndarray:
        inside = np.all(np.abs(points[:, :2] - corner[0, :2]) < 0.01, axis=1)
        return np.where(inside & (points[:, 3] == corner[0, 3]), -points[:, 2], -np.inf)

    domain = Domain(LARGE, KnownConstraints())
    found = maximise(narrow, domain, corner, set(row_keys(corner)), np.random.default_rng(0))

    assert found is not None
    assert np.isfinite(narrow(found[np.newaxis])[0])


def _trade_off(points: np.ndarray) -> np.ndarray:
    """Give two functions whose front is u in [0.2, 0.6] at v = 0.5 and n's middle."""
    rest = (points[:, 1] - 0.5) ** 2 + (points[:, 2] - 0.5) ** 2
    return np.stack(
        [-((points[:, 0] - 0.2) ** 2) - rest, -((points[:, 0] - 0.6) ** 2) - rest], axis=1
    )


def _anything(points: np.ndarray) -> np.ndarray:
    return np.ones(len(points))


def _front(domain: Domain, admissible: Score = _anything, seed: int = 0) -> np.ndarray:
    return search_front(
        _trade_off,
        domain,
        admissible,
        domain.sobol(1, 0),
        Nsga2(population=40, generations=40),
        seed=seed,
    )


def test_the_pareto_front_is_found() -> None:
    front = _front(Domain(LARGE, KnownConstraints()))

    assert len(front) > 10
    assert np.all(np.abs(front[:, 1:3] - 0.5) < 0.1)
    assert front[:, 0].min() < 0.25
    assert front[:, 0].max() > 0.55
    assert front[:, 0].min() > 0.15
    assert front[:, 0].max() < 0.65
    assert len(set(row_keys(front))) == len(front)
    np.testing.assert_allclose(LARGE.snap(front), front, atol=1e-12)


def test_the_front_keeps_to_known_constraints_and_the_admissible() -> None:
    domain = Domain(LARGE, KnownConstraints(["u >= 0.3", "c != 'x'"]))
    front = _front(domain, lambda points: 0.5 - points[:, 0])

    assert len(front) > 5
    assert domain.valid(front).all()
    assert front[:, 0].max() <= 0.5
    assert front[:, 0].min() < 0.35


def test_the_front_is_empty_where_nothing_is_admissible() -> None:
    front = _front(Domain(LARGE, KnownConstraints()), lambda points: np.full(len(points), -0.1))

    assert front.shape == (0, 4)


def test_the_same_seed_finds_the_same_front_whatever_numpys_global_state_is() -> None:
    domain = Domain(LARGE, KnownConstraints())
    np.random.seed(1)  # noqa: NPY002 (what a user's own program may do)
    first = _front(domain)
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(_front(domain), first)
    assert not np.array_equal(_front(domain, seed=1), first)
