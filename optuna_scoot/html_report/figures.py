"""The page's figures as Plotly reads them: plain mappings, in which colours are roles.

A colour is written as "role:accent"; the page puts in what the style sheet has for it, in light
and in dark. Texts that come from a study are escaped, as Plotly reads tags in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.html_report.outcomes import Fate
from optuna_scoot.html_report.tables import values_with_change
from optuna_scoot.tuning.formats import format_value
from optuna_scoot.tuning.time_spent import PARTS


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna_scoot.html_report.contents import Contents
    from optuna_scoot.html_report.feasibility import Axis
    from optuna_scoot.html_report.feasibility import Tried
    from optuna_scoot.html_report.outcomes import Ended
    from optuna_scoot.tuning.provenance import Histogram


INK, MUTED, GRID = "role:ink", "role:muted", "role:grid"
ACCENT, DEFAULT, GOOD, BAD = "role:accent", "role:default", "role:good", "role:bad"
PART_COLOURS = ("role:part-1", "role:part-2", "role:part-3", "role:part-4", "role:part-5")
PART_NAMES = {
    "load": "load",
    "engine": "engine starts and ends",
    "suggestion": "sampler",
    "storage": "storage",
    "other": "waiting and the rest",
}
_WIDE_RATIO = 15.0  # between the largest and the smallest value, from which an axis is logarithmic


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        name: By which the template asks for it.
        label: What it shows, for whoever does not see it.
        data: Plotly's traces.
        layout: Plotly's layout.
    """

    name: str
    label: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]


def _layout(height: int, **more: Any) -> dict[str, Any]:
    return {"height": height, "hovermode": "closest", **more}


def _axis(title: str, values: Sequence[float] = (), **more: Any) -> dict[str, Any]:
    """Return an axis, logarithmic where the values span far."""
    axis: dict[str, Any] = {"title": {"text": escape(title)}, **more}
    finite = [v for v in values if math.isfinite(v)]
    if finite and min(finite) > 0.0 and max(finite) / min(finite) > _WIDE_RATIO:
        axis["type"] = "log"
    return axis


def _hover(contents: Contents, one: Ended) -> str:
    report = contents.report
    cells = values_with_change(report, one.values) if one.values else []
    lines = [f"<b>trial {one.number}</b>", escape(one.why) if one.why else ""]
    names = (metric.name for metric in report.metrics)
    lines += [f"{escape(n)} {c}" for n, c in zip(names, cells, strict=bool(cells) or False)]
    lines += [escape(part) for part in _folded(one.changed)]
    return "<br>".join(line for line in lines if line)


def _folded(text: str, width: int = 60) -> list[str]:
    """Return a list of parameters in lines of about a width."""
    lines: list[str] = []
    for part in text.split(", ") if text else []:
        if lines and len(lines[-1]) + len(part) < width:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return lines


