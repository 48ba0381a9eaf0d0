from __future__ import annotations

import itertools

import numpy as np
import pytest

from optuna_scoot.pareto import hypervolume


def _count_cells(points: np.ndarray, reference: np.ndarray) -> int:
    """Unit cells that some integer point dominates, one by one."""
    cells = itertools.product(*(range(int(bound)) for bound in reference))
    return sum(
        any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points)
        for cell in cells
    )


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_number_of_dominated_cells(n_objectives: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 8, size=(6, n_objectives)).astype(float)
    reference = np.full(n_objectives, 6.0)
    assert hypervolume(points, reference) == pytest.approx(_count_cells(points, reference))


def test_staircase_by_hand() -> None:
    # Below (4, 4): (1, 3) covers 3 x 1, (2, 1) covers 2 x 3, and 2 x 1 is common.
    points = np.array([[1.0, 3.0], [2.0, 1.0], [3.0, 3.5]])
    assert hypervolume(points, np.array([4.0, 4.0])) == pytest.approx(3 + 6 - 2)


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume(np.array([[-100.0, 5.0], [5.0, -100.0]]), np.array([4.0, 4.0])) == 0.0


def test_no_points_have_no_volume() -> None:
    assert hypervolume(np.empty((0, 2)), np.array([4.0, 4.0])) == 0.0
