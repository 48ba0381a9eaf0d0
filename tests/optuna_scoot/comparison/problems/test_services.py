from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from objectives.simulated_services import service_names
from optuna_scoot.comparison.development.problems import TUNING_OPTIMA_FILE
from optuna_scoot.comparison.development.problems import TUNING_SERVICES
from optuna_scoot.comparison.problems.fresh import FRESH_OPTIMA_FILE
from optuna_scoot.comparison.problems.fresh import FRESH_SERVICES
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.problems.services import OPTIMA_FILE
from optuna_scoot.comparison.problems.services import SEEN_SERVICES
from optuna_scoot.comparison.problems.services import read_optima
from optuna_scoot.comparison.problems.services import service_version
from optuna_scoot.comparison.reporting.scoring import Scale
from optuna_scoot.constraints.known import KnownConstraints


CHECKED = {
    "cls-2xa10-7b": TUNING_OPTIMA_FILE,
    "sql-2xa100-7b": TUNING_OPTIMA_FILE,
    "bot-2xa10-7b": OPTIMA_FILE,
    "sql-2xa10-7b": FRESH_OPTIMA_FILE,
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_optima_are_of_the_comparisons_services() -> None:
    assert set(read_optima(OPTIMA_FILE)) == set(SEEN_SERVICES)
    assert set(read_optima(TUNING_OPTIMA_FILE)) == set(TUNING_SERVICES)
    assert set(read_optima(FRESH_OPTIMA_FILE)) == set(FRESH_SERVICES)
    services = [*TUNING_SERVICES, *SEEN_SERVICES, *FRESH_SERVICES]
    assert set(services) <= set(service_names())
    assert len(services) == len(set(services))


@pytest.mark.parametrize("name", CHECKED)
def test_optimum_is_of_this_simulator_and_reached(name: str) -> None:
    optimum = read_optima(CHECKED[name])[name]
    assert optimum.version == service_version(name), "search for the optima again"
    problem = make_problem(name, 0)
    known = KnownConstraints(problem.known_constraints)
    assert Scale(problem).optimum > 0
    for params, values in zip(optimum.configurations[:3], optimum.front[:3], strict=False):
        assert known.satisfied(params)
        assert problem.evaluate(params).values == pytest.approx(values)


@pytest.mark.parametrize("name", CHECKED)
def test_default_scores_zero_and_bad_configurations_crash(name: str) -> None:
    problem = make_problem(name, 0)
    values = problem.evaluate(problem.default).values
    assert Scale(problem).score(np.array([values])) == 0.0
    with pytest.raises(Crash, match="known_constraint"):
        problem.evaluate({**problem.default, "max_num_batched_tokens": 64})
