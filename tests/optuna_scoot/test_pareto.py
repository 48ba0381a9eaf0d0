"""Hypervolume and dominance: by hand, by brute force, against BoTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume

from optuna_scoot.pareto import hypervolume
from optuna_scoot.pareto import is_non_dominated


def test_hypervolume_is_the_staircase_by_hand() -> None:
    reference = np.array([10.0, 10.0])
    values = np.array([[2.0, 6.0], [5.0, 3.0], [6.0, 7.0], [11.0, 0.0]])

    # 8 wide and 4 high, and below it 5 wide and 3 high; the third is dominated, the last outside.
    assert hypervolume(values, reference) == pytest.approx(8 * 4 + 5 * 3)
    assert hypervolume(values[3:], reference) == 0.0
    assert hypervolume(values[:, :1], np.array([7.0])) == pytest.approx(5.0)


def test_what_is_not_dominated_is_brute_force() -> None:
    rng = np.random.default_rng(4)
    values = rng.integers(0, 6, size=(60, 3)).astype(float)
    expected = [
        not any(np.all(other <= value) and np.any(other < value) for other in values)
        for value in values
    ]

    assert is_non_dominated(values).tolist() == expected
    assert any(expected)
    assert not all(expected)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_hypervolume_is_botorchs(m: int) -> None:
    rng = np.random.default_rng(m)
    values, reference = rng.random((25, m)), np.full(m, 0.9)
    inside = values[np.all(values < reference, axis=1)]
    front = torch.from_numpy(-inside[is_non_dominated(inside)])
    expected = Hypervolume(torch.from_numpy(-reference)).compute(front)

    assert hypervolume(values, reference) == pytest.approx(expected, rel=1e-12)


def test_nothing_dominates_nothing() -> None:
    assert hypervolume(np.empty((0, 2)), np.ones(2)) == 0.0
    assert is_non_dominated(np.empty((0, 2))).tolist() == []
    assert is_non_dominated(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]])).tolist() == [
        *(True, True, False),
    ]


def _count_cells(points: np.ndarray, reference: np.ndarray) -> int:
    """Return how many unit cells some integer point dominates, one by one."""
    cells = itertools.product(*(range(int(bound)) for bound in reference))
    return sum(
        any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points)
        for cell in cells
    )


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_hypervolume_is_the_number_of_dominated_cells(n_objectives: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 8, size=(6, n_objectives)).astype(float)
    reference = np.full(n_objectives, 6.0)

    assert hypervolume(points, reference) == pytest.approx(_count_cells(points, reference))
