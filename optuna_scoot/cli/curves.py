"""Latency against request rate as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from optuna_scoot.tuning.formats import format_value


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence
    from typing import Any

    from objectives.goals import Limit
    from optuna_scoot.tuning.curves import Curve


def curve_table(curve: Curve, limits: Sequence[Limit]) -> Table:
    """Return the loads of a trial by their rate.

    Args:
        curve: The loads.
        limits: What they had to keep; each limited metric is a column.
    """
    metrics = list(dict.fromkeys(limit.metric for limit in limits))
    title = Text(f"{curve.name}: {describe_capacity(curve)}", "table.title")
    table = Table(title=title, title_justify="left")
    for heading in ("requests/s", "requests", "failed", "within limits"):
        table.add_column(heading, justify="right")
    for metric in metrics:
        table.add_column(metric.label, justify="right")
    table.add_column("")
    for point in curve.points:
        values = [point.get(metric.flat) for metric in metrics]
        cells = [
            format_value(point["rate"]),
            str(point["requests"]),
            str(point["failed"]),
            f"{100 * point['share_within_limits']:.1f} %",
            *("-" if value is None else format_value(value) for value in values),
            _outcome(point),
        ]
        table.add_row(*map(Text, cells))
    return table


def _outcome(point: Mapping[str, Any]) -> str:
    """Return whether a load was kept, and why it could not be where nothing was measured."""
    if "why" in point:
        return f"missed ({point['why']})"
    return "kept" if point["kept"] else "missed"


def describe_capacity(curve: Curve) -> str:
    """Return the two rates between which the capacity lies."""
    missed = None if curve.missed_at is None else f"{format_value(curve.missed_at)} requests/s"
    if curve.rate == 0.0:
        return f"keeps the limits at no rate that was tried, not even at {missed}"
    kept = f"keeps the limits at {format_value(curve.rate)} requests/s"
    return (
        f"{kept}, and no higher rate was tried" if missed is None else f"{kept}, not at {missed}"
    )
