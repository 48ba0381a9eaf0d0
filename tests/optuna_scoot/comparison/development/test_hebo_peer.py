from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_scoot.comparison.development import hebo_server
from optuna_scoot.comparison.development.hebo_peer import HeboSampler
from optuna_scoot.comparison.development.hebo_peer import record
from optuna_scoot.comparison.peers.contestants import make_peer
from optuna_scoot.comparison.peers.modes import FAIL
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.registry import make_problem


CASES: list[tuple[BaseDistribution, dict[str, Any]]] = [
    (FloatDistribution(0, 2), {"type": "num", "lb": 0, "ub": 2}),
    (FloatDistribution(0, 2, step=0.2), {"type": "int", "lb": 0, "ub": 10}),
    (IntDistribution(64, 1024, step=64), {"type": "int", "lb": 0, "ub": 15}),
    (IntDistribution(1, 100, log=True), {"type": "pow_int", "lb": 1, "ub": 100, "base": 10}),
    (CategoricalDistribution(("a", None, 8)), {"type": "cat", "categories": list("012")}),
]


@pytest.mark.parametrize(("distribution", "form"), CASES)
def test_parameters_have_hebos_form(distribution: BaseDistribution, form: dict[str, Any]) -> None:
    assert record("p", distribution) == {"name": "p", **form}


def test_the_dialogue_with_a_server(tmp_path: Path) -> None:
    """A stand-in for the server: it suggests how many observations it has been told."""
    server = tmp_path / "python"
    server.write_text(
        f"#!{sys.executable}\n"
        "import json, sys\n"
        "setup, told = json.loads(sys.stdin.readline()), 0\n"
        "for line in sys.stdin:\n"
        "    news = json.loads(line)['observe']\n"
        "    assert all(values == [-params['n']] for params, values in news)\n"
        "    told += len(news)\n"
        "    print(json.dumps({'n': told}), flush=True)\n"
    )
    server.chmod(0o755)
    space = {"n": IntDistribution(0, 9)}
    sampler = HeboSampler(str(server), space, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial({"n": 7})
    study.optimize(lambda trial: trial.suggest_int("n", 0, 9), n_trials=4)
    assert [trial.params["n"] for trial in study.trials] == [7, 1, 2, 3]


def test_a_python_without_hebo_is_named() -> None:
    sampler = HeboSampler(sys.executable, {"n": IntDistribution(0, 9)}, seed=0)
    study = optuna.create_study(sampler=sampler)
    with pytest.raises(
        RuntimeError, match=r"HEBO ended \(ModuleNotFoundError: .*\); does .* work"
    ):
        study.ask({"n": IntDistribution(0, 9)})


_FAKES = {
    "pandas.py": "DataFrame = list\n",
    "hebo/__init__.py": "",
    "hebo/design_space/__init__.py": "",
    "hebo/design_space/design_space.py": """
class DesignSpace:
    def parse(self, records):
        self.names = [record["name"] for record in records]
        return self
""",
    "hebo/optimizers/__init__.py": "",
    "hebo/optimizers/general.py": "GeneralBO = None\n",
    "hebo/optimizers/hebo.py": """
import statistics

class HEBO:
    def __init__(self, space, scramble_seed):
        self.names, self.values = space.names, [0.0]

    def observe(self, table, values):
        self.values += values[:, 0].tolist()

    def suggest(self, n_suggestions):
        print("not an answer")
        row = dict.fromkeys(self.names, statistics.median(self.values))
        return type("Table", (), {"iloc": [type("Row", (), {"to_dict": lambda _: row})()]})
""",
}
"""A HEBO that suggests the median of what it has seen, and of zero, for every parameter."""


def test_the_server_finds_the_standard_library_and_answers_with_numbers_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in _FAKES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    sampler = HeboSampler(sys.executable, {"x": FloatDistribution(0, 9)}, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"x": 8.0})
    study.optimize(lambda trial: trial.suggest_float("x", 0, 9), n_trials=3)

    # Medians of (0, 8) and of (0, 8, 4).
    assert [trial.params["x"] for trial in study.trials] == [8.0, 4.0, 4.0]


def test_nothing_next_to_the_server_stands_in_for_a_standard_module() -> None:
    # A script's folder comes first in its search path.
    neighbours = {path.stem for path in Path(hebo_server.__file__).parent.glob("*.py")}
    assert not neighbours & sys.stdlib_module_names - {"__main__"}


def test_hebo_without_its_python_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTUNA_SCOOT_HEBO_PYTHON", raising=False)
    with pytest.raises(CompareError, match="set OPTUNA_SCOOT_HEBO_PYTHON"):
        make_peer("hebo", make_problem("camel-crash", 0), FAIL, 0)