def _points(
    contents: Contents,
    chosen: Sequence[Ended],
    x: Sequence[Any],
    y: Sequence[Any],
    name: str,
    colour: str,
    symbol: str = "circle",
    size: int = 8,
    **marker: Any,
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        "marker": {"color": colour, "symbol": symbol, "size": size, **marker},
        "text": [_hover(contents, one) for one in chosen],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _told_apart(contents: Contents) -> dict[str, list[Ended]]:
    """Return the trials that have values: default, best, others, those that miss limits."""
    report = contents.report
    default = None if report.default is None else report.default.number
    best = None if report.best is None else report.best.number
    groups: dict[str, list[Ended]] = {"default": [], "best": [], "other": [], "misses": []}
    for one in contents.ended:
        if not one.values:
            continue
        if one.number == default:
            groups["default"].append(one)
        elif one.number == best:
            groups["best"].append(one)
        else:
            groups["misses" if one.fate is Fate.MISSES else "other"].append(one)
    return groups


_OUTLINE = {"line": {"width": 1.5, "color": "role:surface"}}


def front_figure(contents: Contents) -> Figure | None:
    """Return the trials by their two objectives with the front; None with another number."""
    report = contents.report
    if len(report.metrics) != 2 or sum(bool(one.values) for one in contents.ended) < 2:
        return None
    groups = _told_apart(contents)

    def points(group: str, name: str, colour: str, **marker: Any) -> dict[str, Any]:
        chosen = groups[group]
        x, y = ([one.values[i] for one in chosen] for i in (0, 1))
        return _points(contents, chosen, x, y, name, colour, **marker)

    data = []
    front = [tuple(trial.values) for trial in report.front]
    if len(front) > 1:
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "front",
                "x": [value[0] for value in front],
                "y": [value[1] for value in front],
                "line": {"color": ACCENT, "width": 1.5, "dash": "dot"},
                "hoverinfo": "skip",
            }
        )
    data.append(points("other", "tried", ACCENT, opacity=0.75))
    if groups["misses"]:
        data.append(points("misses", "misses limits", MUTED, symbol="circle-open"))
    data.append(points("default", "default", DEFAULT, symbol="square", size=13, **_OUTLINE))
    if groups["best"]:
        data.append(
            points("best", "recommended by tuning", GOOD, symbol="star", size=16, **_OUTLINE)
        )
    values = [one.values for group in groups.values() for one in group]
    names = [f"{m.name}, {'more' if m.maximise else 'less'} is better" for m in report.metrics]
    axes = [_axis(names[i], [v[i] for v in values]) for i in (0, 1)]
    label = f"{len(values)} configurations by {' and '.join(m.name for m in report.metrics)}"
    return Figure("front", label, data, _layout(430, xaxis=axes[0], yaxis=axes[1]))


def convergence_figure(contents: Contents) -> Figure | None:
    """Return the best so far over the trials, with those that crashed marked."""
    told = contents.convergence
    if told is None or len(contents.ended) < 2:
        return None
    single = len(contents.report.metrics) == 1
    data: list[dict[str, Any]] = []
    values: list[float] = [v for v in told.best if v is not None]
    if single:
        groups = _told_apart(contents)
        shapes: dict[str, tuple[str, str, dict[str, Any]]] = {
            "other": ("tried", ACCENT, {"opacity": 0.75}),
            "misses": ("misses limits", MUTED, {"symbol": "circle-open"}),
            "default": ("default", DEFAULT, {"symbol": "square", "size": 12, **_OUTLINE}),
            "best": ("best", GOOD, {"symbol": "star", "size": 16, **_OUTLINE}),
        }
        for group, (name, colour, marker) in shapes.items():
            if chosen := groups[group]:
                x, y = [one.number for one in chosen], [one.values[0] for one in chosen]
                data.append(_points(contents, chosen, x, y, name, colour, **marker))
                values += y
    data.insert(
        0,
        {
            "type": "scatter",
            "mode": "lines",
            "name": "best so far",
            "x": list(told.numbers),
            "y": list(told.best),
            "line": {"color": GOOD, "width": 2, "shape": "hv"},
            "hovertemplate": "after trial %{x}: %{y:.4~g}<extra></extra>",
        },
    )
    axis = _axis(told.label, values) if single else _axis(told.label, tickformat=".0%")
    crashed = [one for one in contents.ended if one.fate is Fate.CRASHED]
    if crashed:
        # On an axis of their own, which has no scale: a crash has no value.
        rug = _points(
            contents,
            crashed,
            [one.number for one in crashed],
            [0] * len(crashed),
            "crashed",
            BAD,
            symbol="x",
            size=8,
        )
        data.append({**rug, "yaxis": "y2"})
    layout = _layout(
        380,
        xaxis=_axis("trial", anchor="y2" if crashed else "y", rangemode="normal"),
        yaxis={**axis, "domain": [0.12 if crashed else 0.0, 1.0]},
    )
    if crashed:
        layout["yaxis2"] = {
            "domain": [0.0, 0.06],
            "showticklabels": False,
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "range": [-1, 1],
        }
    label = f"{told.label} after each of {len(told.numbers)} trials; {len(crashed)} crashed"
    return Figure("convergence", label, data, layout)


