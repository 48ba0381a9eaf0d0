from __future__ import annotations

import sys
from pathlib import Path

import pytest

from optuna_scoot.comparison.peers import contestants as contestants_module
from optuna_scoot.comparison.peers.contestants import find_contestant
from optuna_scoot.comparison.peers.contestants import make_peer
from optuna_scoot.comparison.peers.modes import FAIL
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.running.runner import execute
from optuna_scoot.comparison.running.runs import RunKey


@pytest.mark.parametrize("name", ["botorch", "scoot", "scoot-paper"])
def test_model_based_samplers_run(name: str) -> None:
    run = execute(RunKey("branin-crash", name, "fail", 0, n_trials=13))
    assert run.error is None
    assert len(run.trials) == 13


@pytest.mark.parametrize(
    ("problem", "name", "mode", "n_trials"),
    [
        ("ackley-crash", "smac", "fail+known", 9),
        ("zdt3-crash", "smac", "large", 9),
        ("ackley-crash", "ax", "constraint+known", 7),
        ("zdt3-crash", "ax", "fail", 9),
    ],
)
def test_samplers_of_other_packages_run(problem: str, name: str, mode: str, n_trials: int) -> None:
    run = execute(RunKey(problem, name, mode, 0, n_trials=n_trials))
    assert run.error is None
    assert len({tuple(trial.params.values()) for trial in run.trials}) == n_trials
    if mode.endswith("known"):
        assert not any(trial.violates_known for trial in run.trials)


@pytest.mark.parametrize(("name", "n_trials"), [("ax", 9), ("botorch", 13)])
def test_no_peer_compiles_what_a_killed_run_would_leave_locked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, n_trials: int
) -> None:
    from botorch.acquisition.multi_objective import logei

    monkeypatch.setattr(logei, "_load_attempted", False)
    monkeypatch.setattr(logei, "_C", None)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    run = execute(RunKey("zdt3-crash", name, "fail", 0, n_trials=n_trials))

    assert run.error is None
    assert logei._C is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["scoot@old", "scoot:caution=0.0/kernel.warped=True", "tpe@x"])
def test_labels_and_variants_keep_their_name(name: str) -> None:
    assert find_contestant(name).name == name


@pytest.mark.parametrize("name", ["nobody", "tpe:a=1", "scoot-nothing"])
def test_unknown_samplers_are_refused(name: str) -> None:
    with pytest.raises(CompareError, match="No sampler is called"):
        find_contestant(name)


@pytest.mark.parametrize(
    ("name", "module"), [("botorch", "optuna_integration"), ("smac", "smac"), ("ax", "ax")]
)
def test_a_peer_without_its_package_says_what_to_install(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(contestants_module, "find_spec", lambda name: None)
    with pytest.raises(CompareError, match=rf"{name} needs .*pip install 'optuna-scoot\[peers\]'"):
        make_peer(name, make_problem("camel-crash", 0), FAIL, 0)
