"""What was learnt of the parameters: which matter, and the threshold Δ over the suggestions."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.html_report.figures.base import ACCENT
from optuna_scoot.html_report.figures.base import BAD
from optuna_scoot.html_report.figures.base import DEFAULT
from optuna_scoot.html_report.figures.base import GOOD
from optuna_scoot.html_report.figures.base import INK
from optuna_scoot.html_report.figures.base import MUTED
from optuna_scoot.html_report.figures.base import Figure
from optuna_scoot.html_report.figures.base import make_layout
from optuna_scoot.html_report.figures.base import short
from optuna_scoot.html_report.figures.base import trial_axis
from optuna_scoot.html_report.figures.base import value_axis


if TYPE_CHECKING:
    from optuna_scoot.html_report.contents import Contents
    from optuna_scoot.html_report.importance import Importance
    from optuna_scoot.tuning.report import Metric


_ROW_GAP = 0.17  # between the plots of two objectives, as a share of the height


def importance_figure(contents: Contents) -> Figure | None:
    """Return each parameter's share with how far few trials decide it, and what chance reaches."""
    told = [
        (metric, found)
        for metric, found in zip(contents.report.metrics, contents.importance, strict=True)
        if found is not None
    ]
    if not told:
        return None
    data, shapes, annotations, layout = [], [], [], make_layout(0)
    height = (1.0 - _ROW_GAP * (len(told) - 1)) / len(told)
    for row, (metric, found) in enumerate(told):
        name = "" if row == 0 else str(row + 1)
        top = 1.0 - row * (height + _ROW_GAP)
        data.append(_importance_bars(found, name))
        layout |= _importance_axes(name, [top - height, top])
        shapes.append(_chance_line(found, name, [top - height, top]))
        annotations.append(_row_title(metric, top))
    several = len(told) > 1
    layout |= {
        "height": (70 + 24 * len(told[0][1].names)) * len(told) + 20,
        "shapes": shapes,
        "annotations": annotations if several else [],
        "margin": {"t": 28 if several else 12},
        "bargap": 0.35,
    }
    label = "; ".join(
        f"{metric.name}: {', '.join(found.standing_out) or 'none'} beyond chance"
        for metric, found in told
    )
    return Figure("importance", f"Importance of the parameters. {label}", data, layout)


def _importance_bars(found: Importance, name: str) -> dict[str, Any]:
    """Return a row's bars, with the interval of each; ``name`` is its axes' number, or empty."""
    colours = [ACCENT if one in found.standing_out else MUTED for one in found.names]
    return {
        "type": "bar",
        "orientation": "h",
        "showlegend": False,
        "x": [float(x) for x in found.share],
        "y": [short(one.replace("_", "-"), 28) for one in found.names],
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


def _importance_axes(name: str, domain: list[float]) -> dict[str, Any]:
    """Return a row's axes; all rows have the scale of the first one."""
    return {
        f"yaxis{name}": {
            "autorange": "reversed",
            "automargin": True,
            "domain": domain,
            "anchor": f"x{name}",
        },
        f"xaxis{name}": {
            "tickformat": ".0%",
            "rangemode": "tozero",
            "anchor": f"y{name}",
            **({"matches": "x"} if name else {}),
        },
    }


def _chance_line(found: Importance, name: str, domain: list[float]) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": found.chance,
        "x1": found.chance,
        "xref": f"x{name}",
        "y0": domain[0],
        "y1": domain[1],
        "yref": "paper",
        "line": {"color": BAD, "width": 1.5, "dash": "dot"},
    }


def _row_title(metric: Metric, top: float) -> dict[str, Any]:
    return {
        "text": short(metric.name),
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": top,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"color": INK},
    }


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
    layout = make_layout(
        320,
        xaxis=trial_axis([one.number for one in told]),
        yaxis=value_axis("probability that it runs", tickformat=".0%", range=[0.0, 1.04]),
    )
    crashed = sum(not one.ran for one in told)
    label = f"Threshold over {len(told)} suggestions of the model, of which {crashed} crashed"
    return Figure("threshold", label, data, layout)