def verdict_figure(contents: Contents) -> Figure | None:
    """Return each finalist's change over the default with its interval."""
    judged = contents.judged
    if judged is None or judged.baseline is None:
        return None
    data = []
    colours = (ACCENT, "role:part-3", "role:part-2", "role:part-4")
    for j, metric in enumerate(judged.metrics):
        told = [(one, one.change(judged.baseline, j)) for one in judged.configurations[1:]]
        found = [(one.name, change) for one, change in told if change is not None]
        if not found:
            continue
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": escape(metric.name),
                "x": [change.mean for _, change in found],
                "y": [escape(name) for name, _ in found],
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
                "hovertemplate": "%{y}: %{x:+.1%}<extra>" + escape(metric.name) + "</extra>",
            }
        )
    if not data:
        return None
    n_rows = len(judged.configurations) - 1
    layout = _layout(
        150 + 62 * n_rows,
        xaxis=_axis("change over the default, with its 95 % interval", tickformat="+.0%"),
        yaxis={"autorange": "reversed", "automargin": True, "fixedrange": True},
        scattermode="group",
        shapes=[_line(x=0.0, colour=DEFAULT)],
    )
    return Figure("verdict", judged.sentence, data, layout)


def capacity_figure(contents: Contents) -> Figure | None:
    """Return a panel for each limited metric, over the request rate."""
    metrics = list(dict.fromkeys(limit.metric for limit in contents.limits))
    if not contents.curves or not metrics:
        return None
    data: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    layout = _layout(140 + 240 * len(metrics))
    gap, share = 0.09, 1.0 / len(metrics)
    for row, metric in enumerate(metrics):
        name = "" if row == 0 else str(row + 1)
        top = 1.0 - row * share
        layout[f"yaxis{name}"] = {
            **_axis(metric.label, type="log"),
            "domain": [top - share + (gap if row < len(metrics) - 1 else 0.0), top],
        }
        for curve, colour in zip(contents.curves, (DEFAULT, ACCENT), strict=False):
            points = [point for point in curve.points if metric.flat in point]
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": escape(curve.name),
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
        shapes += [_line(y=bound, colour=BAD, dash="dot", yref=f"y{name}") for bound in bounds]
    kept = zip(contents.curves, (DEFAULT, ACCENT), strict=False)
    shapes += [_line(x=c.rate, colour=col, dash="dash") for c, col in kept if c.rate > 0]
    layout["xaxis"] = _axis("requests/s", anchor=f"y{len(metrics) if len(metrics) > 1 else ''}")
    layout["shapes"] = shapes
    what = " and ".join(metric.label for metric in metrics)
    label = f"{what} over the request rate; {'; '.join(c.name for c in contents.curves)}"
    return Figure("capacity", label, data, layout)


def _line(
    *,
    colour: str,
    x: float | None = None,
    y: float | None = None,
    dash: str = "solid",
    yref: str = "y",
    xref: str = "x",
) -> dict[str, Any]:
    """Return a line across the whole plot."""
    line = {"color": colour, "width": 1.5, "dash": dash}
    if x is not None:
        return {
            "type": "line",
            "x0": x,
            "x1": x,
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "xref": xref,
            "line": line,
            "layer": "below",
        }
    return {
        "type": "line",
        "y0": y,
        "y1": y,
        "x0": 0,
        "x1": 1,
        "xref": "paper",
        "yref": yref,
        "line": line,
        "layer": "below",
    }


