"""Latency against request rate, as the trials that looked for a capacity measured it."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from typing import TYPE_CHECKING
from typing import Any

from objectives.capacity import CAPACITY
from objectives.goals import Limit


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from optuna_scoot.tuning.report import Report


PICTURE_FILE = "capacity.html"
HOW_TO_DRAW = "for a picture of it (capacity.html): pip install 'optuna-scoot[plots]'"
_COLOURS = ("#7f7f7f", "#1f77b4")


@dataclass(frozen=True)
class Curve:
    """The loads of one trial.

    Attributes:
        name: "default" or "best", and the trial's number.
        rate: The highest rate that was kept, in requests a second; 0 where none was.
        missed_at: The lowest rate that was missed; None where none was.
        points: The loads by their rate, as ``Capacity.as_dict`` tells them.
    """

    name: str
    rate: float
    missed_at: float | None
    points: Sequence[Mapping[str, Any]]


def capacity_curves(report: Report) -> list[Curve]:
    """Return the curves of the default and the best; none where no capacity was looked for."""
    default, best = report.default, report.best or report.nearest
    named = [("default", default), ("best" if report.best is best else "nearest", best)]
    return [
        _curve(f"{name}, trial {trial.number}", trial)
        for i, (name, trial) in enumerate(named)
        if trial is not None and CAPACITY in trial.user_attrs and (i == 0 or trial is not default)
    ]


def _curve(name: str, trial: FrozenTrial) -> Curve:
    told = trial.user_attrs[CAPACITY]
    return Curve(name, told["rate"], told["missed_at"], told["curve"])


def can_draw() -> bool:
    """Return whether Plotly is installed, which a picture needs."""
    return find_spec("plotly") is not None


def capacity_picture(curves: Sequence[Curve], limits: Sequence[Limit], title: str) -> str:
    """Return a page that needs no network: a panel for each limited latency, over the rate.

    Args:
        curves: From ``capacity_curves``, at most as many as there are colours.
        limits: Drawn as lines.
        title: What was measured, and whether it was simulated.
    """
    from plotly.subplots import make_subplots

    metrics = list(dict.fromkeys(limit.metric for limit in limits))
    figure = make_subplots(rows=len(metrics), cols=1, shared_xaxes=True)
    for row, metric in enumerate(metrics, start=1):
        for curve, colour in zip(curves, _COLOURS, strict=False):
            points = [point for point in curve.points if metric.flat in point]
            figure.add_scatter(
                x=[point["rate"] for point in points],
                y=[point[metric.flat] for point in points],
                name=curve.name,
                legendgroup=curve.name,
                showlegend=row == 1,
                line={"color": colour},
                marker={
                    "size": 9,
                    "symbol": ["circle" if p["kept"] else "x" for p in points],
                },
                mode="lines+markers",
                row=row,
                col=1,
            )
        for limit in limits:
            if limit.metric == metric:
                figure.add_hline(limit.bound, line_dash="dot", row=row, col=1)
        figure.update_yaxes(title_text=metric.label, type="log", row=row, col=1)
    for curve, colour in zip(curves, _COLOURS, strict=False):
        if curve.rate > 0:
            figure.add_vline(curve.rate, line_color=colour, line_dash="dash")
    figure.update_xaxes(title_text="requests/s", row=len(metrics), col=1)
    figure.update_layout(
        title=f"{escape(title)}<br>dots keep every limit, crosses do not; dashed: the capacity",
        height=180 + 320 * len(metrics),
    )
    page: str = figure.to_html(include_plotlyjs=True)
    return page
