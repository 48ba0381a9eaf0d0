from __future__ import annotations

import itertools

import pytest

from optuna_scoot.comparison.peers.contestants import contestants
from optuna_scoot.comparison.peers.scoot import ABLATIONS
from optuna_scoot.comparison.peers.scoot import changed
from optuna_scoot.comparison.peers.scoot import make_scoot
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.method import Method
from optuna_scoot.search.nsga2 import Nsga2


@pytest.mark.parametrize("name", [name for name in ABLATIONS if name != "scoot"])
def test_each_ablation_changes_the_sampler(name: str) -> None:
    assert name in contestants()
    variant = ABLATIONS[name]
    method = Method.paper() if variant.paper else changed(Method(), variant.method)
    assert method != Method() or variant.arguments
    make_scoot(variant, make_problem("dixon-server", 0), 0)


def test_each_ablation_is_another() -> None:
    for first, second in itertools.combinations(ABLATIONS.values(), 2):
        assert first != second


def test_a_field_within_a_field_is_changed_alone() -> None:
    method = changed(Method(), {"kernel.warped": True, "forest.n_trees": 7})
    assert (method.kernel.warped, method.forest.n_trees) == (True, 7)
    assert method.kernel.priors == Method().kernel.priors
    assert method.forest.most_terms == Method().forest.most_terms
    assert method.startup == Method().startup


def test_unknown_options_are_refused() -> None:
    with pytest.raises(CompareError, match="no option 'nonsense'"):
        changed(Method(), {"nonsense": 1})


def test_options_within_what_is_off_are_refused() -> None:
    with pytest.raises(CompareError, match="no option 'population' in None"):
        changed(Method(), {"nsga2.population": 20})
    assert changed(Method.paper(), {"nsga2.population": 20}).nsga2 == Nsga2(population=20)
