"""Seconds of one suggestion in a study under way, for several samplers in one run."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.trial import TrialState

from optuna_scoot.comparison.problems.analytic_multi import RECIPES as MULTI_RECIPES
from optuna_scoot.comparison.problems.analytic_multi import build as build_multi
from optuna_scoot.comparison.problems.analytic_single import RECIPES as SINGLE_RECIPES
from optuna_scoot.comparison.problems.analytic_single import build as build_single
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.random_draws import draw
from optuna_scoot.comparison.running.session import Session
from optuna_scoot.comparison.running.workers import limit_threads
from optuna_scoot.comparison.samplers.modes import FAIL
from optuna_scoot.comparison.samplers.peers import make_sampler
from optuna_scoot.constraints.known import KnownConstraints


@dataclass(frozen=True)
class Case:
    """A study of nine parameters under way.

    Attributes:
        name: What it is.
        multi: Two objectives rather than one.
        n_trials: Length of the history at the suggestion in the middle.
        n_repeats: Suggestions that are timed, one after another; the median counts.
    """

    name: str
    multi: bool
    n_trials: int
    n_repeats: int


CASES = (
    Case("one objective, 30 trials", False, 30, 11),
    Case("two objectives, 30 trials", True, 30, 11),
    Case("one objective, 200 trials", False, 200, 5),
    Case("two objectives, 200 trials", True, 200, 5),
)


def measure(case: Case, samplers: Iterable[str]) -> dict[str, float]:
    """Time the suggestions of some samplers.

    Each sampler has a study of its own that begins with the same history; then they take turns
    with one suggestion each, which is evaluated and told, so that a slow moment of the machine
    meets them all and what a sampler keeps between suggestions helps it. The first suggestion,
    which imports, is left out.

    Args:
        case: The study.
        samplers: Names of samplers.

    Returns:
        Median seconds of a suggestion by sampler.
    """
    limit_threads()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    problem = problem_of(case, 0)
    past = history(problem, case.n_trials - case.n_repeats // 2 - 1, 0)
    sessions = {name: _session(name, problem, past) for name in samplers}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(case.n_repeats + 1):
            for session in sessions.values():
                session.step(1)
    return {
        name: float(np.median([record.seconds for record in session.records[1:]]))
        for name, session in sessions.items()
    }


def _session(name: str, problem: Problem, past: list[optuna.trial.FrozenTrial]) -> Session:
    sampler = make_sampler(name, problem, FAIL, 0)
    study = optuna.create_study(directions=list(problem.directions), sampler=sampler)
    study.add_trials(past)
    return Session(problem, FAIL, study)


def problem_of(case: Case, instance: int) -> Problem:
    """A problem of nine mixed parameters with known constraints and crashes."""
    if case.multi:
        recipe = next(recipe for recipe in MULTI_RECIPES if recipe.name == "bowls-server")
        return build_multi(recipe, instance)
    single = next(recipe for recipe in SINGLE_RECIPES if recipe.name == "ellipsoid-server")
    return build_single(single, instance)


CRASHED_SHARE = 0.2
"""Of a history; with more, samplers that count completed trials would still draw blindly."""


def history(problem: Problem, n_trials: int, seed: int) -> list[optuna.trial.FrozenTrial]:
    """The default, then random configurations that hold the known constraints; a fifth crashed."""
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
