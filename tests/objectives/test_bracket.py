"""The search for a capacity, against steps whose edge is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from objectives.bracket import COARSE
from objectives.bracket import MOST_LOADS
from objectives.bracket import RESOLUTION
from objectives.bracket import Bracket
from objectives.bracket import find_capacity


LEAST = 0.01


class Watched:
    """Remembers what was asked and answered."""

    def __init__(self, keeps: Callable[[float], bool]) -> None:
        self.keeps = keeps
        self.asked: list[float] = []
        self.answers: list[bool] = []

    def __call__(self, rate: float) -> bool:
        self.asked.append(rate)
        self.answers.append(self.keeps(rate))
        return self.answers[-1]


def brute_force(keeps: Callable[[float], bool], step: float = 1.001) -> float:
    """The highest rate of a fine grid up to which every rate is kept."""
    rate = LEAST
    while keeps(rate * step):
        rate *= step
    return rate


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("known", [False, True])
def test_the_edge_of_a_step_is_found_to_the_resolution(seed: int, known: bool) -> None:
    rng = np.random.default_rng(seed)
    edge = math.exp(rng.uniform(math.log(0.05), math.log(100)))
    best = math.exp(rng.uniform(math.log(0.05), math.log(100))) if known else 0.0
    keeps = Watched(lambda rate: rate <= edge)

    found = find_capacity(keeps, 1.0, least=LEAST, best=best, most_loads=50)

    exact = brute_force(lambda rate: rate <= edge)
    tolerance = RESOLUTION if found.high > best else COARSE * RESOLUTION
    assert exact / (1 + tolerance) <= found.low <= exact * 1.001
    assert found.low <= edge < found.high <= (1 + tolerance) * found.low
    assert found.n_loads == len(keeps.asked)


def test_what_bears_more_than_the_best_is_resolved_finely() -> None:
    found = find_capacity(lambda rate: rate <= 7.0, 1.0, least=LEAST, best=5.0)

    assert found.low <= 7.0 < found.high <= (1 + RESOLUTION) * found.low


def test_first_it_doubles_and_then_it_bisects() -> None:
    keeps = Watched(lambda rate: rate <= 6.0)

    find_capacity(keeps, 1.0, least=LEAST, resolution=0.2)

    bisected = [math.sqrt(4 * 8), math.sqrt(math.sqrt(4 * 8) * 8)]
    # The last one would be the best, which one load alone does not make it.
    assert keeps.asked == pytest.approx([1.0, 2.0, 4.0, 8.0, *bisected, bisected[0]])


def test_it_halves_down_to_the_least_rate_and_says_zero() -> None:
    keeps = Watched(lambda rate: False)

    found = find_capacity(keeps, 1.0, least=0.3)

    assert keeps.asked == [1.0, 0.5, 0.3]
    assert found == Bracket(0.0, 0.3, 3)


@pytest.mark.parametrize(("edge", "low"), [(0.3, 0.3), (0.29, 0.0)])
def test_the_least_rate_itself_may_be_the_capacity(edge: float, low: float) -> None:
    found = find_capacity(lambda rate: rate <= edge, 1.0, least=0.3, resolution=0.9)

    assert found.low == low


def test_what_never_misses_ends_with_the_loads() -> None:
    found = find_capacity(lambda rate: True, 1.0, least=LEAST, most_loads=5)

    assert found == Bracket(16.0, math.inf, 5)


def test_a_known_best_saves_loads_where_others_are_near_it() -> None:
    edges = 10 * np.exp(np.random.default_rng(0).uniform(-0.7, 0.2, size=50))

    def loads(edge: float, best: float) -> int:
        return find_capacity(lambda rate: rate <= edge, 1.0, least=LEAST, best=best).n_loads

    scratch, known = ([loads(edge, best) for edge in edges] for best in (0.0, 10.0))

    assert np.mean(known) < 0.7 * np.mean(scratch)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("best", [0.0, 3.0])
def test_a_noisy_step_gives_measured_ends_within_its_noise(seed: int, best: float) -> None:
    rng = np.random.default_rng(seed)
    edge, width = 4.0, 0.1
    keeps = Watched(lambda rate: rate <= edge * math.exp(width * rng.uniform(-1, 1)))

    found = find_capacity(keeps, 1.0, least=LEAST, best=best, most_loads=40)

    kept = [rate for rate, yes in zip(keeps.asked, keeps.answers, strict=True) if yes]
    missed = [rate for rate, yes in zip(keeps.asked, keeps.answers, strict=True) if not yes]
    assert found.high == min(missed)
    assert found.low == max(rate for rate in kept if rate < found.high)
    assert found.low <= best or keeps.asked.count(found.low) == 2
    assert found.low < found.high
    bounds = edge * math.exp(-width) / (1 + RESOLUTION), edge * math.exp(width)
    assert bounds[0] <= found.low <= bounds[1]


def test_a_lucky_load_does_not_win() -> None:
    answers = {4.5: iter([True, False])}

    def keeps(rate: float) -> bool:
        return next(answers[rate]) if rate in answers else rate <= 3.9

    found = find_capacity(keeps, 4.5, least=LEAST, best=0.0)

    assert found.low <= 3.9 < found.high <= 4.5


def test_luck_raises_the_best_of_many_by_less_than_a_single_load_would() -> None:
    rng = np.random.default_rng(1)
    values, lucky = [], []
    for _ in range(40):
        seen: dict[float, bool] = {}

        def keeps(rate: float, seen: dict[float, bool] = seen) -> bool:
            answer = bool(rate <= 4.0 * math.exp(0.1 * rng.standard_normal()))
            seen[rate] = seen.get(rate, False) or answer
            return answer

        values.append(find_capacity(keeps, 4.0, least=LEAST, best=max(values, default=0.0)).low)
        lucky.append(max(rate for rate, once in seen.items() if once))

    assert max(values) < max(lucky)
    assert max(values) < 4.0 * math.exp(0.2)


def test_a_hole_in_what_is_kept_ends_at_one_of_its_edges() -> None:
    def keeps(rate: float) -> bool:
        return rate <= 2.5 or 3.5 <= rate <= 5.0

    found = find_capacity(keeps, 1.0, least=LEAST)

    assert keeps(found.low)
    assert not keeps(found.high)
    assert found.high <= (1 + RESOLUTION) * found.low


def test_loads_are_bounded() -> None:
    keeps = Watched(lambda rate: rate <= math.pi)

    found = find_capacity(keeps, 1e-6, least=1e-9)

    assert len(keeps.asked) == found.n_loads == MOST_LOADS
    assert found.low <= math.pi
