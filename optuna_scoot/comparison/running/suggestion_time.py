"""Seconds of one suggestion in a study under way, for several samplers in one run."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.trial import TrialState

from optuna_scoot.comparison.peers.contestants import make_peer
from optuna_scoot.comparison.peers.modes import FAIL
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.random_draws import draw
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.running.study import RunningStudy
from optuna_scoot.comparison.running.workers import limit_threads
from optuna_scoot.constraints.known import KnownConstraints


@dataclass(frozen=True)
class TimedStudy:
    """A study of nine parameters under way.

    Attributes:
        name: What it is.
        problem: A problem of nine mixed parameters with known constraints and crashes.
        n_trials: Length of the history at the suggestion in the middle.
        n_repeats: Suggestions that are timed, one after another; the median counts.
    """

    name: str
    problem: str
    n_trials: int
    n_repeats: int


TIMED_STUDIES = (
    TimedStudy("one objective, 30 trials", "dixon-server", 30, 11),
    TimedStudy("two objectives, 30 trials", "bowls-server", 30, 11),
    TimedStudy("one objective, 200 trials", "dixon-server", 200, 5),
    TimedStudy("two objectives, 200 trials", "bowls-server", 200, 5),
    *(
        TimedStudy(f"{name}, {n_trials} trials", problem, n_trials, 3)
        for n_trials in (500, 1000, 2000)
        for name, problem in (
            ("one objective", "dixon-server"),
            ("two objectives", "bowls-server"),
        )
    ),
)


def measure(study: TimedStudy, samplers: Iterable[str]) -> dict[str, float]:
    """Time the suggestions of some samplers.

    Each sampler has a study of its own that begins with the same history; then they take turns
    with one suggestion each, which is evaluated and told, so that a slow moment of the machine
    meets them all and what a sampler keeps between suggestions helps it. The first suggestion,
    which imports, is left out.

    Args:
        study: The study.
        samplers: Names of samplers.

    Returns:
        Median seconds of a suggestion by sampler.
    """
    limit_threads()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    problem = make_problem(study.problem, 0)
    past = history(problem, study.n_trials - study.n_repeats // 2 - 1, 0)
    studies = {name: _started(name, problem, past) for name in samplers}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(study.n_repeats + 1):
            for running in studies.values():
                running.step(1)
    return {
        name: float(np.median([record.seconds for record in running.records[1:]]))
        for name, running in studies.items()
    }


def _started(name: str, problem: Problem, past: list[optuna.trial.FrozenTrial]) -> RunningStudy:
    sampler = make_peer(name, problem, FAIL, 0)
    study = optuna.create_study(directions=list(problem.directions), sampler=sampler)
    study.add_trials(past)
    return RunningStudy(problem, FAIL, study)


CRASHED_SHARE = 0.2
"""Of a history; with more, samplers that count completed trials would still draw blindly."""


def history(problem: Problem, n_trials: int, seed: int) -> list[optuna.trial.FrozenTrial]:
    """Return the default, then random valid configurations, of which a fifth crashed."""
    rng = np.random.default_rng(seed)
    known = KnownConstraints(problem.known_constraints)
    crashes_left = round(CRASHED_SHARE * n_trials)
    trials = [_trial(problem, dict(problem.default))]
    while len(trials) < n_trials:
        params = {name: draw(distribution, rng) for name, distribution in problem.space.items()}
        if not known.satisfied(params):
            continue
        trial = _trial(problem, params)
        if trial.state == TrialState.FAIL:
            if crashes_left == 0:
                continue
            crashes_left -= 1
        trials.append(trial)
    return trials


def _trial(problem: Problem, params: dict[str, object]) -> optuna.trial.FrozenTrial:
    try:
        values = list(problem.evaluate(params).values)
    except Crash:
        return optuna.create_trial(
            state=TrialState.FAIL, params=params, distributions=dict(problem.space)
        )
    return optuna.create_trial(values=values, params=params, distributions=dict(problem.space))
