"""How values, changes and parameters are written for a person, on every surface alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna_scoot.tuning.report import limits_of


if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from optuna.trial import FrozenTrial


def describe_missed(trial: FrozenTrial) -> str:
    """Return which limits a trial misses and by how much; empty where it keeps all."""
    missed = {name: excess for name, excess in limits_of(trial).items() if excess > 0.0}
    return ", ".join(f"{name} by {100 * excess:.3g} %" for name, excess in missed.items())


def format_value(value: float) -> str:
    """Return four significant digits at most, thousands set apart: 12,345, 123.4, 0.01234."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def format_change(change: float | None) -> str:
    """Return a relative change in per cent with its sign; a dash where it has no meaning."""
    return "-" if change is None else f"{100 * change:+.1f} %"


def changed_params(trial: FrozenTrial, default: FrozenTrial | None) -> Mapping[str, Any]:
    """Return the parameters of a trial that differ from the default configuration's."""
    base = {} if default is None else default.params
    return {k: v for k, v in trial.params.items() if k not in base or base[k] != v}


def format_params(params: Mapping[str, Any]) -> str:
    """Return parameters as engine flags are spelt: "max-num-seqs 64, block-size 16"."""
    return ", ".join(f"{k.replace('_', '-')} {format_param(v)}" for k, v in params.items())


def format_param(value: object) -> str:
    """Return a parameter's value as a person would type it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
