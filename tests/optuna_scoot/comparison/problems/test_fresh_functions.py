from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from optuna_scoot.comparison.problems.functions import make_function


@pytest.mark.parametrize(
    ("name", "point", "value"),
    [
        # Worked out by hand from the published formulas.
        ("salomon", [3.0, 4.0], 0.5),
        ("alpine", [np.pi / 2, -np.pi / 2], 1.0 * np.pi),
        ("trid", [1.0, 1.0, 1.0], -2.0),
        ("goldstein", [1.0, 1.0], np.log(1876.0)),
        ("colville", [0.0, 0.0, 0.0, 0.0], 42.0),
        ("perm", [1.0, 4.0], 12.0**2 + (14.0 * 3) ** 2),
        ("schwefel", [0.0, 0.0], 0.0),
        ("schwefel", [np.pi**2 / 4, 510.0], -(np.pi**2) / 4 + 2 - 500 * np.sin(np.sqrt(500))),
    ],
)
def test_values_are_those_of_the_formula(name: str, point: list[float], value: float) -> None:
    assert make_function(name, len(point)).value(np.array(point)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("name", "dimension", "minimum"),
    [
        ("rastrigin", 3, 0.0),
        ("salomon", 4, 0.0),
        ("alpine", 5, 0.0),
        ("powell", 4, 0.0),
        ("trid", 6, -6 * 10 * 5 / 6),
        ("beale", 2, 0.0),
        ("goldstein", 2, np.log(3.0)),
        ("colville", 4, 0.0),
        ("shekel", 4, -10.5364),
        ("perm", 4, 0.0),
        ("michalewicz", 5, -4.687658),
        ("michalewicz", 6, -5.687658),
        ("schwefel", 4, -4 * 418.9829),
    ],
)
def test_minimisers_are_minima_of_the_published_value(
    name: str, dimension: int, minimum: float
) -> None:
    function = make_function(name, dimension)
    assert function.minimum == pytest.approx(minimum, abs=1e-3)
    polished = minimize(function.value, function.minimiser, method="Nelder-Mead")
    assert polished.fun >= function.minimum - 1e-6
