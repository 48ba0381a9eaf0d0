"""The threshold Δ by hand-worked histories, the forest against scikit-learn's own prediction."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from optuna_scoot import FeasibilityThreshold
from optuna_scoot.feasibility import FeasibilityForest


RAN, CRASHED = True, False


@pytest.mark.parametrize(
    ("history", "delta"),
    [
        ([], 0.5),
        ([RAN] * 4, 0.5),
        # Five that ran in a row: 0.5 - 0.05, and again after five more, not after each.
        ([RAN] * 5, 0.45),
        ([RAN] * 9, 0.45),
        ([RAN] * 10, 0.4),
        # Never below 0.25.
        ([RAN] * 25, 0.25),
        ([RAN] * 100, 0.25),
        # Each crash: + 0.05, never above 0.75.
        ([CRASHED], 0.55),
        ([CRASHED] * 3, 0.65),
        ([CRASHED] * 5, 0.75),
        ([CRASHED] * 50, 0.75),
        # A crash breaks the streak.
        ([RAN] * 4 + [CRASHED] + [RAN] * 4, 0.55),
        ([RAN] * 4 + [CRASHED] + [RAN] * 5, 0.5),
        # From 0.3 a crash leads back to 0.5 at least, and from 0.45 to 0.5.
        ([RAN] * 20 + [CRASHED], 0.5),
        ([RAN] * 5 + [CRASHED], 0.5),
        ([RAN] * 20 + [CRASHED] * 2, 0.55),
        ([CRASHED] * 50 + [RAN] * 5, 0.7),
    ],
)
def test_threshold_by_hand(history: list[bool], delta: float) -> None:
    assert FeasibilityThreshold().after(history) == pytest.approx(delta)


def test_the_five_numbers_are_the_papers() -> None:
    threshold = FeasibilityThreshold()

    assert (threshold.initial, threshold.step) == (0.5, 0.05)
    assert (threshold.minimum, threshold.maximum, threshold.window) == (0.25, 0.75, 5)


def test_other_numbers_are_followed() -> None:
    threshold = FeasibilityThreshold(initial=0.2, step=0.1, maximum=0.35, minimum=0.15, window=2)

    assert threshold.after([RAN, RAN]) == pytest.approx(0.15)
    assert threshold.after([CRASHED]) == pytest.approx(0.3)
    assert threshold.after([CRASHED, CRASHED]) == pytest.approx(0.35)


@pytest.mark.parametrize(
    "numbers",
    [
        {"initial": 0.8},
        {"minimum": 0.6},
        {"maximum": 1.5},
        {"minimum": -0.1},
        {"step": -0.05},
        {"window": 0},
        {"initial": float("nan")},
    ],
    ids=str,
)
def test_contradictory_numbers_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="FeasibilityThreshold needs"):
        FeasibilityThreshold(**numbers)  # type: ignore[arg-type]


def _history(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    features = np.random.default_rng(1).random((n, 3))
    return features, features[:, 0] + features[:, 1] < 1.1


def test_probability_is_scikit_learns_prediction() -> None:
    features, ran = _history()
    queries = np.random.default_rng(2).random((500, 3))
    forest = RandomForestRegressor(30, random_state=7).fit(features, ran.astype(float))

    np.testing.assert_allclose(
        FeasibilityForest(features, ran, seed=7, n_trees=30).probability(queries),
        forest.predict(queries),
        atol=1e-12,
    )


def test_probability_learns_the_border() -> None:
    features, ran = _history(100)
    queries = np.random.default_rng(3).random((2000, 3))
    pof = FeasibilityForest(features, ran, seed=0).probability(queries)
    runs = queries[:, 0] + queries[:, 1] < 1.1

    assert pof.min() >= 0.0
    assert pof.max() <= 1.0
    assert np.mean((pof >= 0.5) == runs) > 0.85


@pytest.mark.parametrize(("ran", "pof"), [(True, 1.0), (False, 0.0)])
def test_a_single_class_is_taken_at_its_word(ran: bool, pof: float) -> None:
    forest = FeasibilityForest(np.random.default_rng(0).random((5, 2)), np.full(5, ran), seed=0)

    assert forest.probability(np.random.default_rng(1).random((4, 2))).tolist() == [pof] * 4


def test_nothing_seen_is_taken_to_run() -> None:
    forest = FeasibilityForest(np.empty((0, 2)), np.empty(0, dtype=bool), seed=0)

    assert forest.probability(np.zeros((3, 2))).tolist() == [1.0] * 3


def test_the_same_seed_grows_the_same_forest() -> None:
    features, ran = _history()
    queries = np.random.default_rng(2).random((100, 3))
    first, second, other = (
        FeasibilityForest(features, ran, seed=seed).probability(queries) for seed in (3, 3, 4)
    )

    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
