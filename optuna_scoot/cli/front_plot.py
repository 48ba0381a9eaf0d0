"""The trials of two objectives as a small picture of characters that every terminal has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from optuna_scoot.tuning.formats import format_value


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna_scoot.tuning.result import TuningResult


COLUMNS = 52
ROWS = 10
LEAST_TRIALS = 4
"""Fewer are read more easily in the table."""
WIDE = 10.0
"""From this ratio of the largest to the smallest value on, an axis is logarithmic."""
MARKS = {"default": "D", "best": "B", "front": "o", "other": "."}


def front_plot(result: TuningResult) -> list[str]:
    """Return the picture in lines; none where there is nothing to see.

    Args:
        result: Of a study with two objectives, each on an axis; of others nothing is drawn.
    """
    done = result.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    finite = [t for t in done if all(map(math.isfinite, t.values))]
    if len(result.metrics) != 2 or len(finite) < LEAST_TRIALS:
        return []
    front = {t.number for t in result.front}
    # What is drawn last is on top where two share a place.
    kinds = [(t, "front" if t.number in front else "other") for t in finite]
    kinds.sort(key=lambda pair: pair[1] == "front")
    kinds += [(t, "best") for t in (result.best,) if t is not None]
    kinds += [(t, "default") for t in (result.default,) if t in finite]
    points = [(*t.values, MARKS[kind]) for t, kind in kinds if t is not None]
    shown = {kind for _, kind in kinds}
    legend = ", ".join(f"{mark} {kind}" for kind, mark in MARKS.items() if kind in shown)
    x_name, y_name = (metric.name for metric in result.metrics)
    return draw(points, x_name, y_name, legend)


def draw(
    points: Sequence[tuple[float, float, str]], x_name: str, y_name: str, legend: str
) -> list[str]:
    """Return points in a frame, in lines of less than 80 characters.

    Args:
        points: Across, up, and the character that stands there; later ones hide earlier ones.
        x_name: What goes across.
        y_name: What goes up.
        legend: What the characters mean.
    """
    xs, ys = ([float(p[axis]) for p in points] for axis in (0, 1))
    grid = [[" "] * COLUMNS for _ in range(ROWS)]
    for (_, _, mark), column, row in zip(
        points, _places(xs, COLUMNS), _places(ys, ROWS), strict=True
    ):
        grid[ROWS - 1 - row][column] = mark
    low, high = format_value(min(ys)), format_value(max(ys))
    margin = max(len(low), len(high))
    labels = [high, *[""] * (ROWS - 2), low]
    left, right = format_value(min(xs)), format_value(max(xs))
    gap = " " * max(1, COLUMNS - len(left) - len(right))
    pad = " " * (margin + 2)
    rows = zip(labels, map("".join, grid), strict=True)
    return [
        f"{y_name}{_scale(ys)}",
        *(f"{label:>{margin}} |{row}".rstrip() for label, row in rows),
        f"{' ' * margin} +{'-' * COLUMNS}",
        f"{pad}{left}{gap}{right}",
        f"{pad}{x_name}{_scale(xs)}",
        f"{pad}{legend}",
    ]


def _is_wide(values: Sequence[float]) -> bool:
    return min(values) > 0.0 and max(values) >= WIDE * min(values)


def _scale(values: Sequence[float]) -> str:
    return ", logarithmic" if _is_wide(values) else ""


def _places(values: Sequence[float], n: int) -> list[int]:
    """Return the cell of each value among ``n`` from the smallest to the largest value."""
    on_axis = [math.log(v) for v in values] if _is_wide(values) else list(values)
    low, high = min(on_axis), max(on_axis)
    if high == low:
        return [n // 2] * len(values)
    return [round((v - low) / (high - low) * (n - 1)) for v in on_axis]
