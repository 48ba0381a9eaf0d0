"""Normalised scores: how much of what was to be gained over the default a run has gained.

One objective: (default - best) / (default - optimum). Several: the hypervolume of the run's
points over the optimum's, the default's values being the reference point. With one objective the
second is the first, so both are computed in the same way. Only trials that ran and held every
measured constraint count. 0 is the default's score, 1 the optimum's.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.running.runs import Run
from optuna_scoot.pareto import hypervolume


FloatArray = NDArray[np.float64]


class Scale:
    """The two ends of a problem's score.

    Args:
        problem: The problem; its default is evaluated once.
    """

    def __init__(self, problem: Problem) -> None:
        self._signs = np.array([1.0 if d == "minimize" else -1.0 for d in problem.directions])
        self._reference = self._signs * np.array(problem.evaluate(problem.default).values)
        self._best = hypervolume(self._signs * np.array(problem.front), self._reference)

    @property
    def optimum(self) -> float:
        """Return the optimum's hypervolume, or gain, over the default in the problem's units."""
        return self._best

    def score(self, values: FloatArray) -> float:
        """Return the score of a set of points, shape ``(n, n_objectives)``."""
        return hypervolume(self._signs * values, self._reference) / self._best


@lru_cache(maxsize=4096)
def scale_of(problem: str, seed: int) -> Scale:
    """Return the scale of the problem that a run of that name and seed meets."""
    return Scale(make_problem(problem, seed))


def score_curve(run: Run) -> FloatArray:
    """Return the score after each trial of a run, shape ``(key.n_trials,)``.

    A run that its sampler ended early keeps its last score.
    """
    scale = scale_of(run.key.problem, run.key.seed)
    curve = np.zeros(run.key.n_trials)
    points: list[tuple[float, ...]] = []
    score = 0.0
    for index in range(run.key.n_trials):
        trial = run.trials[index] if index < len(run.trials) else None
        if trial is not None and trial.values is not None and trial.feasible:
            points.append(trial.values)
            score = scale.score(np.array(points))
        curve[index] = score
    return curve


def crash_share(run: Run) -> float:
    """Return the share of the suggested trials (the default is not one) that crashed."""
    suggested = run.trials[1:]
    return float(np.mean([trial.crash is not None for trial in suggested])) if suggested else 0.0


def suggestion_seconds(run: Run) -> float:
    """Return the mean seconds of a suggestion of a run, the default's left out."""
    suggested = run.trials[1:]
    return float(np.mean([trial.seconds for trial in suggested])) if suggested else 0.0
