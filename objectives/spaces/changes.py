"""A user's own ranges: ``max-num-seqs=16..64``, ``block-size=16,32``, ``performance-mode``."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

import yaml
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from objectives.engines.command import option
from objectives.parameter_values import values_of
from objectives.spaces.space import EngineSpace
from objectives.spaces.space import Parameter
from objectives.spaces.space import SpaceError
from objectives.spaces.space import holds
from objectives.spaces.space import widened


HOW = "write NAME=LOW..HIGH, NAME=LOW..HIGH:log, NAME=LOW..HIGH:STEP, or NAME=a,b,c"
GIVEN = "as given"
OWN = "the engine's own, which is measured first"


def parse_change(text: str) -> tuple[str, BaseDistribution | None]:
    """Read a parameter with its values.

    Args:
        text: ``NAME=LOW..HIGH``, which whole numbers make a range of whole numbers, with ``:log``
            or ``:STEP`` behind it; ``NAME=a,b,c``; or ``NAME`` alone for the values that are
            offered.

    Returns:
        The name as a Python identifier, and the values; None for a name alone.

    Raises:
        SpaceError: It is none of these.
    """
    given, separator, values = text.partition("=")
    name = given.strip().removeprefix("--").replace("-", "_")
    if not name.isidentifier():
        raise SpaceError(f"{given.strip()!r} is not the name of a parameter: {HOW}")
    if not separator:
        return name, None
    try:
        return name, _range(values) if ".." in values else _choices(values)
    except ValueError as error:
        raise SpaceError(f"{given.strip()}: {error}") from None


def _range(text: str) -> BaseDistribution:
    low_text, _, rest = text.partition("..")
    high_text, _, kind = rest.partition(":")
    low, high = _number(low_text), _number(high_text)
    step = None if kind.strip() in ("", "log") else _number(kind)
    log = kind.strip() == "log"
    if not low < high:
        raise ValueError(f"{text}: the low end is not below the high end")
    if log and low <= 0:
        raise ValueError(f"{text}: a logarithmic range begins above zero")
    if step is not None and not 0 < step <= high - low:
        raise ValueError(f"{text}: a step lies above zero and within the range")
    numbers = [low, high] if step is None else [low, high, step]
    if all(isinstance(number, int) for number in numbers):
        span = int(high) - int(low)
        if step is not None and span % int(step):
            raise ValueError(f"{text}: {high} is no multiple of {step} from {low}")
        return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
    if step is not None and not math.isclose(round((high - low) / step), (high - low) / step):
        raise ValueError(f"{text}: {high} is no multiple of {step} from {low}")
    return FloatDistribution(float(low), float(high), log=log, step=step)


def _number(text: str) -> int | float:
    for kind in (int, float):
        try:
            number = kind(text.strip())
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    raise ValueError(f"{text.strip()!r} is not a number: {HOW}")


def _choices(text: str) -> BaseDistribution:
    words = [word.strip() for word in text.split(",")]
    if "" in words:
        raise ValueError(f"a value is missing: {HOW}")
    try:
        choices = [yaml.safe_load(word) for word in words]
    except yaml.YAMLError:
        raise ValueError(f"{text} has no plain values: {HOW}") from None
    choices = [
        c if isinstance(c, bool | int | float) else w for c, w in zip(choices, words, strict=True)
    ]
    if len(choices) < 2:
        raise ValueError(f"one value leaves nothing to tune: --fix holds it, else {HOW}")
    if len(set(map(repr, choices))) < len(choices):
        raise ValueError(f"{text} has a value twice")
    return CategoricalDistribution(choices)


def change(
    space: EngineSpace,
    params: Mapping[str, BaseDistribution | None],
    defaults: Mapping[str, Any],
) -> EngineSpace:
    """Return a space with the ranges that a user wants.

    A range that leaves out the engine's own value is widened to hold it, as that is measured
    first and compared with; a known constraint keeps suggestions to the wanted values and it.

    Args:
        space: Of the engine.
        params: Names and wanted values; None: those that are offered.
        defaults: The engine's own values, of parameters that the space does not have too.

    Raises:
        SpaceError: Nobody knows the values, or the engine's own; or they are of another kind.
    """
    for name, wanted in params.items():
        space = _changed(space, name, wanted, defaults)
    return space


def _changed(
    space: EngineSpace,
    name: str,
    wanted: BaseDistribution | None,
    defaults: Mapping[str, Any],
) -> EngineSpace:
    offered = space.offered.get(name)
    if wanted is None and name in space.parameters:
        return space
    if wanted is None and offered is not None:
        return space.with_parameter(name, offered)
    known = {**defaults, **({} if offered is None else {name: offered.default}), **space.default}
    parameter, constraints = wanted_parameter(name, wanted, known.get(name), name in known)
    return space.with_parameter(name, parameter).with_constraints(constraints)


def wanted_parameter(
    name: str, wanted: BaseDistribution | None, default: Any, is_known: bool = False
) -> tuple[Parameter, tuple[str, ...]]:
    """Return a parameter with a user's values, and the known constraints that keep it to them.

    Args:
        name: Of the parameter.
        wanted: The user's values; None: none are given.
        default: The engine's own value; None: not known, or left to the engine.
        is_known: Whether None is a value of its own.

    Raises:
        SpaceError: Nobody knows the values, or the engine's own; or they are of another kind.
    """
    if wanted is None:
        raise SpaceError(f"{option(name)}: no range is known for it: {HOW}")
    if isinstance(wanted, CategoricalDistribution) and is_known and default is None:
        with_own = CategoricalDistribution([None, *wanted.choices])
        return Parameter(with_own, None, f"{GIVEN}; None is {OWN}"), ()
    if default is None:
        raise SpaceError(
            f"{option(name)}: nobody knows what the engine has by itself, which is measured first:"
            f" give it with `baseline`, as in {name}=VALUE"
        )
    wanted = _of_kind(name, wanted, default)
    if holds(wanted, default):
        return Parameter(wanted, default, GIVEN), ()
    wide = widened(name, wanted, default)
    why = f"{GIVEN}, and {default}, {OWN}"
    return Parameter(wide, default, why), _within(name, wanted, wide, default)


def _of_kind(name: str, wanted: BaseDistribution, default: Any) -> BaseDistribution:
    """Return a distribution of the kind of the engine's own value.

    Raises:
        SpaceError: There is none.
    """
    whole = isinstance(default, int) and not isinstance(default, bool)
    match wanted:
        case IntDistribution(low=low, high=high, log=log, step=step) if isinstance(default, float):
            return FloatDistribution(low, high, log=log, step=None if step == 1 else step)
        case IntDistribution() if whole:
            return wanted
        case FloatDistribution() if isinstance(default, float):
            return wanted
        case CategoricalDistribution(choices=choices) if isinstance(default, str):
            return CategoricalDistribution([str(c) for c in choices])
        case CategoricalDistribution(choices=choices) if isinstance(default, float):
            numbers = [float(c) for c in choices if isinstance(c, int | float)]
            if len(numbers) == len(choices) and True not in map(_is_bool, choices):
                return CategoricalDistribution(numbers)
        case CategoricalDistribution(choices=choices):
            if {type(c) for c in choices} == {type(default)}:
                return wanted
    raise SpaceError(
        f"{option(name)} is {default} in the engine by itself, so that its values are not"
        f" {values_of(wanted)}"
    )


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _within(
    name: str, wanted: BaseDistribution, wide: BaseDistribution, default: Any
) -> tuple[str, ...]:
    """Return the known constraints of a widened parameter: the wanted values, or the default."""
    match wanted:
        case IntDistribution(low=low, high=high, step=step) if step != getattr(wide, "step", 1):
            inside = f"{low} <= {name} <= {high} and ({name} - {low}) % {step} == 0"
        case IntDistribution(low=low, high=high) | FloatDistribution(low=low, high=high):
            inside = f"{low} <= {name} <= {high}"
        case _:
            return ()  # one choice more
    return (f"{inside} or {name} == {default!r}",)


def unknown_parameter(engine: str, given: str, known: Collection[str]) -> SpaceError:
    """Return the error of a parameter that an engine does not have, with the nearest name.

    Args:
        engine: With its version.
        given: As an option, ``--max-num-seq``.
        known: The engine's options.
    """
    nearest = difflib.get_close_matches(given, sorted(known), n=1)
    meant = f"; did you mean {nearest[0]}?" if nearest else ""
    return SpaceError(
        f"{engine} has no {given}{meant or ': `optuna-scoot space` shows what it has'}"
    )
