"""The unit cube: fair rounding, exact round trips, every representable value within reach."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from scipy.stats import chisquare
from scipy.stats import qmc

from optuna_scoot.space.points import row_keys
from optuna_scoot.space.search_space import SearchSpace
from tests.optuna_scoot.studies import MIXED


DISCRETE: list[BaseDistribution] = [
    IntDistribution(0, 9),
    IntDistribution(-7, 14, step=3),
    FloatDistribution(0.0, 0.7, step=0.1),
    FloatDistribution(-1.0, 1.0, step=0.25),
    CategoricalDistribution(["a", "b", "c", "d", "e", "f", "g"]),
    CategoricalDistribution([True, False]),
    CategoricalDistribution([None, 1, "x"]),
]
CONTINUOUS: list[BaseDistribution] = [
    FloatDistribution(-3.0, 5.0),
    FloatDistribution(1e-6, 10.0, log=True),
]
LOG_INTEGERS: list[BaseDistribution] = [
    IntDistribution(1, 16, log=True),
    IntDistribution(3, 300, log=True),
]


def _drawn(distribution: BaseDistribution, units: np.ndarray) -> list[Any]:
    space = SearchSpace({"p": distribution})
    return [space.to_params(x)["p"] for x in space.snap(units[:, np.newaxis])]


def _draws(distribution: BaseDistribution, n: int) -> list[Any]:
    """Draw values as Optuna's own random sampler does: the second source."""
    study = optuna.create_study()
    sampler, trial = optuna.samplers.RandomSampler(seed=0), study.ask()
    frozen = study.get_trials()[trial.number]
    return [sampler.sample_independent(study, frozen, "p", distribution) for _ in range(n)]


