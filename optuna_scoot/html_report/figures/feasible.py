"""Where configurations run, over the two parameters that tell most of it."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.html_report.figures.base import ACCENT
from optuna_scoot.html_report.figures.base import BAD
from optuna_scoot.html_report.figures.base import GOOD
from optuna_scoot.html_report.figures.base import INK
from optuna_scoot.html_report.figures.base import MUTED
from optuna_scoot.html_report.figures.base import Figure
from optuna_scoot.html_report.figures.base import make_layout
from optuna_scoot.html_report.figures.base import short
from optuna_scoot.html_report.figures.base import value_axis


if TYPE_CHECKING:
    from optuna_scoot.html_report.contents import Contents
    from optuna_scoot.html_report.feasibility import Axis
    from optuna_scoot.html_report.feasibility import Tried


def feasibility_figure(contents: Contents) -> Figure | None:
    """Return the probability that a configuration runs, over the two most telling parameters."""
    found = contents.feasibility
    if found is None:
        return None
    label = f"Probability that a configuration runs over {found.x.name}"
    if found.y is None:
        return _feasibility_line(contents, label)
    z = [[None if math.isnan(p) else round(float(p), 3) for p in row] for row in found.pof]
    data: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            "x": _positions(found.x),
            "y": _positions(found.y),
            "z": z,
            "zmin": 0.0,
            "zmax": 1.0,
            "colorscale": [
                [0.0, "role:heat-low"],
                [0.5, "role:heat-mid"],
                [1.0, "role:heat-high"],
            ],
            "colorbar": {
                "tickformat": ".0%",
                "thickness": 10,
                "outlinewidth": 0,
                "title": {"text": "runs", "side": "top", "font": {"color": MUTED, "size": 12}},
                "tickfont": {"color": MUTED},
                "len": 0.9,
            },
            "hovertemplate": "runs with %{z:.0%}<extra></extra>",
            "hoverongaps": False,
        }
    ]
    for ran, name, colour, symbol in (
        (True, "ran", INK, "circle-open"),
        (False, "crashed", BAD, "x"),
    ):
        chosen = [one for one in found.tried if one.ran is ran]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [_place(found.x, one.x, one) for one in chosen],
                "y": [_place(found.y, one.y, one) for one in chosen],
                "marker": {
                    "color": colour,
                    "symbol": symbol,
                    "size": 9,
                    "line": {"width": 1.6, "color": colour},
                },
                "text": [_tried(one, found.x, found.y) for one in chosen],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    layout = make_layout(430, xaxis=_parameter_axis(found.x), yaxis=_parameter_axis(found.y))
    return Figure("feasibility", f"{label} and {found.y.name}", data, layout)


def _feasibility_line(contents: Contents, label: str) -> Figure:
    found = contents.feasibility
    assert found is not None
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "probability that it runs",
            "x": _positions(found.x),
            "y": [None if math.isnan(p) else float(p) for p in found.pof[0]],
            "line": {"color": ACCENT, "width": 2},
            "hovertemplate": "%{x}: %{y:.0%}<extra></extra>",
        }
    ]
    for ran, name, colour, symbol in ((True, "ran", GOOD, "circle"), (False, "crashed", BAD, "x")):
        chosen = [one for one in found.tried if one.ran is ran]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [_place(found.x, one.x, one) for one in chosen],
                "y": [1.0 if ran else 0.0] * len(chosen),
                "marker": {"color": colour, "symbol": symbol, "size": 9},
                "text": [_tried(one, found.x, None) for one in chosen],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    axis = value_axis("it runs", tickformat=".0%", range=[-0.08, 1.08])
    return Figure(
        "feasibility", label, data, make_layout(330, xaxis=_parameter_axis(found.x), yaxis=axis)
    )


def _positions(axis: Axis) -> list[Any]:
    """Return where an axis has its values: listed ones side by side."""
    return list(range(len(axis.values))) if axis.is_listed else list(axis.values)


def _place(axis: Axis, value: Any, one: Tried) -> Any:
    """Return where a trial lies; those of one listed value beside each other."""
    if not axis.is_listed:
        return value
    # Steps of the golden ratio spread over a cell whatever the numbers are.
    return axis.values.index(value) + 0.56 * ((one.number * 0.618034) % 1.0 - 0.5)


def _tried(one: Tried, x: Axis, y: Axis | None) -> str:
    told = [f"{x.name} {one.x}", *([] if y is None else [f"{y.name} {one.y}"])]
    lines = [f"<b>trial {one.number}</b>", "ran" if one.ran else "crashed", *map(escape, told)]
    return "<br>".join(lines)


def _parameter_axis(axis: Axis) -> dict[str, Any]:
    values = axis.values if axis.is_log else ()
    told = value_axis(axis.name.replace("_", "-"), values, zeroline=False)
    if axis.is_listed:
        told["tickvals"] = list(range(len(axis.values)))
        told["ticktext"] = [short(_level(value), 20) for value in axis.values]
    elif axis.is_log:
        told["type"] = "log"
    elif isinstance(axis.values[0], int):
        told["tickformat"] = ",d"
    return told


def _level(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
