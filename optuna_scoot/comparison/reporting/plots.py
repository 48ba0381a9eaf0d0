"""Plots of a comparison: one HTML page that needs no network."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_scoot.comparison.reporting.comparison import Comparison
from optuna_scoot.comparison.reporting.costs import SHARES
from optuna_scoot.comparison.reporting.statistics import bootstrap_mean
from optuna_scoot.comparison.reporting.summary import Entry
from optuna_scoot.comparison.reporting.summary import FloatArray


if TYPE_CHECKING:
    import plotly.graph_objects as go


COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f")
N_BAND_RESAMPLES = 1000


def write_plots(comparison: Comparison) -> str:
    """Return every plot on one page.

    Args:
        comparison: The finished comparison.

    Returns:
        An HTML page: for each family the mean score over the trials with its 95 % band, where
        trials have costs that over the cost as well, the crash share, the seconds of a
        suggestion, and the subject's win rates.
    """
    import plotly.io

    figures: list[go.Figure] = []
    for group in comparison.groups:
        ours = comparison.subject_entry(group)
        entries = [*([ours] if ours else []), *comparison.peers(group)]
        figures.append(curves_figure(group, entries))
        figures += cost_figures(group, entries)
        figures.append(_bars(f"{group}: share of suggestions that crashed", entries, "crashes"))
        figures.append(_bars(f"{group}: seconds of a suggestion", entries, "seconds"))
        figures.append(wins_figure(comparison, group))
    parts = [
        plotly.io.to_html(figure, full_html=False, include_plotlyjs=index == 0)
        for index, figure in enumerate(figures)
    ]
    title = html.escape(f"{comparison.subject} and other samplers")
    body = "\n".join(parts)
    return (
        f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>{title}</title></head>"
        f"<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    )


def curves_figure(group: str, entries: list[Entry]) -> go.Figure:
    """Return the mean score (best so far, or hypervolume) over the trials, with its 95 % band."""
    curves = [(entry, np.arange(1, entry.curves.shape[1] + 1), entry.curves) for entry in entries]
    axis = "trials, the default first"
    return _bands_figure(f"{group}: mean score over the trials", axis, curves)


def cost_figures(group: str, entries: list[Entry]) -> list[go.Figure]:
    """Return the mean score over what was spent, or nothing where costs are not known."""
    curves = [(e, SHARES, e.over_cost) for e in entries if e.over_cost is not None]
    if not curves:
        return []
    axis = "spent, as a share of what the cheapest run on a case cost"
    return [_bands_figure(f"{group}: mean score over the cost", axis, curves)]


def _bands_figure(
    title: str, axis: str, curves: Iterable[tuple[Entry, NDArray[Any], FloatArray]]
) -> go.Figure:
    """Return the mean of curves with its 95 % band, each with its places on the axis."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for index, (entry, places, curve) in enumerate(curves):
        colour = COLOURS[index % len(COLOURS)]
        bands = [bootstrap_mean(column, n_resamples=N_BAND_RESAMPLES) for column in curve.T]
        outline = [band.high for band in bands] + [band.low for band in reversed(bands)]
        figure.add_scatter(
            x=np.concatenate([places, places[::-1]]),
            y=outline,
            fill="toself",
            fillcolor=colour,
            opacity=0.15,
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            legendgroup=entry.sampler,
        )
        figure.add_scatter(
            x=places,
            y=[band.estimate for band in bands],
            name=f"{entry.sampler} ({entry.mode})",
            line={"color": colour},
            legendgroup=entry.sampler,
        )
    figure.update_layout(title=title, xaxis_title=axis, yaxis_title="normalised score")
    return figure


def _bars(title: str, entries: list[Entry], field: str) -> go.Figure:
    """Return bars of the mean of one of an entry's arrays, with its 95 % interval."""
    import plotly.graph_objects as go

    intervals = [bootstrap_mean(getattr(entry, field)) for entry in entries]
    figure = go.Figure(
        go.Bar(
            x=[entry.sampler for entry in entries],
            y=[interval.estimate for interval in intervals],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [interval.high - interval.estimate for interval in intervals],
                "arrayminus": [interval.estimate - interval.low for interval in intervals],
            },
        )
    )
    figure.update_layout(title=title)
    if field == "seconds":
        figure.update_yaxes(type="log", title="seconds")
    return figure


def wins_figure(comparison: Comparison, group: str) -> go.Figure:
    """Return the subject's paired win rate against each peer, with its 95 % interval."""
    import plotly.graph_objects as go

    pairs = comparison.pairs(group)
    figure = go.Figure(
        go.Scatter(
            x=[pair.wins.estimate for pair in pairs],
            y=[f"{pair.theirs.sampler} ({pair.theirs.mode})" for pair in pairs],
            mode="markers",
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [pair.wins.high - pair.wins.estimate for pair in pairs],
                "arrayminus": [pair.wins.estimate - pair.wins.low for pair in pairs],
            },
        )
    )
    figure.add_vline(x=0.5, line_dash="dot")
    figure.update_layout(title=f"{group}: win rate of {comparison.subject}")
    figure.update_xaxes(range=[0, 1], title="share of the cases won")
    return figure
