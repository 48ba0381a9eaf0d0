"""Pareto fronts of the fresh two-objective problems, see ``analytic_multi`` for p and g.

ZDT6 of E. Zitzler, K. Deb and L. Thiele (2000), DTLZ7 of K. Deb et al. (2002), WFG1 of S. Huband
et al. (2006), the problem of C. Fonseca and P. Fleming (1995), and J. Schaffer's first (1985).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


Pair = tuple[float, float]
Shape = Callable[[float, float], Pair]
"""Position p and distance g to the two objectives, both minimised."""


def _zdt6(p: float, g: float) -> Pair:
    first = 1 - np.exp(-4 * p) * np.sin(6 * np.pi * p) ** 6
    return first, g * (1 - (first / g) ** 2)


def _dtlz7(p: float, g: float) -> Pair:
    return p, 2 * (1 + g) - p * (1 + np.sin(3 * np.pi * p))


def _wfg1(p: float, g: float) -> Pair:
    first = 1 - np.cos(p * np.pi / 2)
    second = 1 - p - np.cos(10 * np.pi * p + np.pi / 2) / (10 * np.pi)
    return g - 1 + 2 * first, g - 1 + 4 * second


def _fonseca(p: float, g: float) -> Pair:
    t = 2 * p - 1
    return 1 - np.exp(-((t - 1) ** 2) - (g - 1)), 1 - np.exp(-((t + 1) ** 2) - (g - 1))


def _schaffer(p: float, g: float) -> Pair:
    return 4 * p**2 + g - 1, 4 * (1 - p) ** 2 + g - 1


FRESH_SHAPES: dict[str, Shape] = {
    "zdt6": _zdt6,
    "dtlz7": _dtlz7,
    "wfg1": _wfg1,
    "fonseca": _fonseca,
    "schaffer": _schaffer,
}
