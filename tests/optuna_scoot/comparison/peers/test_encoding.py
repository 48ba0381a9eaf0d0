from __future__ import annotations

from typing import Any

import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_scoot.comparison.peers.encoding import decode
from optuna_scoot.comparison.peers.encoding import encode


@pytest.mark.parametrize(
    ("distribution", "value", "encoded"),
    [
        (FloatDistribution(0, 2), 0.5, 0.5),
        (FloatDistribution(0, 2, step=0.2), 0.6, 3),
        (FloatDistribution(0.1, 10, log=True), 0.4, 0.4),
        (IntDistribution(64, 1024, step=64), 192, 2),
        (IntDistribution(1, 100, log=True), 10, 10),
        (CategoricalDistribution(("a", None, 8)), 8, "2"),
    ],
)
def test_values_go_there_and_back(
    distribution: BaseDistribution, value: Any, encoded: Any
) -> None:
    assert encode(distribution, value) == encoded
    back = decode(distribution, encoded)
    assert back == pytest.approx(value) if isinstance(value, float) else back == value


def test_what_lies_outside_is_put_on_the_bound() -> None:
    assert decode(FloatDistribution(0.1, 1, log=True), 1.0000001) == 1.0
    assert decode(IntDistribution(2, 64, log=True), 1) == 2
