"""What a search space refuses."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_scoot.space.search_space import SearchSpace


@pytest.mark.parametrize(
    ("distribution", "value"),
    [
        (FloatDistribution(0.0, 1.0), 1.5),
        (FloatDistribution(1e-3, 1.0, log=True), 1e-4),
        (IntDistribution(2, 8), 9),
        (IntDistribution(2, 8, step=2), 5),
        (CategoricalDistribution(["a", "b"]), "c"),
    ],
    ids=str,
)
def test_a_value_outside_of_its_distribution(distribution: BaseDistribution, value: Any) -> None:
    space = SearchSpace({"p": distribution})
    inside = space.to_params(space.sobol(1, 0)[0])
    assert space.to_unit([inside]).shape == (1, 1)

    with pytest.raises(ValueError, match=r"."):
        space.to_unit([inside, {"p": value}])
    with pytest.raises(ValueError, match=r"."):
        SearchSpace({"p": distribution}, {"p": value})


class _Unknown(BaseDistribution):
    """A distribution that Optuna does not have."""

    def to_internal_repr(self, param_value_in_external_repr: Any) -> float:
        return 0.0

    def to_external_repr(self, param_value_in_internal_repr: float) -> Any:
        return 0.0

    def single(self) -> bool:
        return False

    def _contains(self, param_value_in_internal_repr: float) -> bool:
        return True


def test_a_distribution_of_an_unknown_kind() -> None:
    with pytest.raises(NotImplementedError, match="not supported"):
        SearchSpace({"p": _Unknown()})
