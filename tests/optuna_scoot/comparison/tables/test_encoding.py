from __future__ import annotations

import itertools

import numpy as np
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from optuna_scoot.comparison.tables.description import Value
from optuna_scoot.comparison.tables.encoding import make_column
from optuna_scoot.comparison.tables.encoding import over_parameters
from optuna_scoot.constraints.known import KnownConstraints


@pytest.mark.parametrize(
    ("values", "distribution"),
    [
        ([32, 64, 96, 32], IntDistribution(32, 96, step=32)),
        ([1, 2, 4, 8], IntDistribution(0, 3)),
        ([0.5, 1.0, 1.5], IntDistribution(0, 2)),
        ([0, 1], CategoricalDistribution((0, 1))),
        ([True, False], CategoricalDistribution((False, True))),
        (["b", "a", "c"], CategoricalDistribution(("a", "b", "c"))),
        ([16, "auto", 32], CategoricalDistribution(("16", "32", "auto"))),
        ([7, 7], None),
    ],
)
def test_a_column_is_what_its_levels_call_for(
    values: list[Value], distribution: BaseDistribution | None
) -> None:
    assert make_column("x", values).distribution == distribution


def test_numbers_without_an_order_are_a_category() -> None:
    column = make_column("x", [0, 1, 2], is_category=True)
    assert column.distribution == CategoricalDistribution((0, 1, 2))


COLUMNS = (
    make_column("block", [1, 2, 4, 8, 16, 48, 64]),  # by place
    make_column("max-len", [0.25, 0.5, 2.0]),  # by place, an odd name
    make_column("step", [10, 20, 30]),
    make_column("kind", ["block", "auto"]),
    make_column("width", [15]),  # a constant
)


@pytest.mark.parametrize(
    "rule",
    [
        "block * step <= 320",
        "64 % block == 0",
        "16 <= block * `max-len` < 100",
        "max-len < 2 or block in [1, 48]",
        "kind == 'block' and max(block, step) > width",
        "block > 4 if kind == 'auto' else step > 10",
    ],
)
def test_rules_say_the_same_over_parameters_as_over_levels(rule: str) -> None:
    names = [column.name for column in COLUMNS]
    over_levels = KnownConstraints([rule], names=names)
    rewritten = KnownConstraints(over_parameters([rule], COLUMNS), names=names)
    answers = set()
    places = [range(len(column.levels)) for column in COLUMNS]
    box = [*itertools.product(*places)]
    seen = {
        column.name: column.values(np.array([row[k] for row in box]))
        for k, column in enumerate(COLUMNS)
    }
    together = rewritten.satisfied_columns(seen)
    for row, answer in zip(box, together, strict=True):
        levels = {c.name: c.levels[place] for c, place in zip(COLUMNS, row, strict=True)}
        params = {
            c.name: place if c.by_place else c.levels[place]
            for c, place in zip(COLUMNS, row, strict=True)
            if c.distribution is not None
        }
        assert {c.name: c.level(params) for c in COLUMNS} == levels
        assert rewritten.satisfied(params) == answer == over_levels.satisfied(levels)
        answers.add(bool(answer))
    assert answers == {True, False}
