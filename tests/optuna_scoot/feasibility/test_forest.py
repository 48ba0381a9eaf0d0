"""The threshold Δ by hand-worked histories, the forest against scikit-learn's own prediction."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.ensemble import RandomForestRegressor

from optuna_scoot import FeasibilityThreshold
from optuna_scoot.feasibility.forest import FeasibilityForest
from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.feasibility.forest import _signs_of_sums


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


IS_LEVEL = np.array([False, False, False, True])
OWN = ForestChoice()


def _history(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Give configurations of three numbers and one of three levels, and which of them ran."""
    features = _queries(n, seed=1)
    return features, features[:, 0] + features[:, 1] < 1.1


def _queries(n: int = 500, seed: int = 2) -> np.ndarray:
    features = np.random.default_rng(seed).random((n, 4))
    features[:, 3] = np.floor(3.0 * features[:, 3])
    return features


def _columns(features: np.ndarray) -> np.ndarray:
    """Give a column for each level of the last feature, any two of which lie 1 apart."""
    return (features[:, 3:] == np.arange(3.0)) * 0.5**0.5


def _forest(
    features: np.ndarray, ran: np.ndarray, choice: ForestChoice = OWN, seed: int = 0
) -> FeasibilityForest:
    is_level = IS_LEVEL[: features.shape[1]]
    return FeasibilityForest(features, ran, is_level=is_level, choice=choice, seed=seed)


def test_the_papers_forest_is_scikit_learns_random_forest() -> None:
    features, ran = _history()
    queries = _queries()

    def rows(x: np.ndarray) -> np.ndarray:
        return np.concatenate([x[:, :3], _columns(x)], axis=1)

    forest = RandomForestRegressor(random_state=7).fit(rows(features), ran.astype(float))

    np.testing.assert_allclose(
        _forest(features, ran, ForestChoice.paper(), seed=7).probability(queries),
        forest.predict(rows(queries)),
        atol=1e-12,
    )


def test_the_forest_is_scikit_learns_on_sums_and_differences_of_up_to_three_numbers() -> None:
    features, ran = _history()
    queries = _queries()

    def rows(x: np.ndarray) -> np.ndarray:
        # A level has no sum with a number.
        a, b, c = x[:, :3].T
        pairs = [a + b, a - b, a + c, a - c, b + c, b - c]
        triples = [a + b + c, a + b - c, a - b + c, a - b - c]
        sums = np.stack(pairs + triples, axis=1)
        return np.concatenate([x[:, :3], _columns(x), sums], axis=1).astype(np.float32)

    forest = ExtraTreesRegressor(50, random_state=7).fit(rows(features), ran.astype(float))

    np.testing.assert_allclose(
        _forest(features, ran, seed=7).probability(queries),
        forest.predict(rows(queries)),
        atol=1e-6,
    )


@pytest.mark.parametrize("most_terms", [1, 2, 3])
@pytest.mark.parametrize("n_numbers", [0, 1, 2, 3, 5, 8])
def test_sums_are_all_combinations_of_numbers_and_signs(n_numbers: int, most_terms: int) -> None:
    found = _signs_of_sums(n_numbers, most_terms, np.random.default_rng(0))
    # A sum and its negative have the same cuts: the first sign is plus.
    expected = {
        signs
        for signs in product((-1.0, 0.0, 1.0), repeat=n_numbers)
        if 2 <= sum(map(abs, signs)) <= most_terms and next(filter(None, signs)) == 1.0
    }

    assert found.shape == (len(expected), n_numbers)
    assert {tuple(row) for row in found} == expected


def test_of_very_many_numbers_four_hundred_sums_are_drawn_those_of_two_first() -> None:
    # 12 numbers have 132 sums of two and 880 of three, 60 have 3540 of two.
    for n_numbers, n_of_two in ((12, 132), (60, 400)):
        first, second, other = (
            _signs_of_sums(n_numbers, 3, np.random.default_rng(seed)) for seed in (0, 0, 1)
        )
        sizes = np.abs(first).sum(axis=1)

        assert first.shape == (400, n_numbers)
        assert set(np.unique(first)) == {-1.0, 0.0, 1.0}
        assert np.all(first[np.arange(400), np.argmax(first != 0.0, axis=1)] == 1.0)
        assert len({tuple(row) for row in first}) == 400
        assert np.sum(sizes == 2.0) == n_of_two
        assert np.all(sizes[n_of_two:] == 3.0)
        # Of every number, and differences as often as sums.
        assert np.abs(first).any(axis=0).all()
        assert 0.4 < np.mean(first[:n_of_two].min(axis=1) < 0.0) < 0.6
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, other)


def test_a_rule_of_three_numbers_is_learnt_better_with_sums_of_three() -> None:
    # As memory runs out: batch and length are products, and the number of GPUs divides.
    grid = np.array(list(product(np.linspace(0.05, 0.95, 10), repeat=3)))

    def runs(x: np.ndarray) -> np.ndarray:
        return np.asarray(x[:, 0] + x[:, 1] - x[:, 2] <= 0.6)

    def accuracy(most_terms: int) -> float:
        hits = []
        for seed in range(8):
            x = np.random.default_rng(seed).random((30, 3))
            forest = _forest(x, runs(x), ForestChoice(most_terms=most_terms), seed)
            hits.append(np.mean((forest.probability(grid) >= 0.5) == runs(grid)))
        return float(np.mean(hits))

    one, two, three = (accuracy(most_terms) for most_terms in (1, 2, 3))
    assert 1.0 - three < 0.75 * (1.0 - one)
    assert three > two


def test_no_points_have_no_probabilities() -> None:
    # A search may find every point taken.
    assert _forest(*_history(), ForestChoice(n_trees=3)).probability(np.empty((0, 4))).shape == (
        0,
    )


def test_a_level_that_never_was_tried_is_judged_by_the_numbers() -> None:
    features, ran = _history(100)
    queries = _queries()
    queries[:, 3] = 7.0
    runs = queries[:, 0] + queries[:, 1] < 1.1

    assert np.mean((_forest(features, ran).probability(queries) >= 0.5) == runs) > 0.85


def test_sums_and_differences_find_a_slanting_border_from_few_crashes() -> None:
    queries = _queries(2000, seed=3)
    runs = queries[:, 0] + queries[:, 1] < 1.1

    def error(choice: ForestChoice) -> float:
        found = [_forest(*_history(n), choice, seed=n).probability(queries) for n in range(10, 30)]
        return float(np.mean([(pof - runs) ** 2 for pof in found]))

    assert error(OWN) < 0.6 * error(ForestChoice.paper())


@pytest.mark.parametrize("choice", [OWN, ForestChoice.paper()], ids=["own", "paper"])
def test_probability_learns_the_border(choice: ForestChoice) -> None:
    features, ran = _history(100)
    queries = _queries(2000, seed=3)
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
    queries = _queries(100)
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
