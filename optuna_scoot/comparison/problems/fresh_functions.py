"""Test functions of the fresh problems; what is asked of them is told in ``functions``.

Formulas and minimisers: S. Surjanovic and D. Bingham, Virtual Library of Simulation Experiments,
https://www.sfu.ca/~ssurjano/optimization.html; Salomon and Alpine: M. Jamil and X.-S. Yang, A
literature survey of benchmark functions for global optimisation problems (2013).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optuna_scoot.comparison.problems.function import FloatArray
from optuna_scoot.comparison.problems.function import Function
from optuna_scoot.comparison.problems.function import from_botorch
from optuna_scoot.comparison.problems.function import with_equal_widths


def _salomon(z: FloatArray) -> float:
    radius = float(np.linalg.norm(z))
    return 1 - float(np.cos(2 * np.pi * radius)) + 0.1 * radius


def _alpine(z: FloatArray) -> float:
    return float(np.sum(np.abs(z * np.sin(z) + 0.1 * z)))


def _trid(z: FloatArray) -> float:
    return float(np.sum((z - 1) ** 2) - z[1:] @ z[:-1])


def _trid_minimiser(dimension: int) -> FloatArray:
    places = np.arange(1.0, dimension + 1)
    return places * (dimension + 1 - places)


def _goldstein(z: FloatArray) -> float:
    """Return the logarithm of the function of Goldstein and Price, which spans six decades."""
    x, y = z
    s, t = x + y, 2 * x - 3 * y
    first = 1 + (s + 1) ** 2 * (3 * s**2 - 14 * s + 19)
    second = 30 + t**2 * (3 * t**2 - 16 * t + 18)
    return float(np.log(first * second))


def _colville(z: FloatArray) -> float:
    a, b, c, d = z
    valleys = 100 * (a**2 - b) ** 2 + 90 * (c**2 - d) ** 2 + (a - 1) ** 2 + (c - 1) ** 2
    return float(valleys + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1))


_SHEKEL_MINIMISER = np.array([4.00074653, 3.99950949, 4.00074653, 3.99950949])


def _perm(z: FloatArray) -> float:
    """Return Perm d, beta with beta = 10."""
    j = np.arange(1.0, len(z) + 1)
    inner = [(j**i + 10) @ ((z / j) ** i - 1) for i in range(1, len(z) + 1)]
    return float(np.sum(np.square(inner)))


_MICHALEWICZ_MINIMISER = np.array(
    [2.2029055, 1.5707963, 1.2849916, 1.9230585, 1.7204698, 1.5707963]
)
_SCHWEFEL_ROOT = 420.968746


def _schwefel(z: FloatArray) -> float:
    """Return Schwefel's 2.26 within ±500; outside, where it goes on falling, it rises."""
    inside = np.clip(z, -500, 500)
    return float(np.sum(0.02 * (z - inside) ** 2 - inside * np.sin(np.sqrt(np.abs(inside)))))


FRESH_FUNCTIONS: dict[str, Callable[[int], Function]] = {
    "rastrigin": lambda d: from_botorch("Rastrigin", np.zeros(d), 3.0, dim=d),
    "salomon": lambda d: with_equal_widths(_salomon, np.zeros(d), 6.0),
    "alpine": lambda d: with_equal_widths(_alpine, np.zeros(d), 9.0),
    "powell": lambda d: from_botorch("Powell", np.zeros(d), 6.0, dim=d),
    "trid": lambda d: with_equal_widths(_trid, _trid_minimiser(d), 2.0 * d**1.5),
    "beale": lambda _: from_botorch("Beale", np.array([3.0, 0.5]), 3.0),
    "goldstein": lambda _: with_equal_widths(_goldstein, np.array([0.0, -1.0]), 3.0),
    "colville": lambda _: with_equal_widths(_colville, np.ones(4), 3.0),
    "shekel": lambda _: from_botorch("Shekel", _SHEKEL_MINIMISER, 6.0, 0.15),
    "perm": lambda d: with_equal_widths(_perm, np.arange(1.0, d + 1), 4.0),
    # Its minimiser is that of the box from 0 to pi, in which the shown one lies wherever it is.
    "michalewicz": lambda d: from_botorch("Michalewicz", _MICHALEWICZ_MINIMISER[:d], 1.15, dim=d),
    "schwefel": lambda d: with_equal_widths(_schwefel, np.full(d, _SCHWEFEL_ROOT), 600.0),
}
"""Number of variables to function, by name."""