def importance_figure(contents: Contents) -> Figure | None:
    """Return each parameter's share with how far few trials decide it, and what chance reaches."""
    told = [
        (metric, found)
        for metric, found in zip(contents.report.metrics, contents.importance, strict=True)
        if found is not None
    ]
    if not told:
        return None
    data, shapes, layout = [], [], _layout(0)
    n_rows = len(told[0][1].names)
    share = 1.0 / len(told)
    gap = 0.16 / max(1, len(told) - 1) if len(told) > 1 else 0.0
    annotations = []
    for row, (metric, found) in enumerate(told):
        name = "" if row == 0 else str(row + 1)
        top = 1.0 - row * share
        domain = [top - share + (gap if row < len(told) - 1 else 0.0), top - 0.02]
        colours = [ACCENT if one in found.standing_out else MUTED for one in found.names]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "showlegend": False,
                "x": [float(x) for x in found.share],
                "y": [escape(one.replace("_", "-")) for one in found.names],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [float(x) for x in found.high - found.share],
                    "arrayminus": [float(x) for x in found.share - found.low],
                    "color": INK,
                    "thickness": 1.2,
                    "width": 3,
                },
                "marker": {"color": colours, "opacity": 0.8},
                "yaxis": f"y{name}",
                "xaxis": f"x{name}",
                "hovertemplate": "%{y}: %{x:.0%}<extra></extra>",
            }
        )
        layout[f"yaxis{name}"] = {
            "autorange": "reversed",
            "automargin": True,
            "domain": domain,
            "anchor": f"x{name}",
        }
        layout[f"xaxis{name}"] = {
            "tickformat": ".0%",
            "rangemode": "tozero",
            "anchor": f"y{name}",
            **({} if row == 0 else {"matches": "x"}),
        }
        shapes.append(
            {
                "type": "line",
                "x0": found.chance,
                "x1": found.chance,
                "xref": f"x{name}",
                "y0": domain[0],
                "y1": domain[1],
                "yref": "paper",
                "line": {"color": BAD, "width": 1.5, "dash": "dot"},
            }
        )
        annotations.append(
            {
                "text": escape(metric.name),
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "y": top - 0.02,
                "yref": "paper",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"color": INK},
            }
        )
    layout |= {
        "height": (90 + 24 * n_rows) * len(told) + 20,
        "shapes": shapes,
        "annotations": annotations if len(told) > 1 else [],
        "bargap": 0.35,
    }
    label = "; ".join(
        f"{metric.name}: {', '.join(found.standing_out) or 'none'} beyond chance"
        for metric, found in told
    )
    return Figure("importance", f"Importance of the parameters. {label}", data, layout)


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
                "title": {"text": "runs", "side": "top"},
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
                "marker": {"color": colour, "symbol": symbol, "size": 9, "line": {"width": 1.6}},
                "text": [_tried(one, found.x, found.y) for one in chosen],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    layout = _layout(430, xaxis=_parameter_axis(found.x), yaxis=_parameter_axis(found.y))
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
    axis = _axis("it runs", tickformat=".0%", range=[-0.08, 1.08])
    return Figure(
        "feasibility", label, data, _layout(330, xaxis=_parameter_axis(found.x), yaxis=axis)
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
    told = _axis(axis.name.replace("_", "-"), zeroline=False)
    if axis.is_listed:
        told["tickvals"] = list(range(len(axis.values)))
        told["ticktext"] = [escape(_level(value)) for value in axis.values]
    elif axis.is_log:
        told["type"] = "log"
    return told


def _level(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def threshold_figure(contents: Contents) -> Figure | None:
    """Return the threshold Δ over the model's suggestions, and how likely each was to run."""
    told = contents.suggested
    if len(told) < 2:
        return None
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "Δ",
            "x": [one.number for one in told],
            "y": [one.threshold for one in told],
            "line": {"color": DEFAULT, "width": 2, "shape": "hv"},
            "hovertemplate": "trial %{x}: Δ %{y:.0%}<extra></extra>",
        }
    ]
    for ran, name, colour, symbol in ((True, "ran", GOOD, "circle"), (False, "crashed", BAD, "x")):
        chosen = [one for one in told if one.ran is ran]
        if chosen:
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": name,
                    "x": [one.number for one in chosen],
                    "y": [one.pof for one in chosen],
                    "marker": {"color": colour, "symbol": symbol, "size": 9},
                    "hovertemplate": "trial %{x}: expected to run with %{y:.0%}<extra></extra>",
                }
            )
    layout = _layout(
        320,
        xaxis=_axis("trial"),
        yaxis=_axis("probability that it runs", tickformat=".0%", range=[0.0, 1.04]),
    )
    crashed = sum(not one.ran for one in told)
    label = f"Threshold over {len(told)} suggestions of the model, of which {crashed} crashed"
    return Figure("threshold", label, data, layout)


