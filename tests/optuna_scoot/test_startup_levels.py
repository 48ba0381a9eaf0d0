"""Categorical levels of start-up and repaired points: which are kept, which come first."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_scoot import KnownConstraints
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.space.search_space import SearchSpace
from tests.optuna_scoot.observed import startup


def test_a_level_that_has_to_go_takes_no_other_with_it() -> None:
    axes: dict[str, BaseDistribution] = {
        "a": FloatDistribution(0.0, 1.0),
        "b": FloatDistribution(0.0, 1.0),
        "c": CategoricalDistribution(["x", "y"]),
        "d": CategoricalDistribution(["p", "q", "r", "s", "t"]),
    }
    domain = Domain(SearchSpace(axes), KnownConstraints(["c == 'y'", "a + b <= 0.3"]))
    for seed in range(5):
        for d in "pqrst":
            raw = domain.space.to_unit([{"a": 0.9, "b": 0.8, "c": "x", "d": d}])[0]
            point = domain.repair(raw, np.random.default_rng(seed))
            repaired = domain.space.to_params(point)
            assert domain.valid(point[np.newaxis])[0]
            assert (repaired["c"], repaired["d"]) == ("y", d)


def test_levels_of_more_flags_than_can_be_listed_are_covered_at_once() -> None:
    # 4096 combinations.
    axes = {f"f{i}": CategoricalDistribution([False, True]) for i in range(12)}
    space = SearchSpace({**axes, "n": IntDistribution(0, 999)})
    domain = Domain(space, KnownConstraints([]))
    tried = space.to_unit([{**{name: i < 3 for i, name in enumerate(axes)}, "n": 5}])
    levels = np.stack([startup(domain, 0, seed, tried=tried)[:12] for seed in range(6)])

    # Hardly any flag stays where the only trial had it.
    assert np.mean(np.isclose(levels, tried[0, :12])) < 0.25


@pytest.mark.parametrize("index", range(3))
def test_a_single_flag_is_covered_too(index: int) -> None:
    axes = {"on": CategoricalDistribution([False, True]), "n": IntDistribution(0, 999)}
    domain = Domain(SearchSpace(axes), KnownConstraints([]))
    for on in (False, True):
        tried = domain.space.to_unit([{"on": on, "n": 5}])
        point = startup(domain, index, 3, tried=tried)
        assert domain.space.to_params(point)["on"] is not on


def test_spaces_of_up_to_4096_points_are_listed() -> None:
    def n_listed(n: int) -> int | None:
        space = SearchSpace({"n": IntDistribution(1, n)})
        points = Domain(space, KnownConstraints([])).all_points()
        return None if points is None else len(points)

    assert n_listed(4096) == 4096
    assert n_listed(4097) is None
