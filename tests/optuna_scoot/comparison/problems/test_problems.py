from __future__ import annotations

import numpy as np
import pytest

from optuna_scoot.comparison.development import problems as tuning_problems
from optuna_scoot.comparison.problems import analytic_multi
from optuna_scoot.comparison.problems import analytic_single
from optuna_scoot.comparison.problems import fresh as fresh_problems
from optuna_scoot.comparison.problems.analytic_multi import MultiRecipe
from optuna_scoot.comparison.problems.analytic_single import SingleRecipe
from optuna_scoot.comparison.problems.problem import KNOWN_CONSTRAINT
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.problems.problem import ProblemSet
from optuna_scoot.comparison.problems.random_draws import draw
from optuna_scoot.comparison.problems.random_draws import mutate
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.problems.registry import may_crash
from optuna_scoot.comparison.problems.registry import registry
from optuna_scoot.comparison.problems.registry import select_problems
from optuna_scoot.comparison.reporting.scoring import Scale
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.pareto import hypervolume


SETS = ("tuning", "seen", "fresh")
ANALYTIC = [name for name, entry in registry().items() if entry.family is not Family.SERVICE]
INSTANCES = (0, 1000)


def _formula(recipe: SingleRecipe | MultiRecipe) -> str:
    return recipe.function if isinstance(recipe, SingleRecipe) else recipe.shape


def _random(problem: Problem, rng: np.random.Generator) -> dict[str, object]:
    return {name: draw(distribution, rng) for name, distribution in problem.space.items()}


def _near_optimal(problem: Problem, rng: np.random.Generator) -> dict[str, object]:
    params = dict(problem.optimal)
    names = list(params)
    scale = float(rng.choice([0.003, 0.03, 0.1]))
    for index in rng.choice(len(names), size=rng.integers(1, len(names) + 1), replace=False):
        name = names[index]
        params[name] = mutate(problem.space[name], params[name], scale, rng)
    return params


@pytest.mark.parametrize("instance", INSTANCES)
@pytest.mark.parametrize("name", ANALYTIC)
class TestAnalyticProblem:
    def test_default_runs_and_is_not_optimal(self, name: str, instance: int) -> None:
        problem = make_problem(name, instance)
        evaluation = problem.evaluate(problem.default)
        assert evaluation.feasible
        assert Scale(problem).score(np.array([evaluation.values])) == 0.0
        assert Scale(problem).optimum > 0.0

    def test_optimum_is_reached(self, name: str, instance: int) -> None:
        problem = make_problem(name, instance)
        evaluation = problem.evaluate(problem.optimal)
        assert max(evaluation.constraints.values(), default=0.0) < 1e-3
        gaps = np.abs(np.array(problem.front) - evaluation.values).max(axis=1)
        assert gaps.min() < (1e-9 if problem.n_objectives == 1 else 5e-3)

    def test_optimum_is_not_beaten(self, name: str, instance: int) -> None:
        problem = make_problem(name, instance)
        rng = np.random.default_rng(0)
        scale = Scale(problem)
        found: list[tuple[float, ...]] = []
        for index in range(400):
            params = _random(problem, rng) if index % 2 else _near_optimal(problem, rng)
            try:
                evaluation = problem.evaluate(params)
            except Crash:
                continue
            if evaluation.feasible:
                found.append(evaluation.values)
        # The declared fronts of several objectives are fine polygons, not curves.
        assert scale.score(np.array([*found, *problem.front])) <= 1 + 1e-3

    def test_known_constraints_predict_their_crashes(self, name: str, instance: int) -> None:
        problem = make_problem(name, instance)
        known = KnownConstraints(problem.known_constraints)
        rng = np.random.default_rng(1)
        for _ in range(100):
            params = _random(problem, rng)
            reason = None
            try:
                problem.evaluate(params)
            except Crash as crash:
                reason = crash.reason
            assert (reason == KNOWN_CONSTRAINT) == (not known.satisfied(params))
            assert may_crash(name) or reason is None

    def test_same_instance_is_the_same_problem(self, name: str, instance: int) -> None:
        one, other = make_problem(name, instance), make_problem(f"{name}#{instance}", 5)
        assert one.default == other.default
        assert one.optimal == other.optimal
        assert one.known_constraints == other.known_constraints


