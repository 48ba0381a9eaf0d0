"""What trials cost, and the score that a run has reached by the time that it has spent so much.

Trials of a measured table differ in cost: one configuration compiles for seconds, another fails at
once. The runs on a case (problem and seed) are compared at the *equal cost*: the total of the one
that spent the least, so that every other one had spent as much.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from optuna_scoot.comparison.reporting.scoring import score_curve
from optuna_scoot.comparison.running.runs import Run


FloatArray = NDArray[np.float64]

Case = tuple[str, int]
"""What two samplers are paired on: problem and seed."""

SHARES: FloatArray = np.arange(1, 51) / 50
"""Shares of the equal cost at which scores are told."""

ROUNDING = 1e-9
"""Share of a cost by which the same trials in another order may differ."""


def spent(run: Run) -> FloatArray | None:
    """Return what a run had spent after each trial, shape ``(n,)``; None without costs."""
    costs = [trial.cost for trial in run.trials]
    if not costs or any(cost is None for cost in costs):
        return None
    return np.cumsum(np.array(costs, dtype=float))


def case_of(run: Run) -> Case:
    """Return the case of a run."""
    return run.key.problem, run.key.seed


def equal_costs(runs: Iterable[Run]) -> dict[Case, float]:
    """Return the least that a run has spent in all, by case; of cases where costs are known.

    A run that its sampler ended early is left out.
    """
    least: dict[Case, float] = {}
    for run in runs:
        total = spent(run)
        if total is not None and run.error is None:
            case = case_of(run)
            least[case] = min(float(total[-1]), least.get(case, np.inf))
    return least


def scores_over_cost(run: Run, budget: float) -> FloatArray:
    """Return the scores that a run had reached with shares of a budget.

    Args:
        run: A run whose costs are known.
        budget: In the units of its costs; a trial that ended beyond a share does not count there.

    Returns:
        A score for each of ``SHARES``, shape ``(len(SHARES),)``.
    """
    total = spent(run)
    assert total is not None
    n_trials = np.searchsorted(total, SHARES * budget * (1 + ROUNDING), side="right")
    return np.concatenate([[0.0], score_curve(run)])[n_trials]


def costs_of(
    runs: Iterable[Run], budgets: Mapping[Case, float]
) -> tuple[FloatArray, FloatArray] | None:
    """Return each run's total cost over its case's budget, and its scores over that budget.

    Args:
        runs: The runs.
        budgets: Equal cost by case.

    Returns:
        Arrays of shape ``(n_runs,)`` and ``(n_runs, len(SHARES))``; None where the cost of a run
        is not known.
    """
    ratios: list[float] = []
    scores: list[FloatArray] = []
    for run in runs:
        total, budget = spent(run), budgets.get(case_of(run))
        if total is None or not budget:
            return None
        ratios.append(float(total[-1]) / budget)
        scores.append(scores_over_cost(run, budget))
    return np.array(ratios), np.array(scores)
