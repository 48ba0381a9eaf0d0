"""What a study was measured under: where the time went, lengths and arrivals of the load."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.html_report.figures.base import ACCENT
from optuna_scoot.html_report.figures.base import Figure
from optuna_scoot.html_report.figures.base import make_layout
from optuna_scoot.html_report.figures.base import value_axis
from optuna_scoot.tuning.durations import format_seconds
from optuna_scoot.tuning.formats import format_value
from optuna_scoot.tuning.time_spent import PARTS


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna_scoot.html_report.contents import Contents
    from optuna_scoot.tuning.provenance import Histogram


PART_COLOURS = ("role:part-1", "role:part-2", "role:part-3", "role:part-4", "role:part-5")
PART_NAMES = {
    "load": "load",
    "engine": "engine starts and ends",
    "suggestion": "sampler",
    "storage": "storage",
    "other": "waiting and the rest",
}


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
            "showlegend": False,  # the table below has the colours
            "x": [contents.seconds[part] / total],
            "y": [""],
            "marker": {"color": colour},
            "hovertemplate": f"{PART_NAMES[part]}: {format_seconds(contents.seconds[part])}"
            " (%{x:.0%})<extra></extra>",
        }
        for part, colour in zip(PARTS, PART_COLOURS, strict=True)
    ]
    layout = make_layout(
        100,
        barmode="stack",
        xaxis={"tickformat": ".0%", "range": [0, 1], "showgrid": False},
        yaxis={"showticklabels": False},
    )
    label = ", ".join(f"{PART_NAMES[p]} {contents.seconds[p] / total:.0%}" for p in PARTS)
    return Figure("time", f"Time of the workers: {label}", data, layout)


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
    edges = [*load.prompt_tokens.edges, *load.output_tokens.edges]
    layout = make_layout(
        290,
        xaxis=value_axis("tokens", edges, type="log"),
        yaxis=value_axis("requests"),
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
    layout = make_layout(240, xaxis=value_axis("seconds"), yaxis=value_axis("requests/s"))
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
        (PART_NAMES[part], format_seconds(seconds[part]), f"{seconds[part] / total:.0%}")
        for part in PARTS
        if total > 0.0
    ]


def quantiles(told: Histogram) -> str:
    """Return a distribution in words."""
    parts = (("median", told.median), ("95th percentile", told.p95), ("longest", told.largest))
    return ", ".join(f"{name} {format_value(value)}" for name, value in parts)