@pytest.mark.parametrize("name", [n for n in ANALYTIC if registry()[n].has_instances])
def test_instances_differ(name: str) -> None:
    assert make_problem(name, 0).optimal != make_problem(name, 1).optimal


@pytest.mark.parametrize(
    "name", [n for n in ANALYTIC if may_crash(n) and registry()[n].has_instances]
)
def test_crashes_are_common_and_close_to_the_optimum(name: str) -> None:
    close = 0
    for instance in range(3):
        problem = make_problem(name, instance)
        rng = np.random.default_rng(2)
        crashed = 0
        for _ in range(200):
            try:
                problem.evaluate(_random(problem, rng))
            except Crash:
                crashed += 1
            try:
                problem.evaluate(_near_optimal(problem, rng))
            except Crash:
                close += 1
        assert 0.04 <= crashed / 200 <= 0.97
    assert close / 600 >= 0.02


def test_zdt1_front_is_the_formula() -> None:
    problem = make_problem("zdt1", 3)
    front = np.array(problem.front)
    assert front[:, 1] == pytest.approx(1 - np.sqrt(front[:, 0]))
    # Under f2 = 1 - sqrt(f1) lies 1/3 of the unit square, so 2/3 is dominated.
    assert hypervolume(front, np.array([1.0, 1.0])) == pytest.approx(2 / 3, abs=1e-3)


def test_toy_is_maximised() -> None:
    problem = make_problem("toy-crash", 0)
    assert Scale(problem).score(np.array([[7.0], [3.0]])) == pytest.approx(0.7)
    with pytest.raises(Crash):
        problem.evaluate({"x": 9, "y": 2})


class TestSelection:
    def test_by_family_within_a_set(self) -> None:
        chosen = select_problems(["tuning:plain"])
        entries = registry()
        assert chosen
        assert all(entries[name].family is Family.PLAIN for name in chosen)
        assert all(entries[name].problem_set is ProblemSet.TUNING for name in chosen)

    def test_the_sets_share_nothing_and_hold_all(self) -> None:
        chosen = [name for which in SETS for name in select_problems([which])]
        assert len(chosen) == len(set(chosen))
        # Tables are of another set; tests that ran before in this process may have added some.
        entries = registry().items()
        built_in = {name for name, entry in entries if entry.problem_set != ProblemSet.TABLES}
        assert set(chosen) == built_in

    def test_the_fresh_are_of_other_functions_and_rules_than_the_others(self) -> None:
        fresh = [*fresh_problems.SINGLE_RECIPES, *fresh_problems.MULTI_RECIPES]
        others = [
            *analytic_single.RECIPES,
            *analytic_multi.RECIPES,
            *tuning_problems.SINGLE_RECIPES,
            *tuning_problems.MULTI_RECIPES,
        ]
        assert not {_formula(recipe) for recipe in fresh} & {_formula(other) for other in others}
        assert not {rule for recipe in fresh for rule in recipe.hidden} & {
            rule for other in others for rule in other.hidden
        }

    def test_patterns_instances_and_repeats(self) -> None:
        assert select_problems(["levy-crash#7", "levy-c*", "levy-crash"]) == [
            "levy-crash#7",
            "levy-crash",
        ]

    @pytest.mark.parametrize("name", ["nothing", "levy-crash#x", "nothing#1", "tuning:nothing"])
    def test_unknown_names_are_refused(self, name: str) -> None:
        with pytest.raises(CompareError, match="No problem is called"):
            select_problems([name])
