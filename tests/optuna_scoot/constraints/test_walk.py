"""Domains of which hardly any point is valid: what is found is valid, distinct and spread."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_scoot import ConstraintError
from optuna_scoot import KnownConstraints
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.constraints.walk import FeasibleWalk
from optuna_scoot.search.climb import maximise
from optuna_scoot.search.nsga2 import Nsga2
from optuna_scoot.search.nsga2 import search_front
from optuna_scoot.space.points import row_keys
from optuna_scoot.space.search_space import SearchSpace
from tests.optuna_scoot.observed import startup
from tests.optuna_scoot.studies import quick
from tests.optuna_scoot.studies import study_of


Spec = Callable[[Mapping[str, Any]], float] | str
Kind = tuple[dict[str, BaseDistribution], list[Spec], Callable[[dict[str, Any]], bool]]


def _ints(names: str, low: int, high: int, *, log: bool = False) -> dict[str, BaseDistribution]:
    return {name: IntDistribution(low, high, log=log) for name in names}


def _floats(names: str, high: float, step: float | None = None) -> dict[str, BaseDistribution]:
    return {name: FloatDistribution(0.0, high, step=step) for name in names}


def _one(values: list[float]) -> bool:
    return math.isclose(math.fsum(values), 1.0, rel_tol=1e-8)


def _excess(p: Mapping[str, Any]) -> float:
    return abs(float(p["a"] + p["b"] + p["c"] + p["d"]) - 1.0) - 1e-9


KINDS: dict[str, Kind] = {
    "ordered": (
        _ints("abcdefgh", 16, 512, log=True),
        [f"{a} >= {b}" for a, b in itertools.pairwise("abcdefgh")],
        lambda p: list(p.values()) == sorted(p.values(), reverse=True),
    ),
    "strictly ordered": (
        _ints("abcdefg", 1, 40),
        [" < ".join("abcdefg")],
        lambda p: all(a < b for a, b in itertools.pairwise(p.values())),
    ),
    "shares in steps": (
        _floats("abcde", 1.0, 0.01),
        ["a + b + c + d + e == 1"],
        lambda p: _one(list(p.values())),
    ),
    "shares": (_floats("abcd", 1.0), ["1 - a - b - c == d"], lambda p: _one(list(p.values()))),
    "shares in percent": (
        _ints("abcdef", 0, 100),
        ["a + b + c + d + e + f == 100"],
        lambda p: sum(p.values()) == 100,
    ),
    "parts of one": (
        _floats("abcdefghij", 1.0),
        [" + ".join("abcdefghij") + " <= 1"],
        lambda p: sum(p.values()) <= 1.0 + 1e-9,
    ),
    "product": (
        {**_ints("abc", 1, 64), "x": FloatDistribution(0, 1)},
        ["a * b * c == 64"],
        lambda p: p["a"] * p["b"] * p["c"] == 64,
    ),
    "product in a band": (
        _ints("ab", 1, 5000),
        ["a * b <= 640 and a * b >= 600"],
        lambda p: 600 <= p["a"] * p["b"] <= 640,
    ),
    "divisible": (
        {"a": IntDistribution(3000, 4096), "b": IntDistribution(100, 512)},
        ["a % b == 0"],
        lambda p: p["a"] % p["b"] == 0,
    ),
    "band": (
        _floats("xyz", 1.0),
        ["abs(x - y) <= 0.0001"],
        lambda p: abs(p["x"] - p["y"]) <= 0.0001 + 1e-9,
    ),
    "equal floats": (
        {"x": FloatDistribution(0, 1), "y": FloatDistribution(0.001, 100, log=True)},
        ["x == y"],
        lambda p: math.isclose(p["x"], p["y"], rel_tol=1e-8),
    ),
    "equal integers": (
        _ints("xyz", 0, 10_000),
        ["x == y == z"],
        lambda p: p["x"] == p["y"] == p["z"],
    ),
    "by level": (
        {"mode": CategoricalDistribution(list("abcdefgh")), **_floats("xy", 1000.0)},
        ["mode == 'a' or x <= 3", "mode != 'a' or x + y == 900"],
        lambda p: (p["x"] <= 3) if p["mode"] != "a" else abs(p["x"] + p["y"] - 900) < 1e-5,
    ),
    "two equations": (
        _floats("abcd", 1.0),
        ["a + b == 1", "a - b == 0.2", "c == 2 * d"],
        lambda p: (
            abs(p["a"] - 0.6) < 1e-6
            and abs(p["b"] - 0.4) < 1e-6
            and abs(p["c"] - 2 * p["d"]) < 1e-6
        ),
    ),
    "callable": (_floats("abcd", 1.0, 0.01), [_excess], lambda p: _excess(p) <= 0.0),
    "callable on a ball": (
        {name: FloatDistribution(-10, 10) for name in "abcdef"},
        [lambda p: sum((v - 3.0) ** 2 for v in p.values()) - 1.0],
        lambda p: sum((v - 3.0) ** 2 for v in p.values()) <= 1.0,
    ),
}


def _domain(kind: str) -> tuple[Domain, Callable[[dict[str, Any]], bool]]:
    space, known, holds = KINDS[kind]
    return Domain(SearchSpace(space), KnownConstraints(known)), holds


@pytest.mark.parametrize("kind", KINDS)
def test_points_are_valid_distinct_and_the_same_again(kind: str) -> None:
    domain, holds = _domain(kind)
    assert domain.is_thin
    points = domain.sobol(48, seed=3)

    assert points.shape == (48, domain.space.n_dimensions)
    assert domain.valid(points).all()
    assert all(holds(domain.space.to_params(x)) for x in points)
    assert len(set(row_keys(points))) == 48
    np.testing.assert_allclose(domain.space.snap(points), points, atol=1e-12)
    np.testing.assert_array_equal(_domain(kind)[0].sobol(48, seed=3), points)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("covering", [True, False])
def test_start_up_points_are_valid_and_distinct(kind: str, covering: bool) -> None:
    domain, holds = _domain(kind)
    points = np.array([startup(domain, i, 7, covering=covering) for i in range(5)])

    assert all(holds(domain.space.to_params(x)) for x in points)
    assert len(set(row_keys(points))) == 5


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (_ints("abc", 0, 100), "a + b + c == 100"),
        (_ints("abc", 1, 50), "a * b == c * c and a < b"),
        (_ints("abcd", 0, 31), "a > b > c > d and a + d == 40"),
        ({**_floats("ab", 1.0, 0.001), "c": IntDistribution(0, 9)}, "a + b == 1"),
    ],
)
def test_a_walk_reaches_all_that_enumeration_finds(
    space: dict[str, BaseDistribution], text: str
) -> None:
    box = SearchSpace(space)
    levels = [np.unique(box.column(j, box.all_units(j))) for j in range(box.n_dimensions)]
    columns = dict(zip(space, np.meshgrid(*levels, indexing="ij"), strict=True))
    if text == "a + b == 1":
        valid = np.isclose(columns["a"] + columns["b"], 1.0)
    else:
        code = text.replace(" and ", ") & (").replace(
            "a > b > c > d", "(a > b) & (b > c) & (c > d)"
        )
        valid = eval(f"({code})", {"__builtins__": {}}, columns)
    known = KnownConstraints([text])
    walk = FeasibleWalk(box, known, np.random.default_rng(0))
    starts, ok = walk.repaired(box.sobol(64, 0))
    points = walk.sample(starts[ok], min(2 * int(valid.sum()), 1500), burn_in=10)

    assert Domain(box, known).valid(points).all()
    reached = len(set(row_keys(points)))
    assert reached <= valid.sum()
    assert reached >= min(0.5 * valid.sum(), 1000)
    for name, column in box.columns(points).items():
        low, high = columns[name][valid].min(), columns[name][valid].max()
        assert column.min() <= low + 0.1 * (high - low)
        assert column.max() >= high - 0.1 * (high - low)


def test_shares_of_a_walk_are_those_of_uniform_draws() -> None:
    # Uniform points of a simplex: each share has the mean 1/4 and the spread of a beta(1, 3).
    domain, _ = _domain("shares")
    points = domain.sobol(1024, seed=1)

    np.testing.assert_allclose(points.mean(axis=0), 0.25, atol=0.06)
    assert np.all(points.std(axis=0) > 0.6 * math.sqrt(3 / 80))


def test_ordered_integers_use_the_whole_range() -> None:
    domain, _ = _domain("ordered")
    points = domain.sobol(256, seed=0)

    assert np.all(points.max(axis=0) - points.min(axis=0) > 0.4)
    # Not on the border alone: neighbours that are equal everywhere would be.
    assert np.mean(np.abs(np.diff(points, axis=1)) > 0.01) > 0.6


def test_mending_changes_nothing_that_is_frozen_and_goes_to_what_is_nearest() -> None:
    space = SearchSpace(_ints("abc", 0, 1000))
    walk = FeasibleWalk(space, KnownConstraints(["a <= b"]), np.random.default_rng(0))
    x = space.to_unit([{"a": 600, "b": 400, "c": 7}] * 8)
    frozen = np.tile([True, False, False], (8, 1))
    repaired, ok = walk.repaired(x, frozen=frozen, nearest=True)

    assert ok.all()
    for point in repaired:
        params = space.to_params(point)
        assert (params["a"], params["c"]) == (600, 7)
        assert 600 <= params["b"] <= 625  # a sixty-fourth of the range away at the most


def test_levels_are_kept_where_they_can_be() -> None:
    domain, _ = _domain("by level")
    rng = np.random.default_rng(0)
    for raw in domain.space.sobol(64, seed=2):
        before, after = (
            domain.space.to_params(raw),
            domain.space.to_params(domain.repair(raw, rng)),
        )
        assert after["mode"] == before["mode"]


def test_repair_keeps_what_nothing_constrains() -> None:
    domain, holds = _domain("product")
    rng = np.random.default_rng(0)
    for raw in domain.space.sobol(8, seed=2):
        repaired = domain.repair(raw, rng)
        assert holds(domain.space.to_params(repaired))
        assert repaired[3] == raw[3]


def test_points_of_the_study_are_found_where_the_search_finds_none() -> None:
    # A needle: the violation is the same everywhere else.
    space = SearchSpace(_ints("ab", 0, 10**6))
    known = KnownConstraints([lambda p: 0.0 if (p["a"], p["b"]) == (123, 456_789) else 1.0])
    blind = Domain(space, known)
    with pytest.raises(ConstraintError, match=r"satisfies the known constraints .* was found in"):
        blind.sobol(1, seed=0)
    point = space.to_unit([{"a": 123, "b": 456_789}])
    domain = replace(blind, seen=np.concatenate([space.sobol(3, 0), point]))

    np.testing.assert_array_equal(domain.sobol(1, seed=0), point)
    np.testing.assert_array_equal(startup(domain, 3, 0), point[0])


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_said_to_satisfy_where_enumeration_finds_nothing_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    top = [int(n) for n in rng.integers(20, 60, size=3)]
    space = SearchSpace({k: IntDistribution(0, n) for k, n in zip("abc", top, strict=True)})
    m, total = int(rng.integers(3, 12)), int(rng.integers(0, sum(top) + 30))
    text = f"a + b + c == {total} and (a * b) % {m} == {m - 1} and a < b - c"
    a, b, c = np.meshgrid(*(np.arange(n + 1) for n in top), indexing="ij")
    valid = (a + b + c == total) & ((a * b) % m == m - 1) & (a < b - c)
    domain = Domain(space, KnownConstraints([text]))
    if valid.any():
        assert domain.valid(domain.sobol(4, seed=seed)).all()
    else:
        with pytest.raises(ConstraintError, match="No configuration of the search space"):
            domain.sobol(4, seed=seed)


def _linear(domain: Domain, weights: list[float]) -> Callable[[np.ndarray], np.ndarray]:
    def score(points: np.ndarray) -> np.ndarray:
        columns = domain.space.columns(points)
        parts = (w * columns[n] for w, n in zip(weights, domain.space.names, strict=True))
        return np.asarray(sum(parts), dtype=float)

    return score


def test_the_search_moves_mass_from_one_share_to_another() -> None:
    domain, _ = _domain("shares in steps")
    score = _linear(domain, [0.1, 0.7, 0.3, 1.0, 0.2])
    seen: list[np.ndarray] = []

    def watched(points: np.ndarray) -> np.ndarray:
        seen.append(points)
        return score(points)

    found = maximise(watched, domain, domain.sobol(2, 0), set(), np.random.default_rng(0))

    assert found is not None
    assert score(found[np.newaxis])[0] > 0.95  # the best is 1, all in d
    assert domain.valid(np.concatenate(seen)).all()


def test_the_search_finds_the_best_order() -> None:
    domain, holds = _domain("ordered")
    target = np.array([480.0, 300.0, 300.0, 200.0, 100.0, 60.0, 20.0, 16.0])

    def score(points: np.ndarray) -> np.ndarray:
        values = np.stack(list(domain.space.columns(points).values()), axis=1)
        return np.asarray(-np.abs(np.log(values / target)).mean(axis=1))

    found = maximise(score, domain, domain.sobol(2, 0), set(), np.random.default_rng(0))

    assert found is not None
    assert holds(domain.space.to_params(found))
    assert score(found[np.newaxis])[0] > -0.3  # of random ordered points the best is about -0.4


def test_the_pareto_front_of_shares_is_valid() -> None:
    domain, holds = _domain("shares in percent")
    first = _linear(domain, [1, 0, 0, 0, 0, 0])
    second = _linear(domain, [0, 1, 0, 0, 0, 0])
    front = search_front(
        lambda x: np.stack([first(x), second(x)], axis=1),
        domain,
        lambda x: np.ones(len(x)),
        domain.sobol(1, 0),
        Nsga2(population=24, generations=12),
        seed=0,
    )

    assert len(front) > 3
    params = [domain.space.to_params(x) for x in front]
    assert all(holds(p) for p in params)
    assert max(p["a"] + p["b"] for p in params) > 85


@pytest.mark.parametrize("kind", ["ordered", "shares in steps", "two equations", "callable"])
def test_a_study_keeps_to_what_little_is_valid(kind: str) -> None:
    space, known, holds = KINDS[kind]
    study = study_of(quick(space, known_constraints=known, seed=0, n_startup_trials=2))
    for _ in range(5):
        trial = study.ask(space)
        assert holds(trial.params)
        study.tell(trial, float(sum(trial.params.values())))
    assert len({tuple(t.params.values()) for t in study.trials}) == 5
