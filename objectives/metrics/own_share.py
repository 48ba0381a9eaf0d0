"""How much of the measured latencies was the load generator's own, not the server's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


LATENCIES = ("ttft", "tpot", "itl", "e2el")
LARGEST_SHARE = 0.05
NEGLIGIBLE_MS = {"ttft": 5.0, "e2el": 5.0, "tpot": 0.5, "itl": 0.5}
"""A smaller share is no reason to refuse a latency, however short it is."""


@dataclass(frozen=True, slots=True)
class OwnShare:
    """Seconds that the load generator itself added to what it measured, as far as it can tell.

    Of TTFT and E2EL: from ``sent`` until the request was on its way, as far as that was not the
    network's, and from a token's arrival until it was read. Of TPOT and ITL, which are
    differences: by how much the two moments were read later than each other.

    Attributes:
        ttft: Of each request that completed.
        e2el: Of each request that completed.
        tpot: Of each request that completed with more than one token.
        itl: Of each gap between token events.
    """

    ttft: Sequence[float] = ()
    e2el: Sequence[float] = ()
    tpot: Sequence[float] = ()
    itl: Sequence[float] = ()

    def milliseconds(self, latency: str, percentile: float | None = None) -> float:
        """Return the share of a latency; 0 where there is none.

        Args:
            latency: "ttft", "tpot", "itl" or "e2el".
            percentile: Within [0, 100]; None: the mean.
        """
        values = np.asarray(getattr(self, latency), dtype=float) * 1000
        if not values.size:
            return 0.0
        return float(values.mean() if percentile is None else np.percentile(values, percentile))

    def spoils(self, latency: str, percentile: float | None, measured_ms: float) -> bool:
        """Return whether so much of a latency is this side's that it says little of the server.

        Args:
            latency: As for ``milliseconds``.
            percentile: As for ``milliseconds``.
            measured_ms: What was measured, in milliseconds.
        """
        allowed = max(LARGEST_SHARE * measured_ms, NEGLIGIBLE_MS[latency])
        return self.milliseconds(latency, percentile) > allowed

    def as_dict(self) -> dict[str, float]:
        """Return what is known, means and 99th percentiles, by names as ``own_ttft_ms_p99``."""
        shares: dict[str, float] = {}
        for latency in (name for name in LATENCIES if len(getattr(self, name))):
            shares[f"own_{latency}_ms_mean"] = self.milliseconds(latency)
            shares[f"own_{latency}_ms_p99"] = self.milliseconds(latency, 99)
        return shares
