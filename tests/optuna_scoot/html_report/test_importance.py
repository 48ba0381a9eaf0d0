"""Which parameters stand out, on functions of which it is known."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_scoot.html_report.importance import LEAST_TRIALS
from optuna_scoot.html_report.importance import learn_importance
from optuna_scoot.space.search_space import SearchSpace


SPACE = SearchSpace(
    {
        "size": IntDistribution(1, 256, log=True),
        "other": IntDistribution(1, 256, log=True),
        "kind": CategoricalDistribution(["a", "b", "c"]),
        **{f"x{i}": FloatDistribution(0.0, 1.0) for i in range(3)},
    }
)
N_STUDIES = 12


def points(n: int, seed: int) -> np.ndarray:
    return SPACE.snap(np.random.default_rng(seed).random((n, SPACE.n_dimensions)))


@pytest.mark.parametrize("name", ["size", "kind"])
def test_a_parameter_that_decides_stands_out_on_few_trials_whatever_the_scale(name: str) -> None:
    for seed in range(3):
        x = points(16, seed)
        levels = SPACE.to_unit([SPACE.to_params(p) for p in x])[:, SPACE.names.index(name)]
        found = learn_importance(SPACE, x, np.exp(20.0 * levels), seed)

        assert found is not None
        assert found.standing_out == (name,)
        assert found.names[0] == name
        assert found.n_trials == 16


def test_where_nothing_matters_hardly_any_study_has_a_parameter_that_stands_out() -> None:
    n_false = 0
    for seed in range(N_STUDIES):
        values = np.random.default_rng(1000 + seed).standard_normal(13)
        found = learn_importance(SPACE, points(13, seed), values, seed)
        assert found is not None
        n_false += bool(found.standing_out)

    assert n_false <= 3  # of 12 that are wrong in 1 of 20 each, more than 3 are in 1 of 500


def test_shares_add_up_and_lie_within_their_intervals() -> None:
    x = points(20, 0)
    found = learn_importance(SPACE, x, x[:, 0] + x[:, 3])

    assert found is not None
    assert sorted(found.names) == sorted(SPACE.names)
    assert found.share.sum() == pytest.approx(1.0)
    assert (np.diff(found.share) <= 0.0).all()
    assert (found.low <= found.share).all()
    assert (found.share <= found.high).all()


def test_too_few_trials_and_equal_values_tell_nothing() -> None:
    x = points(LEAST_TRIALS, 0)
    assert learn_importance(SPACE, x[:-1], x[:-1, 0]) is None
    assert learn_importance(SPACE, x, np.zeros(len(x))) is None
    assert learn_importance(SPACE, x, x[:, 0]) is not None
