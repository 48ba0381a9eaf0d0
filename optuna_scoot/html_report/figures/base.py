"""What the page's figures have in common: roles for colours, axes, lines.

A colour is written as "role:accent"; the page puts in what the style sheet has for it, in light
and in dark. Texts that come from a study are escaped, as Plotly reads tags in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.tuning.formats import format_value


if TYPE_CHECKING:
    from collections.abc import Sequence


INK, MUTED, GRID = "role:ink", "role:muted", "role:grid"
ACCENT, DEFAULT, GOOD, BAD = "role:accent", "role:default", "role:good", "role:bad"
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


def short(text: str, most: int = 40) -> str:
    """Return a text for a figure, escaped; of a long one the beginning."""
    return escape(text if len(text) <= most else f"{text[: most - 1]}…")


def make_layout(height: int, **more: Any) -> dict[str, Any]:
    """Return a layout of a height in pixels; all else that figures share the page puts in."""
    return {"height": height, "hovermode": "closest", **more}


def value_axis(title: str, values: Sequence[float] = (), **more: Any) -> dict[str, Any]:
    """Return an axis, logarithmic where the values span far, or where that is asked for."""
    axis: dict[str, Any] = {
        "title": {"text": short(title, 60)},
        "separatethousands": True,
        "exponentformat": "none",
        **more,
    }
    finite = [v for v in values if math.isfinite(v)]
    if not finite or min(finite) <= 0.0:
        return axis
    if axis.get("type") == "log" or max(finite) / min(finite) > _WIDE_RATIO:
        axis["type"] = "log"
        axis["tickvals"] = _log_ticks(min(finite), max(finite))
        axis["ticktext"] = [format_value(value) for value in axis["tickvals"]]
    return axis


def _log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten around a range; of a wide one the powers alone."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if len(decades) > 4 else (1, 2, 5)
    return [factor * 10.0**decade for decade in decades for factor in factors]


def trial_axis(numbers: Sequence[int], **more: Any) -> dict[str, Any]:
    """Return an axis of trials' numbers, with a little room and whole numbers alone."""
    first, last = min(numbers), max(numbers)
    room = 0.5 + 0.01 * (last - first)
    steps = [factor * 10**k for k in range(6) for factor in (1, 2, 5)]
    step = next((s for s in steps if (last - first) / s <= 10), steps[-1])
    return value_axis("trial", range=[first - room, last + room], dtick=step, tick0=0, **more)


def across(
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
