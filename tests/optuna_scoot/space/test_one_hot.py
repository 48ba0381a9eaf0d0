"""Levels as columns: one for each that was seen."""

from __future__ import annotations

import numpy as np

from optuna_scoot.space.one_hot import OneHot


SEEN = np.array([[0.2, 7.0, 0.0], [0.9, 3.0, 1.0], [0.4, 7.0, 1.0], [0.4, 4999.0, 1.0]])
IS_LEVEL = np.array([False, True, True])


def test_each_level_that_was_seen_has_a_column_and_numbers_stay() -> None:
    one_hot = OneHot(SEEN, IS_LEVEL)
    found = one_hot(SEEN)

    assert one_hot.owners.tolist() == [0, 1, 1, 1, 2, 2]
    np.testing.assert_array_equal(found[:, 0], SEEN[:, 0])
    # Levels 3, 7 and 4999; 0 and 1.
    assert found[:, 1:].tolist() == [
        [0, 1, 0, 1, 0],
        [1, 0, 0, 0, 1],
        [0, 1, 0, 0, 1],
        [0, 0, 1, 0, 1],
    ]


def test_what_was_never_seen_has_no_column() -> None:
    found = OneHot(SEEN, IS_LEVEL)(np.array([[0.1, 8.0, 1.0]]))

    assert found.tolist() == [[0.1, 0.0, 0.0, 0.0, 0.0, 1.0]]
