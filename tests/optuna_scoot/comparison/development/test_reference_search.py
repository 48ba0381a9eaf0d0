from __future__ import annotations

import numpy as np
import pytest

from optuna_scoot.comparison.development.reference_search import Evolution
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.reporting.scoring import Scale


@pytest.mark.parametrize(
    ("name", "least"), [("levy-crash", 0.98), ("dixon-server", 0.97), ("bowls-server", 0.95)]
)
def test_finds_a_known_optimum(name: str, least: float) -> None:
    problem = make_problem(name, 0)
    evolution = Evolution(problem, np.ones(problem.n_objectives), np.random.default_rng(0))
    evolution.run(2000)
    score = Scale(problem).score(np.array([values for values, _ in evolution.elite]))
    assert least < score <= 1 + 1e-3
