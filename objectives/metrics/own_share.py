"""How much of the measured latencies was the load generator's own, not the server's."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from objectives.metrics.records import RequestRecord


LATENCIES = ("ttft", "tpot", "itl", "e2el")
LARGEST_SHARE = 0.05
NEGLIGIBLE_MS = {"ttft": 5.0, "e2el": 5.0, "tpot": 0.5, "itl": 0.5}
"""A smaller share is no reason to refuse a latency, however short it is."""


@dataclass(frozen=True, slots=True)
class OwnShare:
    """What the load generator itself added to what it measured, as far as it can tell.

    Of TTFT and E2EL: from ``sent`` until the request was on its way, as far as that was not the
    network's, and from a token's arrival until it was read. Of TPOT and ITL, which are
    differences: by how much the later token was read later after its arrival than the earlier.

    Attributes:
        measured: Seconds by the name of the latency, one a request or a gap.
        own: The load generator's seconds of each.
    """

    measured: Mapping[str, np.ndarray]
    own: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, records: Sequence[RequestRecord]) -> OwnShare:
        """Return the share in the requests that completed and of which it is known."""
        measured: dict[str, array[float]] = {name: array("d") for name in LATENCIES}
        own: dict[str, array[float]] = {name: array("d") for name in LATENCIES}
        for record in records:
            if not record.completed or not len(record.waits):
                continue
            first, last = record.waits[0], record.waits[-1]
            measured["ttft"].append(record.ttft)
            own["ttft"].append(record.own_send + first)
            measured["e2el"].append(record.latency)
            own["e2el"].append(record.own_send + last)
            if record.tpot is not None:
                measured["tpot"].append(record.tpot)
                own["tpot"].append((last - first) / (record.output_tokens - 1))
            measured["itl"].extend(record.inter_token_latencies)
            own["itl"].extend(after - before for before, after in pairwise(record.waits))
        return cls(
            {name: np.asarray(values) for name, values in measured.items() if values},
            {name: np.asarray(values) for name, values in own.items() if values},
        )

    def milliseconds(self, latency: str, percentile: float | None = None) -> float:
        """Return by how much a statistic of a latency would be smaller without the share.

        Args:
            latency: "ttft", "tpot", "itl" or "e2el".
            percentile: Within [0, 100]; None: the mean.

        Returns:
            Milliseconds; negative where the statistic would be larger, as that of a gap may be,
            and 0 where nothing is known.
        """
        if latency not in self.measured:
            return 0.0
        seen, without = self.measured[latency], self.measured[latency] - self.own[latency]
        if percentile is None:
            return 1000 * float(seen.mean() - without.mean())
        return 1000 * float(np.percentile(seen, percentile) - np.percentile(without, percentile))

    def spoils(self, latency: str, percentile: float | None, measured_ms: float) -> bool:
        """Return whether so much of a statistic is this side's that it says little of the server.

        Args:
            latency: As for ``milliseconds``.
            percentile: As for ``milliseconds``.
            measured_ms: What was measured, in milliseconds.
        """
        allowed = max(LARGEST_SHARE * measured_ms, NEGLIGIBLE_MS[latency])
        return abs(self.milliseconds(latency, percentile)) > allowed

    def as_dict(self) -> dict[str, float]:
        """Return what is known, of means and 99th percentiles, as ``own_ttft_ms_p99``."""
        shares: dict[str, float] = {}
        for latency in self.measured:
            shares[f"own_{latency}_ms_mean"] = self.milliseconds(latency)
            shares[f"own_{latency}_ms_p99"] = self.milliseconds(latency, 99)
        return shares
