"""Traces as a page: lengths, rate over time, gaps, and what a prefix cache finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from objectives.trace_tools.summary import Floats
from objectives.trace_tools.summary import Ints
from objectives.trace_tools.summary import found_tokens
from objectives.trace_tools.summary import lengths_of
from objectives.trace_tools.summary import times_of
from objectives.traces import Trace


if TYPE_CHECKING:
    from plotly.graph_objects import Figure


_COLOURS = ("#3f51b5", "#ff6e40", "#2e9e6b", "#8e44ad", "#7f7f7f")
_BINS = 40
_WINDOWS = 60
_DECADES = 5  # of gaps
_TITLES = (
    "prompt tokens",
    "answer tokens",
    "requests/s over time",
    "gaps between requests (dotted: were it Poisson)",
    "prompt tokens that an endless prefix cache finds",
)


def trace_page(traces: Sequence[Trace]) -> str:
    """Return a page that needs no network.

    Args:
        traces: At least one, whose tokens are counted. Each has a colour.
    """
    page: str = trace_figure(traces).to_html(include_plotlyjs=True)
    return page


def trace_figure(traces: Sequence[Trace]) -> Figure:
    """Return the figure of the page; see ``trace_page``."""
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=3,
        cols=2,
        specs=[[{}, {}], [{}, {}], [{"colspan": 2}, None]],
        subplot_titles=_TITLES,
        vertical_spacing=0.11,
    )
    edges = [_edges(lengths) for lengths in zip(*map(lengths_of, traces), strict=True)]
    for number, trace in enumerate(traces):
        colour = _COLOURS[number % len(_COLOURS)]
        _add_lengths(figure, trace, colour, edges)
        _add(figure, trace, colour)
    figure.update_xaxes(type="log", dtick="D2", title_text="tokens", row=1)
    figure.update_yaxes(title_text="% of requests", row=1)
    figure.update_xaxes(title_text="minutes", row=2, col=1)
    figure.update_yaxes(rangemode="tozero", row=2, col=1)
    figure.update_xaxes(type="log", title_text="seconds", row=2, col=2)
    if longest := max(
        (float(np.max(np.diff(t))) for t in map(times_of, traces) if t is not None and t[-1] > 0),
        default=0.0,
    ):
        top = math.log10(longest)
        figure.update_xaxes(range=[top - _DECADES, top + 0.1], row=2, col=2)
    figure.update_yaxes(title_text="% that are longer", row=2, col=2)
    figure.update_xaxes(title_text="requests so far", row=3, col=1)
    figure.update_yaxes(title_text="% of tokens", range=[0, 100], row=3, col=1)
    figure.update_layout(
        template="plotly_white",
        height=900,
        barmode="overlay",
        legend={"orientation": "h", "yref": "container", "y": 0.98, "yanchor": "top"},
        margin={"t": 70, "l": 60, "r": 30},
        showlegend=True,
    )
    if not any(trace.has_arrival_times for trace in traces):
        for column in (1, 2):
            _say(figure, "the trace has no times", 2, column)
    if all(r.prefix_id is None for trace in traces for r in trace.requests):
        _say(figure, "no shared prefix is declared", 3, 1)
    return figure


def _add_lengths(figure: Figure, trace: Trace, colour: str, edges: Sequence[Floats]) -> None:
    for column, lengths in enumerate(lengths_of(trace)):
        counts, _ = np.histogram(lengths, bins=edges[column])
        figure.add_scatter(
            x=np.repeat(edges[column], 2)[1:-1],
            y=np.repeat(100.0 * counts / len(lengths), 2),
            name=trace.name,
            legendgroup=trace.name,
            showlegend=column == 0,
            mode="lines",
            line={"color": colour, "width": 2},
            row=1,
            col=column + 1,
        )


def _add(figure: Figure, trace: Trace, colour: str) -> None:
    name = trace.name
    common = {
        "name": name,
        "legendgroup": name,
        "showlegend": False,
        "mode": "lines",
        "line": {"color": colour, "width": 2},
    }
    times = times_of(trace)
    if times is not None and times[-1] > 0:
        counts, edges = np.histogram(times, bins=_WINDOWS)
        width = edges[1] - edges[0]
        figure.add_scatter(
            x=(edges[:-1] + width / 2) / 60, y=counts / width, row=2, col=1, **common
        )
        x, y = _survival(np.diff(times))
        figure.add_scatter(x=x, y=y, row=2, col=2, **common)
        mean = float(times[-1] / (len(times) - 1))
        at = np.geomspace(mean / 1000, mean * 8, 100)
        poisson = {
            **common,
            "line": {"color": colour, "width": 1, "dash": "dot"},
            "name": f"{name}, were it Poisson",
        }
        figure.add_scatter(x=at, y=100 * np.exp(-at / mean), row=2, col=2, **poisson)
    if any(r.prefix_id is not None for r in trace.requests):
        prompts, _ = lengths_of(trace)
        share = 100 * np.cumsum(found_tokens(trace)) / np.cumsum(prompts)
        at = np.unique(np.linspace(0, len(share) - 1, 400).astype(int))
        figure.add_scatter(x=at + 1, y=share[at], row=3, col=1, **common)


def _edges(lengths: Sequence[Ints]) -> Floats:
    """Return edges of bins of equal width on a logarithm, for the lengths of all traces."""
    low, high = min(map(np.min, lengths)), max(map(np.max, lengths))
    edges: Floats = np.unique(np.rint(np.geomspace(low, high + 1, _BINS + 1)) - 0.5)
    return edges


def _survival(gaps: Floats) -> tuple[Floats, Floats]:
    """Return at most 500 points of the share of gaps that are longer, in per cent."""
    ordered = np.sort(gaps)
    at = np.unique(np.linspace(0, len(ordered) - 1, 500).astype(int))
    at = at[ordered[at] > 0]
    return ordered[at], 100.0 * (1.0 - at / len(ordered))


def _say(figure: Figure, text: str, row: int, column: int) -> None:
    figure.add_annotation(text=text, showarrow=False, row=row, col=column, x=0.5, y=0.5)
