"""A space from what an engine has, what it is asked for, and what a user wants of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from optuna.distributions import BaseDistribution

from objectives.engines.command import option
from objectives.engines.command import spelt
from objectives.spaces.changes import HOW
from objectives.spaces.changes import change
from objectives.spaces.changes import unknown_parameter
from objectives.spaces.changes import wanted_parameter
from objectives.spaces.space import EngineSpace
from objectives.spaces.space import Parameter
from objectives.spaces.space import SpaceError


if TYPE_CHECKING:
    from objectives.engines.capabilities import EngineCapabilities


GPUS_WHY = "powers of two that divide the model's heads, intermediate size and vocabulary"


def check_known(
    kind: str,
    capabilities: EngineCapabilities,
    params: Mapping[str, Any],
    fixed: Mapping[str, Any],
) -> None:
    """Refuse parameters that an engine does not have, or that are fixed at once.

    Args:
        kind: What the engine is called.
        capabilities: What it has.
        params: That a user wants tuned.
        fixed: That a user holds.

    Raises:
        SpaceError: There is one.
    """
    version = f" {capabilities.version}" if capabilities.version else ""
    for name in params:
        if name in fixed:
            raise SpaceError(f"{option(name)} is tuned and fixed at once: drop one of them")
        if capabilities.flags and not capabilities.accepts(name):
            given = spelt(name, capabilities.flags)
            raise unknown_parameter(f"{kind}{version}", given, capabilities.flags)


def assemble(
    kind: str,
    capabilities: EngineCapabilities,
    tuned: Mapping[str, Parameter],
    offered: Mapping[str, Parameter],
    *,
    fixed: Mapping[str, Any] | None = None,
    params: Mapping[str, BaseDistribution | None] | None = None,
) -> EngineSpace:
    """Return the space of an engine that is asked for its options alone.

    Args:
        kind: What the engine is called.
        capabilities: What it has; of no options where nobody knows them.
        tuned: What is tuned where the engine has it.
        offered: What else may be.
        fixed: The user's own arguments for the engine; what they set is not tuned.
        params: Parameters that the user wants tuned, with their values; None: with those that
            are offered.

    Raises:
        SpaceError: When nothing is left to tune, or the engine has no such parameter.
    """
    fixed, params = fixed or {}, params or {}
    check_known(kind, capabilities, params, fixed)
    for name in fixed:
        if capabilities.flags and not capabilities.accepts(name.partition(".")[0]):
            raise unknown_parameter(kind, option(name), capabilities.flags)
    has = {n: p for n, p in tuned.items() if capabilities.accepts(n)}
    more = {n: p for n, p in offered.items() if capabilities.accepts(n)}
    if not has:
        return _of_the_user(kind, params, capabilities.defaults).fix(fixed)
    space = EngineSpace(
        {name: parameter.distribution for name, parameter in has.items()},
        (),
        {name: parameter.default for name, parameter in has.items()},
        {name: parameter.why for name, parameter in has.items()},
        more,
    )
    return change(space, params, capabilities.defaults).fix(fixed)


def _of_the_user(
    kind: str, params: Mapping[str, BaseDistribution | None], defaults: Mapping[str, Any]
) -> EngineSpace:
    """Return the space of what a user names, of an engine of which nothing is known."""
    if not params:
        raise SpaceError(
            f"nothing is known of the options of this {kind}: name what is tuned with `params`"
            f" ({HOW}), and what it is without, which is measured first, with `baseline`"
        )
    made = {name: wanted_parameter(name, d, defaults.get(name)) for name, d in params.items()}
    return EngineSpace(
        {name: parameter.distribution for name, (parameter, _) in made.items()},
        tuple(constraint for _, constraints in made.values() for constraint in constraints),
        {name: parameter.default for name, (parameter, _) in made.items()},
        {name: parameter.why for name, (parameter, _) in made.items()},
    )