def time_figure(contents: Contents) -> Figure | None:
    """Return where the workers' time went, as one bar."""
    total = sum(contents.seconds.values())
    if total <= 0.0:
        return None
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": PART_NAMES[part],
            "x": [contents.seconds[part] / total],
            "y": [""],
            "marker": {"color": colour},
            "hovertemplate": f"{PART_NAMES[part]}: {_seconds(contents.seconds[part])}"
            " (%{x:.0%})<extra></extra>",
        }
        for part, colour in zip(PARTS, PART_COLOURS, strict=True)
    ]
    layout = _layout(
        150,
        barmode="stack",
        xaxis={"tickformat": ".0%", "range": [0, 1], "showgrid": False},
        yaxis={"showticklabels": False},
    )
    label = ", ".join(f"{PART_NAMES[p]} {contents.seconds[p] / total:.0%}" for p in PARTS)
    return Figure("time", f"Time of the workers: {label}", data, layout)


def _seconds(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.1f} s"


def lengths_figure(contents: Contents) -> Figure | None:
    """Return how long prompts and answers of the load are."""
    load = contents.load
    if load is None:
        return None
    hover = "%{y} of about %{x:.3~g} tokens"
    data = [
        _steps(told.edges, told.counts, name, colour, hover)
        for told, name, colour in (
            (load.prompt_tokens, "prompts", ACCENT),
            (load.output_tokens, "answers", "role:part-3"),
        )
    ]
    layout = _layout(
        290,
        xaxis=_axis("tokens", type="log"),
        yaxis=_axis("requests"),
    )
    label = f"Lengths of {load.requests} requests in tokens"
    return Figure("lengths", label, data, layout)


def arrivals_figure(contents: Contents) -> Figure | None:
    """Return when the requests of the load arrive; None where a trial sends several loads."""
    if contents.load is None or contents.curves:
        return None
    told = contents.load.arrivals
    width = told.edges[1] - told.edges[0]
    rates = [count / width for count in told.counts]
    hover = "%{x:.4~g} s: %{y:.3~g} requests/s"
    data = [{**_steps(told.edges, rates, "arrivals", ACCENT, hover), "showlegend": False}]
    layout = _layout(240, xaxis=_axis("seconds"), yaxis=_axis("requests/s"))
    label = f"Arrivals of {contents.load.requests} requests over {told.edges[-1]:g} s"
    return Figure("arrivals", label, data, layout)


def _steps(
    edges: Sequence[float], heights: Sequence[float], name: str, colour: str, hover: str
) -> dict[str, Any]:
    """Return a histogram as a filled line: Plotly's bars have no width of their own on logs."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [edges[0], *edges],
        "y": [0.0, *heights, 0.0],
        "line": {"color": colour, "width": 1.5, "shape": "hv"},
        "fill": "tozeroy",
        "hovertemplate": f"{hover}<extra>{name}</extra>",
    }


def shares(seconds: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """Return each part of the time with its seconds and its share, in words."""
    total = sum(seconds.values())
    return [
        (PART_NAMES[part], _seconds(seconds[part]), f"{seconds[part] / total:.0%}")
        for part in PARTS
        if total > 0.0
    ]


def quantiles(told: Histogram) -> str:
    """Return a distribution in words."""
    parts = (("median", told.median), ("95th percentile", told.p95), ("longest", told.largest))
    return ", ".join(f"{name} {format_value(value)}" for name, value in parts)
