"""Pruned trials: what their reports let expect, and what it is worth to a search."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler

from optuna_scoot.trials.reports import believed_finals
from tests.optuna_scoot.studies import quick


def test_the_last_report_and_what_others_have_gained_since() -> None:
    completed: list[dict[int, float]] = [{0: 9.0, 1: 5.0}, {0: 8.0, 1: 4.0}, {0: 20.0, 1: 7.0}, {}]
    finals = [3.0, 3.0, 4.0, 3.5]
    pruned: list[dict[int, float]] = [{0: 12.0}, {0: 30.0, 1: 9.0}, {5: 11.0}]

    # After step 0 the others gained 6, 5 and 16, after step 1 they gained 2, 1 and 3.
    assert believed_finals(pruned, completed, finals).tolist() == [6.0, 7.0, 11.0]


def test_no_pruned_trial_is_believed_to_be_the_best() -> None:
    assert believed_finals([{0: 5.0}], [{0: 9.0}], [1.0]).tolist() == [1.0]


def test_where_nothing_has_completed_the_last_report_is_all() -> None:
    assert believed_finals([{0: 5.0, 1: 4.0}, {0: 7.0}], [], []).tolist() == [4.0, 7.0]


def test_reports_that_are_no_numbers_are_passed_over() -> None:
    pruned = [{0: 4.0, 1: math.nan}, {0: math.inf}, {}]
    values = believed_finals(pruned, [{0: math.nan, 1: 1.0}], [1.0])

    assert values[0] == 4.0
    assert np.isnan(values[1:]).all()


def _best(sampler: optuna.samplers.BaseSampler, pruner: optuna.pruners.BasePruner) -> float:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        gain = 1.0 - (x - 0.3) ** 2 - (y - 0.8) ** 2
        for step in range(9):
            trial.report(gain * (1.0 - math.exp(-(step + 1) / 3.0)), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return gain

    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.optimize(objective, n_trials=30)
    return study.best_value


@pytest.mark.parametrize(
    "pruner",
    [
        optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        optuna.pruners.MedianPruner(n_startup_trials=3),
        optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9),
    ],
    ids=lambda pruner: type(pruner).__name__,
)
def test_with_a_pruner_the_search_learns_from_what_was_cut(pruner: Any) -> None:
    ours = [_best(quick(seed=seed), pruner) for seed in range(3)]
    blind = [_best(RandomSampler(seed=seed), pruner) for seed in range(3)]

    assert np.mean(ours) > np.mean(blind)
    assert np.mean(ours) > 0.99
