"""How close the solvers come, and what they spend on it."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_scoot import KnownConstraints
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.search.climb import maximise
from optuna_scoot.search.nsga2 import Nsga2
from optuna_scoot.search.nsga2 import search_front
from optuna_scoot.space.search_space import SearchSpace


AXES: dict[str, BaseDistribution] = {
    "u": FloatDistribution(0.0, 1.0),
    "v": FloatDistribution(1e-3, 1e3, log=True),
    "n": IntDistribution(0, 999),
    "c": CategoricalDistribution(["x", "y", "z"]),
}
SPACE = SearchSpace(AXES)
TOP = SPACE.to_unit([{"u": 0.37, "v": 20.0, "n": 640, "c": "z"}])[0]


def _hill(points: np.ndarray) -> np.ndarray:
    wrong = np.abs(points[:, 3] - TOP[3]) > 1e-6
    return np.asarray(-((points[:, :3] - TOP[:3]) ** 2).sum(axis=1) - 0.5 * wrong)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("with_start", [False, True])
def test_the_climb_ends_within_a_few_thousandths_of_every_range(
    seed: int, with_start: bool
) -> None:
    starts = SPACE.to_unit([{"u": 0.5, "v": 5.0, "n": 500, "c": "x"}] if with_start else [])
    domain = Domain(SPACE, KnownConstraints())
    found = maximise(_hill, domain, starts, set(), np.random.default_rng(seed))

    assert found is not None
    assert SPACE.to_params(found)["c"] == "z"
    assert np.abs(found - TOP).max() < 0.004


def test_the_edge_of_the_space_is_reached() -> None:
    domain = Domain(SPACE, KnownConstraints())

    def slope(points: np.ndarray) -> np.ndarray:
        return np.asarray(points[:, 0] - points[:, 1] + points[:, 2])

    found = maximise(slope, domain, np.empty((0, 4)), set(), np.random.default_rng(0))

    assert found is not None
    params = SPACE.to_params(found)
    assert params["u"] > 0.997
    assert params["v"] < 1.05e-3
    assert params["n"] >= 997


def test_a_population_is_evaluated_once_a_generation_without_a_word(
    capfd: pytest.CaptureFixture[str],
) -> None:
    sizes: list[int] = []

    def functions(points: np.ndarray) -> np.ndarray:
        sizes.append(len(points))
        return np.stack([points[:, 0], -points[:, 0] - (points[:, 1] - 0.5) ** 2], axis=1)

    front = search_front(
        functions,
        Domain(SPACE, KnownConstraints()),
        lambda points: np.ones(len(points)),
        np.empty((0, 4)),
        Nsga2(population=12, generations=7),
        seed=0,
    )

    assert len(front) > 3
    assert max(sizes) == 12
    assert sum(sizes) == 12 * 7
    assert capfd.readouterr() == ("", "")
