"""What was measured more closely: the verdict's intervals, and latency over the request rate."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.html_report.figures.base import ACCENT
from optuna_scoot.html_report.figures.base import BAD
from optuna_scoot.html_report.figures.base import DEFAULT
from optuna_scoot.html_report.figures.base import Figure
from optuna_scoot.html_report.figures.base import across
from optuna_scoot.html_report.figures.base import make_layout
from optuna_scoot.html_report.figures.base import short
from optuna_scoot.html_report.figures.base import value_axis


if TYPE_CHECKING:
    from optuna_scoot.html_report.contents import Contents


def verdict_figure(contents: Contents) -> Figure | None:
    """Return each finalist's change over the default with its interval."""
    judged = contents.judged
    if judged is None or judged.baseline is None:
        return None
    data = []
    colours = (ACCENT, "role:part-3", "role:part-2", "role:part-4")
    for j, metric in enumerate(judged.metrics):
        told = [(one, one.change(judged.baseline, j)) for one in judged.configurations[1:]]
        found = [(i, change) for i, (_, change) in enumerate(told) if change is not None]
        if not found:
            continue
        shift = 0.22 * (j - 0.5 * (len(judged.metrics) - 1))  # intervals must not hide others
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": short(metric.name),
                "x": [change.mean for _, change in found],
                "y": [i + shift for i, _ in found],
                "text": [short(told[i][0].name, 28) for i, _ in found],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [change.high - change.mean for _, change in found],
                    "arrayminus": [change.mean - change.low for _, change in found],
                    "color": colours[j % len(colours)],
                    "thickness": 2,
                    "width": 5,
                },
                "marker": {"size": 10, "color": colours[j % len(colours)], "symbol": j},
                "hovertemplate": "%{text}: %{x:+.1%}<extra>" + short(metric.name) + "</extra>",
            }
        )
    if not data:
        return None
    names = [short(one.name, 28) for one in judged.configurations[1:]]
    layout = make_layout(
        120 + 58 * len(names),
        xaxis=value_axis("change over the default, with its 95 % interval", tickformat="+.0%"),
        yaxis={
            "range": [len(names) - 0.5, -0.5],
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "zeroline": False,
        },
        shapes=[across(x=0.0, colour=DEFAULT)],
    )
    return Figure("verdict", judged.sentence, data, layout)


def capacity_figure(contents: Contents) -> Figure | None:
    """Return a panel for each limited metric, over the request rate."""
    metrics = list(dict.fromkeys(limit.metric for limit in contents.limits))
    if not contents.curves or not metrics:
        return None
    data: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    layout = make_layout(140 + 240 * len(metrics))
    gap, share = 0.09, 1.0 / len(metrics)
    for row, metric in enumerate(metrics):
        name = "" if row == 0 else str(row + 1)
        top = 1.0 - row * share
        layout[f"yaxis{name}"] = {
            **value_axis(metric.label, _measured_values(contents, metric.flat), type="log"),
            "domain": [top - share + (gap if row < len(metrics) - 1 else 0.0), top],
        }
        for curve, colour in zip(contents.curves, (DEFAULT, ACCENT), strict=False):
            points = [point for point in curve.points if metric.flat in point]
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": short(curve.name),
                    "legendgroup": curve.name,
                    "showlegend": row == 0,
                    "x": [point["rate"] for point in points],
                    "y": [point[metric.flat] for point in points],
                    "line": {"color": colour, "width": 1.5},
                    "marker": {
                        "size": 9,
                        "color": colour,
                        "symbol": ["circle" if p["kept"] else "x-thin-open" for p in points],
                        "line": {"width": 2, "color": colour},
                    },
                    "yaxis": f"y{name}",
                    "hovertemplate": "%{x:.4~g} requests/s: %{y:.4~g}<extra></extra>",
                }
            )
        bounds = [limit.bound for limit in contents.limits if limit.metric == metric]
        shapes += [across(y=bound, colour=BAD, dash="dot", yref=f"y{name}") for bound in bounds]
    kept = zip(contents.curves, (DEFAULT, ACCENT), strict=False)
    shapes += [across(x=c.rate, colour=col, dash="dash") for c, col in kept if c.rate > 0]
    layout["xaxis"] = value_axis(
        "requests/s", anchor=f"y{len(metrics) if len(metrics) > 1 else ''}"
    )
    layout["shapes"] = shapes
    what = " and ".join(metric.label for metric in metrics)
    label = f"{what} over the request rate; {'; '.join(c.name for c in contents.curves)}"
    return Figure("capacity", label, data, layout)


def _measured_values(contents: Contents, name: str) -> list[float]:
    points = [point for curve in contents.curves for point in curve.points]
    return [point[name] for point in points if name in point]
