"""Points under the known constraints: all of them, Sobol points, repaired points."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_scoot import ConstraintError
from optuna_scoot import KnownConstraints
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.space.points import row_keys
from optuna_scoot.space.points import without
from optuna_scoot.space.search_space import SearchSpace
from tests.optuna_scoot.observed import startup
from tests.optuna_scoot.studies import ENGINE_RULES
from tests.optuna_scoot.studies import MIXED


ENGINE = Domain(SearchSpace(MIXED), KnownConstraints(ENGINE_RULES))


def _engine_holds(params: dict[str, float]) -> bool:
    return (
        params["seqs"] <= params["tokens"]
        and (bool(params["chunked"]) or params["tokens"] >= 4096)
        and not (params["chunked"] and params["block"] == 8)
    )


def test_all_points_of_a_small_space_are_those_that_satisfy() -> None:
    space = SearchSpace(
        {
            "n": IntDistribution(1, 12, log=True),
            "step": IntDistribution(0, 10, step=5),
            "on": CategoricalDistribution([True, False]),
        }
    )
    points = Domain(space, KnownConstraints(["n >= step or on"])).all_points()
    assert points is not None
    found = {tuple(space.to_params(x).values()) for x in points}

    expected = {
        (n, step, on)
        for n, step, on in itertools.product(range(1, 13), (0, 5, 10), (True, False))
        if n >= step or on
    }
    assert found == expected
    assert len(points) == len(expected)


def test_a_large_space_is_not_listed() -> None:
    assert ENGINE.all_points() is None


def test_sobol_points_are_the_valid_ones_of_the_sequence_in_its_order() -> None:
    raw = ENGINE.space.sobol(2048, seed=3)
    expected = raw[[_engine_holds(ENGINE.space.to_params(x)) for x in raw]]

    np.testing.assert_array_equal(ENGINE.sobol(50, seed=3), expected[:50])


def test_sobol_points_fill_up_where_hardly_any_point_is_valid() -> None:
    space = SearchSpace({"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)})
    domain = Domain(space, KnownConstraints(["a < 0.0005", "b > 0.05"]))
    points = domain.sobol(40, seed=0)

    assert points.shape == (40, 2)
    assert domain.valid(points).all()
    assert len(set(row_keys(points))) == 40


def test_a_valid_point_is_not_repaired() -> None:
    rng = np.random.default_rng(0)
    for point in ENGINE.sobol(10, seed=0):
        np.testing.assert_array_equal(ENGINE.repair(point, rng), point)


def test_repair_keeps_the_categorical_levels_where_they_can_stay() -> None:
    rng = np.random.default_rng(0)
    for raw in ENGINE.space.sobol(200, seed=1):
        before = ENGINE.space.to_params(raw)
        after = ENGINE.space.to_params(ENGINE.repair(raw, rng))
        assert _engine_holds(after)
        assert after["chunked"] == before["chunked"] or before["block"] == 8
        if not (before["chunked"] and before["block"] == 8):
            assert (after["chunked"], after["block"]) == (before["chunked"], before["block"])


def test_the_covering_design_gives_a_starved_level_its_share() -> None:
    # Without chunked prefill only a seventh of the log range of tokens is left.
    def share(covering: bool) -> float:
        points = [startup(ENGINE, i, 5, covering=covering) for i in range(64)]
        params = [ENGINE.space.to_params(x) for x in points]
        assert all(_engine_holds(p) for p in params)
        return sum(not p["chunked"] for p in params) / 64

    assert share(covering=True) > 0.4
    assert share(covering=False) < 0.3


@pytest.mark.parametrize("covering", [True, False])
def test_a_start_up_point_depends_on_its_number_and_the_seed_alone(covering: bool) -> None:
    points = [startup(ENGINE, i, 7, covering=covering) for i in range(9)]
    again = Domain(SearchSpace(MIXED), KnownConstraints(ENGINE_RULES))

    for i in (8, 0, 3):
        np.testing.assert_array_equal(startup(again, i, 7, covering=covering), points[i])
    assert len(set(row_keys(np.array(points)))) == 9
    assert not np.array_equal(startup(again, 0, 8, covering=covering), points[0])


def _impossible(domain_is_small: bool) -> Domain:
    top = 9 if domain_is_small else 10**6
    space = SearchSpace({"a": IntDistribution(0, top), "b": IntDistribution(0, top)})
    return Domain(space, KnownConstraints([f"a + b > {3 * top}", "a >= 0"]))


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("covering", [True, False])
def test_what_nothing_satisfies_is_told_with_the_constraints(small: bool, covering: bool) -> None:
    domain = _impossible(small)
    text = r"No configuration .* satisfies the known constraints \(a \+ b > \d+; a >= 0\)"

    with pytest.raises(ConstraintError, match=text):
        startup(domain, 0, 0, covering=covering)
    with pytest.raises(ConstraintError, match=text):
        domain.sobol(4, seed=0)


def test_a_single_valid_configuration_is_found() -> None:
    space = SearchSpace(
        {
            "a": IntDistribution(0, 30),
            "b": IntDistribution(0, 30),
            "c": CategoricalDistribution(["x", "y", "z"]),
        }
    )
    domain = Domain(space, KnownConstraints(["a == 17 and b == 3", "c == 'y'"]))

    for index in range(4):
        point = startup(domain, index, 0)
        assert space.to_params(point) == {"a": 17, "b": 3, "c": "y"}


def test_without_drops_what_is_taken_and_what_is_repeated() -> None:
    x = np.array([[0.1], [0.2], [0.1], [0.3]])

    assert without(x, set(row_keys(np.array([[0.2]])))).tolist() == [[0.1], [0.3]]
    assert without(x[:1], set(row_keys(x))).shape == (0, 1)


def _flags(rules: list[str]) -> Domain:
    switches = {f"f{i}": CategoricalDistribution([False, True]) for i in range(4)}
    space = SearchSpace(
        {
            **switches,
            "kind": CategoricalDistribution(["a", "b", "c"]),
            "n": IntDistribution(1, 1000, log=True),
        }
    )
    return Domain(space, KnownConstraints(rules))


def _design(domain: Domain, n: int, seed: int) -> list[dict[str, object]]:
    """Give n covering points after a first trial that has every flag off."""
    default = {**{f"f{i}": False for i in range(4)}, "kind": "a", "n": 30}
    tried = domain.space.to_unit([default])
    for index in range(n):
        point = startup(domain, index, seed, tried=tried)
        tried = np.concatenate([tried, point[np.newaxis, :]])
    assert domain.valid(tried[1:]).all()
    return [domain.space.to_params(x) for x in tried]


@pytest.mark.parametrize("seed", range(20))
def test_two_covering_points_have_every_level(seed: int) -> None:
    design = _design(_flags([]), 2, seed)

    for name in ("f0", "f1", "f2", "f3"):
        assert {params[name] for params in design} == {False, True}
    assert {params["kind"] for params in design} == {"a", "b", "c"}


@pytest.mark.parametrize("seed", range(20))
def test_covering_points_have_nearly_every_pair_of_levels_soon(seed: int) -> None:
    # 6 pairs of flags with 4 combinations, 4 pairs of a flag and the kind with 6: 48 in all. Nine
    # runs are the least that can hold them, for a kind and a flag alone have six.
    design = _design(_flags([]), 8, seed)
    names = ["f0", "f1", "f2", "f3", "kind"]
    pairs = {
        (a, b, params[a], params[b])
        for params in design
        for a, b in itertools.combinations(names, 2)
    }
    assert len(pairs) >= 44


@pytest.mark.parametrize("seed", range(20))
def test_flags_that_exclude_one_another_are_both_covered(seed: int) -> None:
    domain = _flags(["not (f0 and f1)", "f2 or n >= 500"])
    design = _design(domain, 3, seed)

    for name in ("f0", "f1", "f2", "f3"):
        assert {params[name] for params in design[1:]} == {False, True}


def test_a_level_that_was_tried_is_not_tried_first_again() -> None:
    domain = _flags([])
    space = domain.space
    tried = [
        {"f0": i % 2 == 0, "f1": i % 3 == 0, "f2": True, "f3": i > 2, "kind": "c", "n": 1 + i}
        for i in range(6)
    ]
    point = startup(domain, 0, 1, tried=space.to_unit(tried))

    assert space.to_params(point)["f2"] is False
    assert space.to_params(point)["kind"] != "c"


def test_numbers_alone_need_no_covering() -> None:
    domain = Domain(SearchSpace({"a": FloatDistribution(0, 1)}), KnownConstraints([]))
    tried = np.array([[0.5]])

    np.testing.assert_array_equal(
        startup(domain, 3, 0, tried=tried),
        startup(domain, 3, 0),
    )
