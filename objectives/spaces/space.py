"""What an objective tunes: parameters, known constraints and the default configuration."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from objectives.lengths import LengthError
from objectives.lengths import parse_tokens
from objectives.parameter_values import values_of


if TYPE_CHECKING:
    import optuna


class SpaceError(ValueError):
    """A space cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Parameter:
    """A parameter that may be added to a space.

    Attributes:
        distribution: Its values, the default among them.
        default: The engine's own value.
        why: Why it has these values, in a few words.
    """

    distribution: BaseDistribution
    default: Any
    why: str


@dataclass(frozen=True)
class EngineSpace:
    """What an objective tunes.

    Attributes:
        parameters: Name to distribution; the names are those of the engine's options with
            underscores.
        known_constraints: Expressions over the names that hold for every configuration that the
            engine does not refuse at once, as in ``"max_num_seqs <= max_num_batched_tokens"``.
        default: The configuration that the engine has when nothing is set: a value for every
            parameter, within its distribution.
        why: Why a parameter has these values, in a few words, as far as there is something to say.
        offered: What else may be tuned and does not change the answers; not tuned unless added.

    Raises:
        SpaceError: When there is nothing to tune, or the default does not belong to the space.
    """

    parameters: dict[str, BaseDistribution]
    known_constraints: tuple[str, ...] = ()
    default: dict[str, Any] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict, compare=False)
    offered: Mapping[str, Parameter] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not self.parameters:
            raise SpaceError("there is nothing to tune: the space has no parameter")
        if set(self.default) != set(self.parameters):
            raise SpaceError("the default configuration needs a value for every parameter")
        for name, value in self.default.items():
            if not holds(self.parameters[name], value):
                values = values_of(self.parameters[name])
                raise SpaceError(f"the default {name}={value!r} is not {values}")

    def fix(self, values: Mapping[str, Any]) -> EngineSpace:
        """Return the space in which some parameters have one value and are not tuned.

        Args:
            values: Parameters and their values, also ones that the space does not have. In the
                known constraints the names are replaced by the values.
        """
        kept = {n: d for n, d in self.parameters.items() if n not in values}
        constraints = (_substituted(c, values) for c in self.known_constraints)
        return EngineSpace(
            kept,
            tuple(c for c in constraints if any(_names(c, name) for name in kept)),
            {n: v for n, v in self.default.items() if n in kept},
            {n: why for n, why in self.why.items() if n in kept},
            {n: parameter for n, parameter in self.offered.items() if n not in values},
        )

    def starting_from(self, values: Mapping[str, Any]) -> EngineSpace:
        """Return the space whose default configuration has other values.

        Ranges are widened to hold them: what a service runs with now can be tried.

        Args:
            values: Of some of the parameters.

        Raises:
            SpaceError: A parameter is not tuned, or its value is of another kind.
        """
        if unknown := sorted(values.keys() - self.parameters.keys()):
            raise SpaceError(
                f"{', '.join(unknown)}: not tuned here; tuned are {', '.join(self.parameters)}"
            )
        parameters = {
            name: widened(name, distribution, values[name]) if name in values else distribution
            for name, distribution in self.parameters.items()
        }
        wider = [name for name in values if parameters[name] != self.parameters[name]]
        why = {n: f"{self.why.get(n, '')}; widened to hold {values[n]}" for n in wider}
        return replace(
            self,
            parameters=parameters,
            default={**self.default, **values},
            why={**self.why, **{n: text.removeprefix("; ") for n, text in why.items()}},
        )

    def with_parameter(self, name: str, parameter: Parameter) -> EngineSpace:
        """Return the space in which one more parameter is tuned, or one with other values."""
        return replace(
            self,
            parameters={**self.parameters, name: parameter.distribution},
            default={**self.default, name: parameter.default},
            why={**self.why, name: parameter.why},
            offered={n: p for n, p in self.offered.items() if n != name},
        )

    def with_constraints(self, constraints: tuple[str, ...]) -> EngineSpace:
        """Return the space with further known constraints."""
        return replace(self, known_constraints=(*self.known_constraints, *constraints))


def suggest(trial: optuna.trial.BaseTrial, space: EngineSpace) -> dict[str, Any]:
    """Draw a value for every parameter of the space, in its order.

    Returns:
        Names and values for ``Engine.start``.
    """
    return {name: _suggest_one(trial, name, d) for name, d in space.parameters.items()}


def _suggest_one(trial: optuna.trial.BaseTrial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, step=step, log=log)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
    raise SpaceError(f"parameter {name!r} has a distribution that cannot be drawn: {distribution}")


def holds(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a value belongs to a distribution."""
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (TypeError, ValueError):
        return False


def widened(name: str, distribution: BaseDistribution, value: Any) -> BaseDistribution:
    """Return a distribution that holds a value as well.

    Raises:
        SpaceError: The value is of another kind than the parameter's.
    """
    if holds(distribution, value):
        return distribution
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match distribution:
        case IntDistribution(low=low, high=high, log=log, step=step) if (
            is_number and value == int(value) and (value > 0 or not log)
        ):
            value = int(value)
            # Off the grid the step becomes one that both are multiples of.
            step = 1 if log else math.gcd(step, abs(value - low))
            return IntDistribution(min(low, value), max(high, value), log=log, step=step)
        case FloatDistribution(low=low, high=high, log=log) if is_number and (
            value > 0 or not log
        ):
            return FloatDistribution(min(low, float(value)), max(high, float(value)), log=log)
        case CategoricalDistribution(choices=choices) if {type(c) for c in choices} == {
            type(value)
        }:
            return CategoricalDistribution([*choices, value])
    raise SpaceError(
        f"{name}={value!r} is not a value like those of {name}, which are"
        f" {values_of(distribution)}"
    )


def _substituted(constraint: str, values: Mapping[str, Any]) -> str:
    """Return an expression with names replaced by values; text is read as a Python literal."""
    for name, value in values.items():
        if _names(constraint, name):
            literal = _literal(value)
            if literal is None:
                return ""  # not a number: nothing is known here, and the engine will decide
            constraint = re.sub(rf"\b{name}\b", repr(literal), constraint)
    return constraint


def _literal(value: Any) -> bool | int | float | None:
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return _tokens(value)
    return value if isinstance(value, (bool, int, float)) else None


def _tokens(text: str) -> int | None:
    """Return a number of tokens as vLLM reads it, as in ``8k``; None when it is not one."""
    try:
        return parse_tokens(text)
    except LengthError:
        return None


def _names(constraint: str, name: str) -> bool:
    """Return whether an expression names a parameter."""
    return re.search(rf"\b{name}\b", constraint) is not None
