"""What loads when: a light import, and the direction of the dependencies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
COMMAND = ("click", "rich", "optuna_scoot.cli")
ENGINE = ("httptools", "objectives")
HEAVY = ("torch", "botorch", "gpytorch", "sklearn", "pymoo", "httptools")


def _loaded(statement: str, modules: tuple[str, ...]) -> list[str]:
    program = f"import sys\n{statement}\nprint(*(m for m in {modules!r} if m in sys.modules))"
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return process.stdout.split()


@pytest.mark.parametrize(
    "statement",
    [
        "import optuna_scoot",
        "from optuna_scoot import ScootSampler; ScootSampler(known_constraints=['a <= b'])",
        "from optuna_scoot import *; ScootSampler.paper(); Method(); FeasibilityThreshold()",
    ],
)
def test_importing_the_sampler_is_light(statement: str) -> None:
    assert _loaded(statement, (*HEAVY, "objectives")) == []


def test_importing_the_objectives_loads_no_sampler() -> None:
    package = ROOT / "objectives"
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(package.rglob("*.py"))
        if path.name != "__main__.py"
    ]
    assert len(names) > 10
    statement = "\n".join(f"import {name}" for name in names)

    assert _loaded(statement, ("torch", "botorch", "sklearn", "pymoo", "optuna_scoot")) == []


def test_importing_the_tuning_library_loads_neither_command_nor_torch() -> None:
    light = "import optuna_scoot.tuning; optuna_scoot.tuning.tune"
    folder = ROOT / "optuna_scoot" / "tuning"
    everything = "\n".join(f"import optuna_scoot.tuning.{p.stem}" for p in folder.glob("*.py"))

    for statement in (light, everything.replace(".__init__", "")):
        assert _loaded(statement, (*COMMAND, "torch", "botorch", "sklearn", "pymoo")) == []


def test_tuning_with_a_sampler_of_optunas_loads_no_torch() -> None:
    statement = (
        "import optuna; from optuna_scoot.tuning import Load, simulated_task, tune\n"
        "task = simulated_task('sql-2xa10-7b', Load(duration=2))\n"
        "tune(task, n_trials=2, sampler=optuna.samplers.RandomSampler(seed=0))"
    )

    assert _loaded(statement, (*COMMAND, "torch")) == []


STUDY = """
import optuna
from optuna_scoot import ScootSampler

def objective(trial):
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_categorical("y", ["a", "b"])
    if x > 0.6:
        raise MemoryError
    return VALUES

study = optuna.create_study(directions=DIRECTIONS, sampler=SAMPLER)
study.optimize(objective, n_trials=12, catch=(MemoryError,))
assert {trial.state.name for trial in study.trials} == {"COMPLETE", "FAIL"}
assert study.trials[-1].user_attrs["scoot:phase"] == "model"
"""


def _study(sampler: str, n_objectives: int = 1) -> str:
    values = "x" if n_objectives == 1 else "x, 1 - x"
    directions = repr(["minimize"] * n_objectives)
    program = STUDY.replace("VALUES", values).replace("DIRECTIONS", directions)
    return program.replace("SAMPLER", sampler)


def test_suggesting_needs_no_engine_and_the_default_no_pymoo() -> None:
    default, paper = _study("ScootSampler(seed=0)"), _study("ScootSampler.paper(seed=0)")

    assert _loaded(default, ("torch", "pymoo", *ENGINE)) == ["torch"]
    assert _loaded(paper.replace("n_trials=12", "n_trials=8"), ("torch", "pymoo", *ENGINE)) == [
        "torch",
        "pymoo",
    ]


def test_a_start_up_point_needs_no_torch() -> None:
    program = _study("ScootSampler(seed=0, n_startup_trials=12)").replace('"model"', '"startup"')

    assert _loaded(program, ("torch", "botorch")) == []


def test_what_is_offered_is_there() -> None:
    import optuna_scoot

    for name in optuna_scoot.__all__:
        assert getattr(optuna_scoot, name).__name__ == name
    assert set(optuna_scoot.__all__) <= set(dir(optuna_scoot))
    with pytest.raises(AttributeError, match="no attribute 'Sampler'"):
        optuna_scoot.Sampler  # noqa: B018
