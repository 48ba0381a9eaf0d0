"""A user's own ranges, read and put into a space."""

from __future__ import annotations

import itertools

import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from objectives.spaces import EngineSpace
from objectives.spaces import Parameter
from objectives.spaces import SpaceError
from objectives.spaces import change
from objectives.spaces import parse_change
from optuna_scoot.constraints.known import KnownConstraints


SPACE = EngineSpace(
    {
        "seqs": IntDistribution(8, 512, log=True),
        "delay": FloatDistribution(0.0, 2.0, step=0.2),
        "block": CategoricalDistribution([16, 32]),
        "mode": CategoricalDistribution(["fast", "slow"]),
        "flag": CategoricalDistribution([False, True]),
    },
    ("seqs <= 600",),
    {"seqs": 256, "delay": 0.0, "block": 16, "mode": "fast", "flag": True},
    offered={"memory": Parameter(FloatDistribution(0.8, 0.96, step=0.02), 0.92, "more is more")},
)


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("max-num-seqs=16..512", "max_num_seqs", IntDistribution(16, 512)),
        ("--max_num_seqs=16..512:log", "max_num_seqs", IntDistribution(16, 512, log=True)),
        ("threshold=0..1024:256", "threshold", IntDistribution(0, 1024, step=256)),
        ("low=-2..3", "low", IntDistribution(-2, 3)),
        ("memory=0.8..1", "memory", FloatDistribution(0.8, 1.0)),
        ("memory=0.8..0.9:0.05", "memory", FloatDistribution(0.8, 0.9, step=0.05)),
        ("rate=1e-4..1e-1:log", "rate", FloatDistribution(1e-4, 1e-1, log=True)),
        ("block-size=16,32", "block_size", CategoricalDistribution([16, 32])),
        ("flag=false,true", "flag", CategoricalDistribution([False, True])),
        ("mode=fast, slow", "mode", CategoricalDistribution(["fast", "slow"])),
        ("memory", "memory", None),
    ],
)
def test_parameters_are_read_as_they_are_written(
    text: str, name: str, values: BaseDistribution | None
) -> None:
    assert parse_change(text) == (name, values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b=1..2", "'a b' is not the name"),
        ("seqs=4..3", "4..3: the low end is not below the high end"),
        ("seqs=0..8:log", "begins above zero"),
        ("seqs=0..8:9", "a step lies"),
        ("seqs=0..9:4", "9 is no multiple of 4 from 0"),
        ("x=0..1:0.3", "1 is no multiple of 0.3 from 0"),
        ("seqs=a..b", "'a' is not a number"),
        ("seqs=1..inf", "'inf' is not a number"),
        ("seqs=16", "--fix holds it"),
        ("seqs=", "a value is missing"),
        ("seqs=1,,2", "a value is missing"),
        ("seqs=1,1", "a value twice"),
        ("x=[,]", "no plain values"),
    ],
)
def test_what_is_no_range_is_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message.replace("[", r"\[")):
        parse_change(text)


def test_a_range_that_holds_the_default_is_taken_as_it_is() -> None:
    changed = change(SPACE, {"seqs": IntDistribution(16, 256)}, {})
    assert changed.parameters == {**SPACE.parameters, "seqs": IntDistribution(16, 256)}
    assert (changed.default, changed.known_constraints) == (SPACE.default, SPACE.known_constraints)


@pytest.mark.parametrize(
    ("name", "wanted", "candidates"),
    [
        ("seqs", IntDistribution(16, 64), range(8, 300)),
        ("seqs", IntDistribution(16, 64, log=True), range(8, 300)),
        ("seqs", IntDistribution(20, 60, step=10), range(8, 300)),
        ("delay", FloatDistribution(0.5, 1.0), [0.0, 0.4, 0.5, 0.7, 1.0, 1.1]),
        ("block", CategoricalDistribution([64, 128]), [16, 32, 64, 128]),
        ("mode", CategoricalDistribution(["slow", "slower"]), ["fast", "slow", "slower"]),
    ],
)
def test_the_default_is_kept_and_suggestions_stay_with_it_or_what_is_wanted(
    name: str, wanted: BaseDistribution, candidates: list
) -> None:
    changed = change(SPACE, {name: wanted}, {})
    wide, known = changed.parameters[name], KnownConstraints(changed.known_constraints)

    def belongs(distribution: BaseDistribution, value: object) -> bool:
        try:
            return distribution._contains(distribution.to_internal_repr(value))
        except ValueError:
            return False

    assert changed.default == SPACE.default
    assert belongs(wide, SPACE.default[name])
    for value in candidates:
        allowed = belongs(wide, value) and known.satisfied({**SPACE.default, name: value})
        assert allowed == (belongs(wanted, value) or value == SPACE.default[name]), value


def test_what_is_offered_is_added_by_its_name() -> None:
    added = change(SPACE, {"memory": None}, {})
    assert added.parameters["memory"] == SPACE.offered["memory"].distribution
    assert added.default["memory"] == 0.92
    assert added.why["memory"] == "more is more"
    assert not added.offered
    assert change(SPACE, {"seqs": None}, {}) == SPACE


def test_any_parameter_is_added_with_values_and_the_engines_own_default() -> None:
    added = change(SPACE, {"interval": IntDistribution(1, 4)}, {"interval": 1})
    assert added.default == {**SPACE.default, "interval": 1}
    for wanted, message in [(IntDistribution(1, 4), "nobody knows"), (None, "no range is known")]:
        with pytest.raises(SpaceError, match=message):
            change(SPACE, {"other": wanted}, {"interval": 1})


def test_whole_numbers_are_numbers_where_the_default_is_one_with_a_fraction() -> None:
    changed = change(SPACE, {"delay": IntDistribution(0, 2), "memory": IntDistribution(0, 1)}, {})
    assert changed.parameters["delay"] == FloatDistribution(0.0, 2.0)
    assert changed.parameters["memory"] == FloatDistribution(0.0, 1.0)


def test_values_of_another_kind_than_the_default_are_refused() -> None:
    numbers = (IntDistribution(1, 3), FloatDistribution(0.5, 1.5))
    words = (CategoricalDistribution(["a", "b"]), CategoricalDistribution([1, "a"]))
    kinds = {"seqs": (numbers[1], *words), "flag": (*numbers, *words), "mode": numbers}
    pairs = itertools.chain(*(itertools.product([name], values) for name, values in kinds.items()))
    for name, wanted in pairs:
        with pytest.raises(SpaceError, match=f"--{name} is {SPACE.default[name]} in the engine"):
            change(SPACE, {name: wanted}, {})
