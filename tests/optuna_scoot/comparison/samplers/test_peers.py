from __future__ import annotations

import pytest

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.running.runner import execute
from optuna_scoot.comparison.running.runs import RunKey
from optuna_scoot.comparison.samplers.peers import ABLATIONS
from optuna_scoot.comparison.samplers.peers import changed
from optuna_scoot.comparison.samplers.peers import contestants
from optuna_scoot.comparison.samplers.peers import find_contestant
from optuna_scoot.method import Method


@pytest.mark.parametrize("name", ["botorch", "scoot", "scoot-paper"])
def test_model_based_samplers_run(name: str) -> None:
    run = execute(RunKey("branin-crash", name, "fail", 0, n_trials=13))
    assert run.error is None
    assert len(run.trials) == 13


@pytest.mark.parametrize("name", list(ABLATIONS))
def test_each_ablation_changes_the_method(name: str) -> None:
    assert name in contestants()
    assert changed(Method(), ABLATIONS[name]) != Method()


def test_a_field_within_a_field_is_changed_alone() -> None:
    method = changed(Method(), {"kernel.nu": 2.5, "forest.n_trees": 7})
    assert (method.kernel.nu, method.forest.n_trees) == (2.5, 7)
    assert method.kernel.warp == Method().kernel.warp
    assert method.solver == Method().solver


@pytest.mark.parametrize("name", ["scoot@old", "scoot:pof_weight=0.0/kernel.warp=True", "tpe@x"])
def test_labels_and_variants_keep_their_name(name: str) -> None:
    assert find_contestant(name).name == name


@pytest.mark.parametrize("name", ["nobody", "tpe:a=1", "scoot-nothing"])
def test_unknown_samplers_are_refused(name: str) -> None:
    with pytest.raises(CompareError, match="No sampler is called"):
        find_contestant(name)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(CompareError, match="no option 'nonsense'"):
        changed(Method(), {"nonsense": 1})


def test_mace_without_its_front_is_refused() -> None:
    with pytest.raises(CompareError, match='needs solver="nsga2"'):
        changed(Method(), {"single": "mace"})
    assert changed(Method(), {"single": "mace", "solver": "nsga2"}).single == "mace"


def test_hebo_without_its_python_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTUNA_SCOOT_HEBO_PYTHON", raising=False)
    with pytest.raises(CompareError, match="set OPTUNA_SCOOT_HEBO_PYTHON"):
        find_contestant("hebo")
