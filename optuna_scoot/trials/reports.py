"""Pruned trials: what they would have reached, from what they reported before they were cut."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np


Reports = Mapping[int, float]
"""Step to the value reported there, as ``trial.intermediate_values``; minimised."""


def believed_finals(
    pruned: Sequence[Reports], completed: Sequence[Reports], finals: Sequence[float]
) -> np.ndarray:
    """Return the values that pruned trials would have ended with.

    The last report, and on top what trials that went on from that step have gained since, in the
    median. No pruned trial is believed to beat one that has completed: that is why it was cut.

    Args:
        pruned: Reports of p pruned trials.
        completed: Reports of n completed trials; they may have none.
        finals: Their values, minimised, shape (n,).

    Returns:
        Values of shape (p,); NaN for a trial without any finite report.
    """
    gains: dict[int, float] = {}
    best = min(finals, default=-math.inf)
    out = np.full(len(pruned), np.nan)
    for i, reports in enumerate(pruned):
        finite = [step for step, value in reports.items() if math.isfinite(value)]
        if not finite:
            continue
        step = max(finite)
        if step not in gains:
            gains[step] = _gain_since(step, completed, finals)
        out[i] = max(reports[step] + gains[step], best)
    return out


def _gain_since(step: int, completed: Sequence[Reports], finals: Sequence[float]) -> float:
    """Return the median change from the report at a step to the end; 0 where no trial tells."""
    changes = [
        final - reports[step]
        for reports, final in zip(completed, finals, strict=True)
        if math.isfinite(reports.get(step, math.nan)) and math.isfinite(final)
    ]
    return float(np.median(changes)) if changes else 0.0
