"""Conditional spaces: which parameters are asked for when, and what a search makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import TPESampler

from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.trials.history import History
from optuna_scoot.trials.spaces import conditional_space
from tests.optuna_scoot.studies import add
from tests.optuna_scoot.studies import quick
from tests.optuna_scoot.studies import study_of


SPACE: dict[str, BaseDistribution] = {
    "model": CategoricalDistribution(["svm", "forest", "knn"]),
    "rate": FloatDistribution(0.0, 1.0),
    "svm_c": FloatDistribution(1e-3, 1e3, log=True),
    "svm_kernel": CategoricalDistribution(["a", "b", "c"]),
    "depth": IntDistribution(1, 20),
    "layers": IntDistribution(1, 3),
    "width1": IntDistribution(8, 64),
    "width2": IntDistribution(8, 64),
    "width3": IntDistribution(8, 64),
}


def _asked(params: Mapping[str, Any]) -> set[str]:
    """Tell in plain Python what the objective asks for."""
    names = {"model", "rate"}
    if params["model"] == "svm":
        names |= {"svm_c", "svm_kernel"}
    elif params["model"] == "forest":
        names |= {"depth"}
    else:
        names |= {"layers"} | {f"width{i + 1}" for i in range(params["layers"])}
    return names


def _study(n: int) -> optuna.Study:
    study = study_of(quick(seed=0))
    plain = SearchSpace(SPACE)
    for x in plain.sobol(n, seed=0):
        params = plain.to_params(x)
        add(study, {k: params[k] for k in SPACE if k in _asked(params)}, 1.0, SPACE)
    return study


def _learnt(study: optuna.Study, space: Mapping[str, BaseDistribution]) -> SearchSpace:
    return conditional_space(History.of(study.get_trials()).records(space), space)


def test_what_depends_on_levels_and_counts_is_learnt() -> None:
    space = _learnt(_study(40), SPACE)
    x = SearchSpace(SPACE).sobol(256, seed=1)
    active = space.active(x)

    for row, point in zip(active, x, strict=True):
        params = space.to_params(point)
        assert {n for n, a in zip(space.names, row, strict=True) if a} == _asked(params)
    assert space.typical_size < space.n_dimensions


def test_points_that_differ_in_what_is_not_asked_for_are_the_same() -> None:
    space = _learnt(_study(40), SPACE)
    raw = np.random.default_rng(0).random((64, space.n_dimensions))
    other = np.where(space.active(space.snap(raw)), raw, 0.9)

    np.testing.assert_array_equal(space.snap(raw), space.snap(other))
    np.testing.assert_array_equal(
        space.features(space.snap(raw)), space.features(space.snap(other))
    )


def test_inactive_parameters_show_no_level_and_rest_in_the_middle() -> None:
    space = _learnt(_study(40), SPACE)
    forest = space.to_unit([{"model": "forest", "rate": 0.5, "depth": 3}])
    seen = dict(zip(space.names, space.features(forest)[0], strict=True))

    assert (seen["model"], seen["svm_kernel"]) == (1.0, -1.0)
    assert seen["svm_c"] == seen["width2"] == 0.5


def test_where_nothing_tells_the_branches_apart_everything_is_active() -> None:
    study = study_of(quick(seed=0))
    for i in range(6):
        # What decides is outside: a file, the day.
        name = ("rate", "depth")[i % 2]
        add(study, {name: (0.5, 3)[i % 2]}, 1.0, SPACE)
    both = {name: SPACE[name] for name in ("rate", "depth")}
    space = _learnt(study, both)

    assert space.is_conditional
    assert space.active(SearchSpace(both).sobol(16, seed=0)).all()


def test_levels_are_held_for_the_reason_before_numbers() -> None:
    numbers = {f"x{i}": SPACE["rate"] for i in range(8)}
    space = {**numbers, "model": SPACE["model"], "depth": SPACE["depth"]}
    study = study_of(quick(seed=0))
    # By chance every number tells the three trials apart as well.
    for model, x in (("forest", 0.2), ("forest", 0.3), ("svm", 0.8)):
        params: dict[str, Any] = {**dict.fromkeys(numbers, x), "model": model}
        add(study, {**params, **({"depth": 3} if model == "forest" else {})}, 1.0, space)
    learnt = _learnt(study, space)
    asked = [{**dict.fromkeys(numbers, 0.9), "model": m} for m in ("forest", "svm", "knn")]

    assert learnt.active(learnt.to_unit(asked))[:, -1].tolist() == [True, False, False]


def test_a_space_without_branches_is_the_plain_one() -> None:
    study = study_of(quick(seed=0))
    plain = SearchSpace(SPACE)
    for x in plain.sobol(8, seed=0):
        add(study, plain.to_params(x), 1.0, SPACE)

    assert not _learnt(study, SPACE).is_conditional


def test_a_known_constraint_on_what_is_not_asked_for_passes() -> None:
    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("rate", 0.0, 1.0)
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            low, high = trial.suggest_int("low", 0, 99), trial.suggest_int("high", 0, 99)
            assert low >= 2 * high
            return rate + low - high
        # By far the better branch; at rest low and high would violate the constraint.
        return rate - 100.0

    study = study_of(quick(known_constraints=["low >= 2 * high"], seed=0))
    study.optimize(objective, n_trials=25)

    late = [t.params["kind"] for t in study.trials[10:]]
    assert late.count("b") > late.count("a")


@pytest.mark.parametrize("seed", range(3))
def test_a_branch_is_not_given_up_for_one_crash(seed: int) -> None:
    def objective(trial: optuna.Trial) -> float:
        model = trial.suggest_categorical("model", ["svm", "forest", "knn"])
        if model == "svm":  # by far the best, and it crashes in a sixth of its range
            c = trial.suggest_float("svm_c", 1e-3, 1e3, log=True)
            if c > 100:
                raise MemoryError
            return 0.05 * (math.log10(c) - 1) ** 2
        if model == "forest":
            return 1 + trial.suggest_int("depth", 1, 20) / 20
        return 2 + trial.suggest_int("k", 1, 20) / 20

    study = study_of(quick(seed=seed, warn_independent_sampling=False))
    study.enqueue_trial({"model": "svm", "svm_c": 900.0})
    study.optimize(objective, n_trials=30, catch=(MemoryError,))

    late = [t.params["model"] for t in study.trials[10:]]
    assert late.count("svm") > 10
    assert study.best_value < 0.01


def test_in_a_conditional_space_the_search_is_no_worse_than_tpe() -> None:
    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
        loss = 0.2 * (math.log10(rate) + 2.0) ** 2
        if trial.suggest_categorical("kind", ["net", "tree"]) == "tree":
            return loss + 0.6 + 0.01 * abs(trial.suggest_int("depth", 1, 30) - 12)
        for i in range(trial.suggest_int("layers", 1, 3)):
            loss += 0.1 * abs(math.log2(trial.suggest_int(f"width{i}", 8, 512, log=True)) - 6 + i)
        return loss

    def best(sampler: optuna.samplers.BaseSampler) -> float:
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_trials=40)
        return study.best_value

    ours = [best(quick(seed=seed, warn_independent_sampling=False)) for seed in range(3)]
    tpe = [best(TPESampler(seed=seed)) for seed in range(3)]
    assert np.mean(ours) <= np.mean(tpe)