def _levels(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    return sorted(set(_draws(distribution, 600)))


@pytest.mark.parametrize("distribution", DISCRETE, ids=str)
def test_every_level_of_a_uniform_parameter_is_equally_likely(
    distribution: BaseDistribution,
) -> None:
    levels = _levels(distribution)
    drawn = _drawn(distribution, np.random.default_rng(0).random(8000))

    assert chisquare([drawn.count(level) for level in levels]).pvalue > 1e-3
    assert len(drawn) == sum(drawn.count(level) for level in levels)


@pytest.mark.parametrize("distribution", DISCRETE, ids=str)
def test_cells_of_a_uniform_parameter_are_equally_wide(distribution: BaseDistribution) -> None:
    n = len(_levels(distribution))
    just_inside = np.concatenate([np.arange(n) / n + 1e-9, np.arange(1, n + 1) / n - 1e-9])
    drawn = _drawn(distribution, just_inside)

    assert drawn[:n] == drawn[n:]
    assert len(set(drawn)) == n


@pytest.mark.parametrize("distribution", LOG_INTEGERS, ids=str)
def test_a_log_integer_is_as_likely_as_its_share_of_the_log_range(
    distribution: IntDistribution,
) -> None:
    # k owns (k - 1/2, k + 1/2): a share of log((k + 1/2) / (k - 1/2)) of the whole log range.
    low, high = distribution.low, distribution.high
    values = np.arange(low, high + 1)
    whole = math.log((high + 0.5) / (low - 0.5))
    shares = np.log((values + 0.5) / (values - 0.5)) / whole
    edges = np.log((values[1:] - 0.5) / (low - 0.5)) / whole

    assert _drawn(distribution, edges - 1e-9) == values[:-1].tolist()
    assert _drawn(distribution, edges + 1e-9) == values[1:].tolist()
    drawn = _drawn(distribution, np.random.default_rng(1).random(8000))
    likely = shares * 8000 > 5
    counts = np.array([drawn.count(v) for v in values])
    observed = np.append(counts[likely], counts[~likely].sum())
    expected = np.append(shares[likely], shares[~likely].sum()) * 8000
    keep = expected > 0
    assert chisquare(observed[keep], expected[keep]).pvalue > 1e-3


@pytest.mark.parametrize("distribution", CONTINUOUS, ids=str)
def test_a_continuous_parameter_is_uniform_on_its_scale(distribution: FloatDistribution) -> None:
    drawn = np.array(_drawn(distribution, np.array([0.0, 0.25, 0.5, 1.0])))
    scale = np.log if distribution.log else np.asarray
    ends = scale(np.array([distribution.low, distribution.high]))

    np.testing.assert_allclose(scale(drawn), ends[0] + np.ptp(ends) * np.array([0, 0.25, 0.5, 1]))
    assert drawn.min() >= distribution.low
    assert drawn.max() <= distribution.high


@pytest.mark.parametrize("distribution", DISCRETE + LOG_INTEGERS, ids=str)
def test_values_are_the_very_ones_that_optuna_gives(distribution: BaseDistribution) -> None:
    # 0.1 * 3 or 0.3? Optuna compares parameters by value; another last bit is another level.
    drawn = set(_drawn(distribution, np.linspace(0.0, 1.0, 2000)))

    assert drawn == set(_levels(distribution))


@pytest.mark.parametrize("distribution", DISCRETE + LOG_INTEGERS + CONTINUOUS, ids=str)
def test_parameters_survive_the_round_trip(distribution: BaseDistribution) -> None:
    space = SearchSpace({"p": distribution})
    values = _draws(distribution, 200)
    x = space.to_unit([{"p": value} for value in values])
    back = [space.to_params(row)["p"] for row in x]

    if distribution in CONTINUOUS:
        np.testing.assert_allclose(back, values, rtol=1e-12)
    else:
        assert back == values
    assert [type(b) for b in back] == [type(v) for v in values]
    assert row_keys(space.snap(x)) == row_keys(x)
    assert row_keys(space.to_unit([{"p": value} for value in back])) == row_keys(x)


@pytest.mark.parametrize(
    "distribution",
    [
        IntDistribution(0, 2**63 - 1),
        IntDistribution(-(2**62), 2**62),
        IntDistribution(0, 3 * 2**40, step=3),
        IntDistribution(1, 2**62, log=True),
        FloatDistribution(-1.7e308, 1.7e308),
        FloatDistribution(1e-300, 1e300, log=True),
        FloatDistribution(5e-324, 1.0),
        FloatDistribution(0.0, 1e9, step=1e-3),
    ],
    ids=str,
)
@pytest.mark.parametrize("unit", [0.0, 1e-12, 0.3, 0.5, 1.0 - 1e-12, 1.0])
def test_huge_ranges_stay_within_bounds(distribution: BaseDistribution, unit: float) -> None:
    space = SearchSpace({"p": distribution})
    value = space.to_params(space.snap(np.array([[unit]]))[0])["p"]

    assert distribution._contains(distribution.to_internal_repr(value))
    share = space.to_unit([{"p": value}])[0, 0]
    assert share == pytest.approx(unit, abs=0.02 if getattr(distribution, "log", False) else 1e-9)
    assert space.columns(np.array([[unit]]))["p"][0] == pytest.approx(value, rel=1e-9)


@given(st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_columns_hold_the_parameters_of_every_point(units: list[float]) -> None:
    # Constraints are checked on columns, and the parameters are what the user sees.
    space = SearchSpace({**MIXED, "delay": FloatDistribution(0.0, 0.3, step=0.1)})
    x = space.snap(np.array([units]))
    params = space.to_params(x[0])

    assert {name: column[0] for name, column in space.columns(x).items()} == params


def test_parameters_are_plain_python_values() -> None:
    space = SearchSpace(MIXED)
    params = space.to_params(space.snap(np.full((1, 6), 0.4))[0])

    assert [type(v) for v in params.values()] == [int, int, int, bool, float, float]


@pytest.mark.parametrize("distribution", DISCRETE + LOG_INTEGERS, ids=str)
def test_all_units_lists_each_level_once(distribution: BaseDistribution) -> None:
    space = SearchSpace({"p": distribution})
    units = space.all_units(0)

    assert [space.to_params(np.array([u]))["p"] for u in units] == _levels(distribution)
    np.testing.assert_array_equal(space.snap(units[:, np.newaxis])[:, 0], units)


def test_features_spread_levels_over_the_unit_interval() -> None:
    space = SearchSpace(
        {
            "n": IntDistribution(0, 4),
            "b": CategoricalDistribution([False, True]),
            "size": CategoricalDistribution([8, 16, 32]),
            "kind": CategoricalDistribution(["x", "y", "z"]),
        }
    )
    params = [
        {"n": 0, "b": False, "size": 8, "kind": "y"},
        {"n": 3, "b": True, "size": 32, "kind": "z"},
    ]
    features = space.features(space.to_unit(params))

    # Numbers in order are a scale, names are not: they are counted.
    np.testing.assert_allclose(features, [[0, 0, 0, 1], [0.75, 1, 1, 2]], atol=1e-12)
    # Of sizes in order one can say how far apart they are; of levels only that they differ.
    assert space.is_level.tolist() == [False, True, False, True]


def test_counts_distinct_configurations() -> None:
    assert SearchSpace({k: MIXED[k] for k in ("block", "chunked", "delay")}).n_points == 3 * 2 * 21
    assert SearchSpace(MIXED).n_points == math.inf


def test_sobol_points_are_the_scrambled_sequence_at_any_start() -> None:
    space = SearchSpace({"a": FloatDistribution(0.0, 1.0), "b": FloatDistribution(0.0, 1.0)})
    engine = qmc.Sobol(2, scramble=True, rng=np.random.default_rng(5))
    expected = engine.random_base2(4)

    np.testing.assert_allclose(space.sobol(16, seed=5), expected, atol=1e-12)
    for start in (0, 1, 7):
        np.testing.assert_allclose(
            space.sobol(3, seed=5, start=start), expected[start : start + 3], atol=1e-12
        )


def test_a_pinned_parameter_keeps_its_value_in_every_snapped_point() -> None:
    space = SearchSpace(MIXED, {"tokens": 100, "chunked": False})
    params = [space.to_params(x) for x in space.sobol(32, seed=0)]

    assert {p["tokens"] for p in params} == {100}
    assert {p["chunked"] for p in params} == {False}
    assert len({p["seqs"] for p in params}) > 16


def test_covers_some_parameters_within_their_ranges() -> None:
    space = SearchSpace({"n": IntDistribution(0, 9), "c": CategoricalDistribution(["a", "b"])})

    assert space.covers({"n": 9, "c": "a", "other": 3})
    # On another branch the objective asks for the one alone.
    assert space.covers({"n": 9})
    assert not space.covers({"other": 3})
    assert not space.covers({"n": 10, "c": "a"})
    assert not space.covers({"n": 1, "c": "z"})
    assert not space.covers({"n": "one", "c": "a"})


def test_row_keys_do_not_tell_the_two_zeros_apart() -> None:
    assert row_keys(np.array([[0.0, 1.0]])) == row_keys(np.array([[-0.0, 1.0 - 1e-13]]))
    assert row_keys(np.array([[0.0]])) != row_keys(np.array([[1e-6]]))


@pytest.mark.parametrize("low", [-(2**70), 0, 2**63])
def test_integers_beyond_64_bits_keep_their_values_in_columns(low: int) -> None:
    space = SearchSpace(
        {"n": IntDistribution(low, low + 3 * 2**65, step=3), "m": IntDistribution(0, 9)}
    )
    x = space.sobol(64, seed=0)
    columns = space.columns(x)

    assert columns["n"].tolist() == [space.to_params(row)["n"] for row in x]
    assert columns["m"].dtype == np.int64
    assert min(columns["n"]) < low + 2**62
    assert max(columns["n"]) > low + 2**66


def test_integers_beyond_the_precision_of_floats_lie_on_their_grid_in_columns() -> None:
    space = SearchSpace({"n": IntDistribution(1, 2**60 + 1, step=2)})
    x = space.sobol(64, seed=0)
    column = space.columns(x)["n"]

    assert column.dtype == np.int64
    assert column.tolist() == [space.to_params(row)["n"] for row in x]
    assert np.all(column % 2 == 1)


def test_numpys_kinds_of_choices_are_those_of_python() -> None:
    choices = [[1, 2, 4], [False, True], ["x", "y", "z"]]
    kinds = ([np.int64(c) for c in choices[0]], [np.False_, np.True_], list(np.array(choices[2])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, on choices that a storage could not hold
        spaces = [
            SearchSpace(dict(zip("abc", map(CategoricalDistribution, some), strict=True)))
            for some in (choices, kinds)
        ]
    x = spaces[0].sobol(16, seed=0)

    np.testing.assert_array_equal(spaces[1].features(x), spaces[0].features(x))
    for name, column in spaces[0].columns(x).items():
        other = spaces[1].columns(x)[name]
        assert other.dtype == column.dtype
        assert other.tolist() == column.tolist()
