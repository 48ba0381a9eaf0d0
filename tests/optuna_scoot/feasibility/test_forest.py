"""The threshold Δ by hand-worked histories, the forest against scikit-learn's own prediction."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.ensemble import RandomForestRegressor

from optuna_scoot import FeasibilityThreshold
from optuna_scoot.feasibility.forest import FeasibilityForest
from optuna_scoot.feasibility.forest import ForestChoice


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


IS_LEVEL = np.array([False, False, True])
OWN = ForestChoice()


def _history(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    features = np.random.default_rng(1).random((n, 3))
    return features, features[:, 0] + features[:, 1] < 1.1


def _forest(
    features: np.ndarray,
    ran: np.ndarray,
    choice: ForestChoice = OWN,
    seed: int = 0,
    ignored: np.ndarray | None = None,
) -> FeasibilityForest:
    f = features.shape[1]
    return FeasibilityForest(
        features,
        ran,
        is_level=IS_LEVEL[:f],
        ignored=np.zeros(f, dtype=bool) if ignored is None else ignored,
        choice=choice,
        seed=seed,
    )


def test_the_papers_forest_is_scikit_learns_random_forest() -> None:
    features, ran = _history()
    queries = np.random.default_rng(2).random((500, 3))
    forest = RandomForestRegressor(random_state=7).fit(features, ran.astype(float))

    np.testing.assert_allclose(
        _forest(features, ran, ForestChoice.paper(), seed=7).probability(queries),
        forest.predict(queries),
        atol=1e-12,
    )


def test_the_forest_is_scikit_learns_on_sums_and_differences_of_the_numbers() -> None:
    features, ran = _history()
    queries = np.random.default_rng(2).random((500, 3))

    def rows(x: np.ndarray) -> np.ndarray:
        # The third feature is a level: it has no sum with a number.
        return np.array([[a, b, c, a + b, a - b] for a, b, c in x], dtype=np.float32)

    forest = ExtraTreesRegressor(50, random_state=7).fit(rows(features), ran.astype(float))

    np.testing.assert_allclose(
        _forest(features, ran, seed=7).probability(queries),
        forest.predict(rows(queries)),
        atol=1e-6,
    )


def test_ignored_features_are_not_seen() -> None:
    features, ran = _history()
    level = np.round(features[:, [2]])
    features = np.concatenate([features[:, :2], level], axis=1)
    ran = ran & (level[:, 0] == 0.0)
    queries = np.random.default_rng(2).random((50, 3))
    other = np.concatenate([queries[:, :2], 1.0 - np.round(queries[:, [2]])], axis=1)
    forest = _forest(features, ran, ForestChoice.paper(), 7, np.array([False, False, True]))
    peer = RandomForestRegressor(random_state=7).fit(features[:, :2], ran.astype(float))

    np.testing.assert_allclose(forest.probability(queries), peer.predict(queries[:, :2]))
    np.testing.assert_array_equal(forest.probability(other), forest.probability(queries))


def test_sums_and_differences_find_a_slanting_border_from_few_crashes() -> None:
    queries = np.random.default_rng(3).random((2000, 3))
    runs = queries[:, 0] + queries[:, 1] < 1.1

    def error(choice: ForestChoice) -> float:
        found = [_forest(*_history(n), choice, seed=n).probability(queries) for n in range(10, 30)]
        return float(np.mean([(pof - runs) ** 2 for pof in found]))

    assert error(OWN) < 0.6 * error(ForestChoice.paper())


@pytest.mark.parametrize("choice", [OWN, ForestChoice.paper()], ids=["own", "paper"])
def test_probability_learns_the_border(choice: ForestChoice) -> None:
    features, ran = _history(100)
    queries = np.random.default_rng(3).random((2000, 3))
    pof = _forest(features, ran, choice).probability(queries)
    runs = queries[:, 0] + queries[:, 1] < 1.1

    assert pof.min() >= 0.0
    assert pof.max() <= 1.0 + 1e-12
    assert np.mean((pof >= 0.5) == runs) > 0.85


@pytest.mark.parametrize(("ran", "pof"), [(True, 1.0), (False, 0.0)])
def test_a_single_class_is_taken_at_its_word(ran: bool, pof: float) -> None:
    forest = _forest(np.random.default_rng(0).random((5, 2)), np.full(5, ran))

    assert forest.probability(np.random.default_rng(1).random((4, 2))).tolist() == [pof] * 4


def test_nothing_seen_is_taken_to_run() -> None:
    forest = _forest(np.empty((0, 2)), np.empty(0, dtype=bool))

    assert forest.probability(np.zeros((3, 2))).tolist() == [1.0] * 3


def test_the_same_seed_grows_the_same_forest() -> None:
    features, ran = _history()
    queries = np.random.default_rng(2).random((100, 3))
    first, second, other = (
        _forest(features, ran, seed=seed).probability(queries) for seed in (3, 3, 4)
    )

    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_the_ends_of_what_is_allowed_are_allowed() -> None:
    certain = FeasibilityThreshold(initial=1.0, minimum=1.0, maximum=1.0)
    anything = FeasibilityThreshold(initial=0.0, minimum=0.0, maximum=0.0)
    still = FeasibilityThreshold(step=0.0)
    impatient = FeasibilityThreshold(window=1)

    assert [t.after([RAN] * 9 + [CRASHED]) for t in (certain, anything, still)] == [1.0, 0.0, 0.5]
    # Each that ran is a streak.
    assert impatient.after([RAN, RAN]) == pytest.approx(0.4)
    assert impatient.after([CRASHED, RAN]) == pytest.approx(0.5)
