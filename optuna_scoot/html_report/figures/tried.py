"""The trials by their values: front against the default, and the best so far."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.html_report.figures.base import ACCENT
from optuna_scoot.html_report.figures.base import BAD
from optuna_scoot.html_report.figures.base import DEFAULT
from optuna_scoot.html_report.figures.base import GOOD
from optuna_scoot.html_report.figures.base import MUTED
from optuna_scoot.html_report.figures.base import Figure
from optuna_scoot.html_report.figures.base import make_layout
from optuna_scoot.html_report.figures.base import trial_axis
from optuna_scoot.html_report.figures.base import value_axis
from optuna_scoot.html_report.outcomes import Fate
from optuna_scoot.html_report.tables import values_with_change


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna_scoot.html_report.contents import Contents
    from optuna_scoot.html_report.outcomes import Ended


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
        data.append(points("best", "best", GOOD, symbol="star", size=16, **_OUTLINE))
    values = [one.values for group in groups.values() for one in group]
    names = [f"{m.name}, {'more' if m.maximise else 'less'} is better" for m in report.metrics]
    axes = [value_axis(names[i], [v[i] for v in values]) for i in (0, 1)]
    label = f"{len(values)} configurations by {' and '.join(m.name for m in report.metrics)}"
    return Figure("front", label, data, make_layout(430, xaxis=axes[0], yaxis=axes[1]))


def convergence_figure(contents: Contents) -> Figure | None:
    """Return the best so far over the trials, with those that crashed marked."""
    told, report = contents.convergence, contents.report
    single = len(report.metrics) == 1
    if len(contents.ended) < 2 or not (told or (single and report.completed)):
        return None
    data: list[dict[str, Any]] = []
    if told is not None:
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "best so far",
                "x": list(told.numbers),
                "y": list(told.best),
                "line": {"color": GOOD, "width": 2, "shape": "hv"},
                "hovertemplate": "after trial %{x}: %{y:.4~g}<extra></extra>",
            }
        )
    if single:
        data += _values_by_trial(contents)
        values = [one.values[0] for one in contents.ended if one.values]
        axis = value_axis(report.metrics[0].name, values)
    else:
        assert told is not None
        axis = value_axis(told.label, tickformat=".0%", range=[-0.04, 1.06])
    crashed = [one for one in contents.ended if one.fate is Fate.CRASHED]
    numbers = [one.number for one in contents.ended]
    layout = make_layout(
        380,
        xaxis=trial_axis(numbers, anchor="y2" if crashed else "y"),
        yaxis={**axis, "domain": [0.12 if crashed else 0.0, 1.0]},
    )
    if crashed:
        # On an axis of their own, which has no scale: a crash has no value.
        x = [one.number for one in crashed]
        rug = _points(contents, crashed, x, [0] * len(x), "crashed", BAD, symbol="x")
        data.append({**rug, "yaxis": "y2"})
        layout["yaxis2"] = {
            "domain": [0.0, 0.06],
            "showticklabels": False,
            "showgrid": False,
            "zeroline": False,
            "range": [-1, 1],
        }
    what = report.metrics[0].name if told is None else told.label
    label = f"{what} over {len(numbers)} trials; {len(crashed)} crashed"
    return Figure("convergence", label, data, layout)


def _values_by_trial(contents: Contents) -> list[dict[str, Any]]:
    """Return the values of the one objective as points over the trials."""
    looks: dict[str, tuple[str, str, dict[str, Any]]] = {
        "other": ("tried", ACCENT, {"opacity": 0.75}),
        "misses": ("misses limits", MUTED, {"symbol": "circle-open"}),
        "default": ("default", DEFAULT, {"symbol": "square", "size": 12, **_OUTLINE}),
        "best": ("best", GOOD, {"symbol": "star", "size": 16, **_OUTLINE}),
    }
    groups = _told_apart(contents)
    data = []
    for group, (name, colour, marker) in looks.items():
        if chosen := groups[group]:
            x, y = [one.number for one in chosen], [one.values[0] for one in chosen]
            data.append(_points(contents, chosen, x, y, name, colour, **marker))
    return data


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
