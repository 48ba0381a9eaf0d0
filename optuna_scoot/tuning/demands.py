"""What the user demands of the search: constraints, and configurations to try first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from objectives.parameter_values import values_of
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.constraints.known import ConstraintError
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.tuning.errors import InputError


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from objectives.spaces import EngineSpace


def constrained(space: EngineSpace, constraints: Sequence[str]) -> EngineSpace:
    """Return the space with further known constraints, which are checked first.

    Raises:
        InputError: A constraint is malformed, names an unknown parameter, or leaves nothing.
    """
    if not constraints:
        return space
    try:
        KnownConstraints(constraints, names=space.parameters).check_names(space.parameters)
        together = (*space.known_constraints, *constraints)
        # One valid point is enough to know that the constraints leave something to suggest.
        Domain(SearchSpace(dict(space.parameters)), KnownConstraints(together)).sobol(1, seed=0)
    except ConstraintError as error:
        raise InputError(f"`constraints`: {error}") from None
    return replace(space, known_constraints=together)


def check_configurations(configurations: Sequence[Mapping[str, Any]], space: EngineSpace) -> None:
    """Refuse configurations to try that do not belong to the space.

    Args:
        configurations: What each sets; the rest is as in the default configuration.
        space: What is tuned.

    Raises:
        InputError: One names an unknown parameter or value, or violates a known constraint.
    """
    known = KnownConstraints(space.known_constraints, names=space.parameters)
    for configuration in configurations:
        for name, value in configuration.items():
            _check_value(name, value, space)
        violated = known.violated({**space.default, **configuration})
        if violated:
            raise InputError(f"`enqueue`: it violates {'; '.join(violated)}")


def _check_value(name: str, value: object, space: EngineSpace) -> None:
    if name not in space.parameters:
        raise InputError(
            f"`enqueue`: {name!r} is not tuned here; tuned are {', '.join(space.parameters)}"
        )
    distribution = space.parameters[name]
    try:
        inside = distribution._contains(distribution.to_internal_repr(value))
    except (TypeError, ValueError):
        inside = False
    if not inside:
        raise InputError(f"`enqueue`: {name}={value} is not {values_of(distribution)}")
