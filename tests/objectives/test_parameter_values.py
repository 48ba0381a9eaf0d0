from __future__ import annotations

import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from objectives.parameter_values import values_of


@pytest.mark.parametrize(
    ("distribution", "words"),
    [
        (CategoricalDistribution([8, 16, 32]), "one of 8, 16, 32"),
        (IntDistribution(64, 8192, log=True), "a whole number from 64 to 8192"),
        (IntDistribution(2, 10, step=4), "a multiple of 4, counted from 2, from 2 to 10"),
        (FloatDistribution(0.5, 0.95), "a number from 0.5 to 0.95"),
        (FloatDistribution(0.0, 2.0, step=0.2), "a multiple of 0.2, counted from 0, from 0 to 2"),
    ],
)
def test_values_are_told_in_words(distribution: BaseDistribution, words: str) -> None:
    assert values_of(distribution) == words
