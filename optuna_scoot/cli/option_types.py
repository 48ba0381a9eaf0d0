"""Kinds of options: what their words may be, and what they become."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import click
import yaml

from objectives.engines.command import EngineArgumentError
from objectives.engines.command import parse_engine_arguments
from objectives.spaces import SpaceError
from objectives.spaces import parse_change
from optuna_scoot.tuning.defaults import LEAST_ORDERS


class Option(click.Option):
    """An option that refuses an empty word, as a variable of a script that is not set leaves."""

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Return the value as the command takes it."""
        if "" in (value if isinstance(value, tuple | list) else (value,)):
            raise click.BadParameter("nothing is given", ctx=ctx, param=self)
        return super().process_value(ctx, value)


option = functools.partial(click.option, cls=Option)


def none_or_enough(_: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    """Return a number of arrival orders, 0 for none, or None."""
    if value is not None and 0 < value < LEAST_ORDERS:
        raise click.BadParameter(f"0, or at least {LEAST_ORDERS}", param=parameter)
    return value


def positive(_: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Return a finite number above zero, or None."""
    if value is not None and not (0 < value < math.inf):
        raise click.BadParameter(f"{value:g} is not a positive number", param=parameter)
    return value


def above_zero(_: click.Context, parameter: click.Parameter, value: float) -> float:
    """Return a number above zero, which may be infinite."""
    if not value > 0:
        raise click.BadParameter(f"{value:g} is not above zero", param=parameter)
    return value


def engine_arguments(
    _: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any]:
    """Return several ``name=value`` as one mapping."""
    try:
        return parse_engine_arguments(values)
    except EngineArgumentError as error:
        raise click.BadParameter(str(error), param=parameter) from None


def parameters(
    _: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Return parameters with the values that are wanted, as given, once they can be read."""
    try:
        names = [parse_change(value)[0] for value in values]
    except SpaceError as error:
        raise click.BadParameter(str(error), param=parameter) from None
    if twice := {name for name in names if names.count(name) > 1}:
        raise click.BadParameter(f"{min(twice)} is given twice", param=parameter)
    return values


def configurations(
    _: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[dict[str, Any], ...]:
    """Return configurations, each given as ``name=value,name=value`` with YAML's scalars."""
    return tuple(_configuration(value, parameter) for value in values)


def _configuration(text: str, parameter: click.Parameter) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for part in text.split(","):
        name, separator, value = part.partition("=")
        shown = name.split(maxsplit=1)[0] if name.strip() else name  # what follows may be secret
        if not separator or not name.strip():
            raise click.BadParameter(
                f"{shown!r} is not name=value; several are separated by commas", param=parameter
            )
        try:
            params[name.strip().replace("-", "_")] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise click.BadParameter(f"{shown!r} has no plain value", param=parameter) from None
    return params


def baseline_flags(
    _: click.Context, parameter: click.Parameter, value: str | None
) -> dict[str, Any] | Path | None:
    """Return a baseline: a YAML file, or ``name=value,name=value``."""
    if value is None:
        return None
    if "=" not in value or Path(value).suffix in (".yaml", ".yml"):
        return Path(value)
    return _configuration(value, parameter)
