"""The dynamic threshold Δ of the probability of feasibility (paper, algorithm 1).

Δ rises when a suggestion crashes and falls after a streak that ran, so that the search keeps clear
of the crashes and yet dares to look at their border.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class FeasibilityThreshold:
    """The five numbers that move the threshold Δ (paper, algorithm 1).

    Attributes:
        initial: Δ before the first suggestion of the model; also Δ's least value after a crash.
        step: How far one crash raises it, and one streak lowers it.
        maximum: The largest Δ, within [0, 1].
        minimum: The smallest Δ, within [0, 1].
        window: How many suggestions in a row must run before Δ falls, ≥ 1.

    Raises:
        ValueError: When the numbers contradict one another.
    """

    initial: float = 0.5
    step: float = 0.05
    maximum: float = 0.75
    minimum: float = 0.25
    window: int = 5

    def __post_init__(self) -> None:
        if not 0.0 <= self.minimum <= self.initial <= self.maximum <= 1.0:
            raise ValueError(
                "FeasibilityThreshold needs 0 <= minimum <= initial <= maximum <= 1, got "
                f"minimum={self.minimum}, initial={self.initial}, maximum={self.maximum}."
            )
        if self.step < 0.0 or self.window < 1:
            raise ValueError(
                "FeasibilityThreshold needs step >= 0 and window >= 1, got "
                f"step={self.step}, window={self.window}."
            )

    def after(self, ran: Iterable[bool]) -> float:
        """Return Δ after a history of suggestions (paper, algorithm 1).

        Args:
            ran: For each suggestion of the model, in order, whether it ran (True) or crashed.

        Returns:
            The threshold, within [minimum, maximum].
        """
        threshold = self.initial
        streak = 0
        for outcome in ran:
            if outcome:
                streak += 1
                if streak == self.window:
                    threshold = max(self.minimum, threshold - self.step)
                    streak = 0
            else:
                # After a long calm a single crash brings Δ back to its initial value at least.
                threshold = min(self.maximum, max(threshold + self.step, self.initial))
                streak = 0
        return threshold
