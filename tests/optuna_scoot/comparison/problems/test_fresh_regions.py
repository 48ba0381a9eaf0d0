from __future__ import annotations

import numpy as np
import pytest

from optuna_scoot.comparison.problems.axes import make_axes
from optuna_scoot.comparison.problems.axes import units
from optuna_scoot.comparison.problems.fresh_regions import FRESH_RULES
from optuna_scoot.comparison.problems.fresh_regions import budget
from optuna_scoot.comparison.problems.regions import hidden_region
from optuna_scoot.constraints.known import KnownConstraints


AXES = make_axes("ficb", np.random.default_rng(0))
BEST = {"f0": 0.4, "i1": 5, "c2": "coral", "b3": True}
TARGET = units(AXES, BEST)
SEEDS = range(20)


@pytest.mark.parametrize("rule", FRESH_RULES)
def test_the_optimum_runs_wherever_a_region_lies(rule: str) -> None:
    regions = [hidden_region(rule, AXES, TARGET, np.random.default_rng(i)) for i in SEEDS]
    assert not any(region(np.zeros(4)) for region in regions)


def test_divisible_lets_every_second_or_third_count_run_on_one_side_of_the_guard() -> None:
    for seed in SEEDS:
        region = hidden_region("divisible", AXES, TARGET, np.random.default_rng(seed))
        runs = {
            f: [
                i
                for i in range(13)
                if not region(units(AXES, {**BEST, "f0": f, "i1": i}) - TARGET)
            ]
            for f in (0.0, 1.0)
        }
        guarded, free = sorted(runs.values(), key=len)
        assert free == list(range(13))
        assert guarded in ([1, 3, 5, 7, 9, 11], [2, 5, 8, 11])


def test_pairs_depend_on_the_two_choices_alone() -> None:
    rng = np.random.default_rng(1)
    crashed = 0
    for seed in SEEDS:
        region = hidden_region("pair", AXES, TARGET, np.random.default_rng(seed))
        for level in AXES[2].levels:
            for flag in (False, True):
                chosen = {**BEST, "c2": level, "b3": flag}
                moved = {**chosen, "f0": float(rng.uniform()), "i1": int(rng.integers(13))}
                assert region(units(AXES, chosen) - TARGET) == region(units(AXES, moved) - TARGET)
                crashed += region(units(AXES, chosen) - TARGET)
    assert 0.1 < crashed / (8 * len(SEEDS)) < 0.4


def test_the_budget_holds_at_the_optimum_and_not_at_the_largest_counts() -> None:
    axes = make_axes("sl", np.random.default_rng(0))
    known = KnownConstraints((budget(axes, {"s0": 128, "l1": 40}),))
    assert known.satisfied({"s0": 128, "l1": 40})
    assert not known.satisfied({"s0": 128, "l1": 61})
    assert not known.satisfied({"s0": 1024, "l1": 4096})
