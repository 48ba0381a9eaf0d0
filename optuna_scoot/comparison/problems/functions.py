"""Ordinary test functions with a known minimiser, defined on the whole space.

Each function is kept as ``value(z)`` together with one global minimiser ``z*`` and a width per
axis: the part of the space a problem shows is a box of that width around (not centred at) ``z*``.
All of them attain their minimum over the *whole* space at ``z*``, so a box may be shifted freely
without a better point coming into view.

Most are BoTorch's. Hartmann's is not: BoTorch keeps its constants in single precision, which
gives other values than the published runs have from the eighth digit on.

Formulas and minimisers: S. Surjanovic and D. Bingham, Virtual Library of Simulation Experiments,
https://www.sfu.ca/~ssurjano/optimization.html.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optuna_scoot.comparison.problems.fresh_functions import FRESH_FUNCTIONS
from optuna_scoot.comparison.problems.function import FloatArray
from optuna_scoot.comparison.problems.function import Function
from optuna_scoot.comparison.problems.function import from_botorch
from optuna_scoot.comparison.problems.function import with_equal_widths


_HARTMANN_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_HARTMANN3_A = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]], dtype=float)
_HARTMANN3_P = 1e-4 * np.array(
    [[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]
)
_HARTMANN6_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_HARTMANN6_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def _hartmann3(z: FloatArray) -> float:
    exponents = (_HARTMANN3_A * (z - _HARTMANN3_P) ** 2).sum(axis=1)
    return float(-_HARTMANN_ALPHA @ np.exp(-exponents))


def _hartmann6(z: FloatArray) -> float:
    exponents = (_HARTMANN6_A * (z - _HARTMANN6_P) ** 2).sum(axis=1)
    return float(-_HARTMANN_ALPHA @ np.exp(-exponents))


def _zakharov(z: FloatArray) -> float:
    slope = 0.5 * np.arange(1, len(z) + 1) @ z
    return float(np.sum(z**2) + slope**2 + slope**4)


def _ellipsoid(z: FloatArray) -> float:
    turned = np.cumsum(z)
    return float(np.sum(np.arange(1, len(z) + 1) * turned**2))


_HARTMANN3_MINIMISER = np.array([0.114614, 0.555649, 0.852547])
_HARTMANN6_MINIMISER = np.array([0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573])
_CAMEL_MINIMISER = np.array([0.08984201368301331, -0.7126564032704135])
_BRANIN_MINIMISER = np.array([np.pi, 2.275])
_STYBLINSKI_ROOT = -2.903534027771177


def _dixon_price_minimiser(dimension: int) -> FloatArray:
    powers = 2.0 ** np.arange(1, dimension + 1)
    return 2.0 ** (-(powers - 2) / powers)


def _hartmann(dimension: int) -> Function:
    if dimension == 3:
        return with_equal_widths(_hartmann3, _HARTMANN3_MINIMISER, 1.0, 0.15)
    return with_equal_widths(_hartmann6, _HARTMANN6_MINIMISER, 1.0, 0.15)


_BUILDERS: dict[str, Callable[[int], Function]] = {
    "branin": lambda _: from_botorch("Branin", _BRANIN_MINIMISER, 15.0),
    "camel": lambda _: from_botorch("SixHumpCamel", _CAMEL_MINIMISER, 3.6),
    "hartmann": _hartmann,
    "ackley": lambda d: from_botorch("Ackley", np.zeros(d), 4.0, dim=d),
    "levy": lambda d: from_botorch("Levy", np.ones(d), 10.0, dim=d),
    "rosenbrock": lambda d: from_botorch("Rosenbrock", np.ones(d), 3.0, dim=d),
    "griewank": lambda d: from_botorch("Griewank", np.zeros(d), 8.0, dim=d),
    "styblinski": lambda d: from_botorch(
        "StyblinskiTang", np.full(d, _STYBLINSKI_ROOT), 7.0, dim=d
    ),
    "zakharov": lambda d: with_equal_widths(_zakharov, np.zeros(d), 4.0),
    "dixon": lambda d: from_botorch("DixonPrice", _dixon_price_minimiser(d), 3.0, dim=d),
    "ellipsoid": lambda d: with_equal_widths(_ellipsoid, np.zeros(d), 4.0),
    **FRESH_FUNCTIONS,
}


def make_function(name: str, dimension: int) -> Function:
    """Return a function by its name.

    Args:
        name: A key of the builders above.
        dimension: Number of variables; branin and camel have 2, hartmann has 3 or 6, and so on.

    Returns:
        The function with its minimiser.

    Raises:
        KeyError: If there is no such function.
        ValueError: If the function does not exist in that dimension.
    """
    function = _BUILDERS[name](dimension)
    if function.dimension != dimension:
        msg = f"{name} has {function.dimension} variables, not {dimension}."
        raise ValueError(msg)
    return function
