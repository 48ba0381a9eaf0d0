"""Overrides that do not matter go back to the default; those that do stay."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from objectives.spaces import EngineSpace
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.tuning.simplify import simplify


SPACE = EngineSpace(
    {
        "a": IntDistribution(1, 64, log=True),
        "b": IntDistribution(1, 64, log=True),
        "c": CategoricalDistribution([False, True]),
    },
    (),
    {"a": 1, "b": 1, "c": False},
)
BEST = {"a": 64, "b": 32, "c": True}


def value(params: dict[str, Any], b_matters: float = 0.0) -> float:
    """A latency that falls with the logarithm of a, and with that of b as far as it matters."""
    return 1000.0 - 100.0 * math.log2(params["a"]) - b_matters * math.log2(params["b"])


def study(
    direction: str = "minimize", b_matters: float = 0.0, limit: bool = False
) -> optuna.Study:
    rng = np.random.default_rng(0)
    made = optuna.create_study(direction=direction)
    tried = [{"a": 1, "b": 1, "c": False}, BEST]
    tried += [
        {"a": int(2 ** rng.uniform(0, 6)), "b": int(2 ** rng.uniform(0, 6)), "c": bool(c)}
        for c in rng.integers(0, 2, 22)
    ]
    for params in tried:
        y = value(params, b_matters)
        excess = {"limit": 0.3 - math.log2(params["b"]) / 6} if limit else None
        made.add_trial(
            optuna.create_trial(
                value=y if direction == "minimize" else 2000.0 - y,
                params=params,
                distributions=SPACE.parameters,
                constraints=excess,
            )
        )
    return made


def simple(study: optuna.Study, *constraints: str) -> dict[str, Any] | None:
    return simplify(study, SPACE, KnownConstraints(constraints), BEST)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_what_does_not_matter_goes_back(direction: str) -> None:
    assert simple(study(direction)) == {"a": 64, "b": 1, "c": False}


def test_what_matters_by_more_than_a_per_cent_stays() -> None:
    # From b = 32 to 1 the latency of 350 rises by 50, 14 %.
    assert simple(study(b_matters=10.0)) == {"a": 64, "b": 32, "c": False}


def test_a_limit_that_needs_an_override_keeps_it() -> None:
    found = simple(study(limit=True))
    assert found == {"a": 64, "b": 32, "c": False}


def test_a_known_constraint_keeps_an_override() -> None:
    assert simple(study(), "b >= a or c") == {"a": 64, "b": 1, "c": True}


def test_there_is_none_where_every_override_matters_or_none_is_there() -> None:
    bare = {"a": 64, "b": 1, "c": False}
    assert simplify(study(), SPACE, KnownConstraints(), bare) is None
    assert simplify(study(), SPACE, KnownConstraints(), SPACE.default) is None
