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

from optuna_scoot.cli.compare.hebo_peer import HeboSampler
from optuna_scoot.cli.compare.hebo_peer import decode
from optuna_scoot.cli.compare.hebo_peer import encode
from optuna_scoot.cli.compare.hebo_peer import record


CASES: list[tuple[BaseDistribution, Any, dict[str, Any], Any]] = [
    (FloatDistribution(0, 2), 0.5, {"type": "num", "lb": 0, "ub": 2}, 0.5),
    (FloatDistribution(0, 2, step=0.2), 0.6, {"type": "int", "lb": 0, "ub": 10}, 3),
    (IntDistribution(64, 1024, step=64), 192, {"type": "int", "lb": 0, "ub": 15}, 2),
    (
        IntDistribution(1, 100, log=True),
        10,
        {"type": "pow_int", "lb": 1, "ub": 100, "base": 10},
        10,
    ),
    (CategoricalDistribution(("a", None, 8)), 8, {"type": "cat", "categories": list("012")}, "2"),
]


@pytest.mark.parametrize(("distribution", "value", "form", "encoded"), CASES)
def test_parameters_go_there_and_back(
    distribution: BaseDistribution, value: Any, form: dict[str, Any], encoded: Any
) -> None:
    assert record("p", distribution) == {"name": "p", **form}
    assert encode(distribution, value) == encoded
    back = decode(distribution, encoded)
    assert back == pytest.approx(value) if isinstance(value, float) else back == value


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
    with pytest.raises(RuntimeError, match=r"HEBO ended; does .* work"):
        study.ask({"n": IntDistribution(0, 9)})
