"""What a run that has not ended can still come to, from the records of its requests so far.

Two outlooks, each with a latency for every request of the workload:

- ``certain``: no request can do better. One that is answered has its latency; one that waits has
  waited so long at least; one that was not sent may be answered at once.
- ``likely``: where a tenth of the requests sent wait, and more than before, the engine goes on
  admitting requests at the best pace that it has shown, first come, first served, and decodes
  them as fast as the fastest quarter so far. Where requests come faster, their waits grow without
  bound, and that is known long before they have waited. Waits follow Lindley's recursion,
  start[k] = max(arrival[k], start[k - 1]) + work[k] / pace, with the pace in requests, in prompt
  tokens and in all tokens; what lets a request wait least counts.

A statistic of these latencies is a bound of the one that the whole run would have: means and
percentiles never fall when a latency rises.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np


if TYPE_CHECKING:
    from objectives.goals import Metric
    from objectives.metrics import GoodputSLO
    from objectives.metrics import RequestRecord
    from objectives.workload import Workload


LEAST_SHARE = 0.05
"""Share of the requests whose first token must have come before ``likely`` says anything."""
OPTIMISM = 1.1
"""How much faster than that it may become, as when the load dies down."""
LEAST_FIRST_TOKENS = 10
"""In the later half of the time so far, for the same."""
LEAST_QUEUE = 0.1
"""Share of the requests sent that must wait for it: below, the pace is that of the arrivals."""
N_WINDOWS = 3
"""The pace of the engine is the best of so many equal parts of the later half of the time so far;
in the earlier one it fills its empty cache, and is faster than it can stay."""
FAST_QUANTILE = 0.25


@dataclass(frozen=True)
class Outlook:
    """The least latencies of all requests of a workload, in seconds.

    Attributes:
        ttft: Time to first token, shape (n,), ≥ 0.
        e2el: End-to-end latency, shape (n,).
        tpot: Time per output token, shape (n,); NaN where one token is asked for.
        tokens: Output tokens asked for, shape (n,).
        failed: Which requests have failed, Booleans of shape (n,).
        begun: Which requests have their first token, Booleans of shape (n,).
        duration: The least duration of the whole run.
    """

    ttft: np.ndarray
    e2el: np.ndarray
    tpot: np.ndarray
    tokens: np.ndarray
    failed: np.ndarray
    begun: np.ndarray
    duration: float

    def best(self, metric: Metric, slo: GoodputSLO | None = None) -> float:
        """Return the best value that a metric can come to, in its unit.

        Args:
            metric: A latency or a rate.
            slo: What goodput counts by.

        Returns:
            A lower bound of a latency, an upper bound of a rate. One that says nothing (0 or
            infinity) for ITL, whose gaps nobody can count beforehand.
        """
        done = ~self.failed
        if metric.name == "throughput":
            return float(done.sum() / self.duration)
        if metric.name == "output_throughput":
            return float(self.tokens[done].sum() / self.duration)
        if metric.name == "goodput":
            return math.inf if slo is None else float(self._keeps(slo).sum() / self.duration)
        if metric.name == "itl":
            return 0.0
        values = {"ttft": self.ttft, "tpot": self.tpot, "e2el": self.e2el}[metric.name] * 1000.0
        values = values[~np.isnan(values)]
        if not len(values):
            return 0.0
        if metric.percentile is None:
            return float(values.mean())
        return float(np.percentile(values, metric.percentile))

    @property
    def share_begun(self) -> float:
        """Return the share of requests that have their first token, within [0, 1]."""
        return float(self.begun.mean()) if len(self.begun) else 0.0

    def _keeps(self, slo: GoodputSLO) -> np.ndarray:
        kept = ~self.failed
        pairs = ((slo.ttft_ms, self.ttft), (slo.tpot_ms, self.tpot), (slo.e2el_ms, self.e2el))
        for limit, values in pairs:
            if limit is not None:
                kept &= ~(values * 1000.0 > limit)  # NaN keeps every limit
        return np.asarray(kept)


def certain(workload: Workload, records: Sequence[RequestRecord], now: float) -> Outlook:
    """Return what no request can do better than.

    Args:
        workload: All requests.
        records: Those that were sent, as far as they have come; ``error`` is set where one failed.
        now: Seconds since the start of the run.
    """
    return _Seen(workload, records, now).outlook()


def so_far(workload: Workload, records: Sequence[RequestRecord], now: float) -> Outlook:
    """Return what the requests sent have come to alone; arguments as for ``certain``."""
    return _Seen(workload, records, now).so_far()


def likely(
    workload: Workload,
    records: Sequence[RequestRecord],
    now: float,
    optimism: float = OPTIMISM,
) -> Outlook | None:
    """Return what requests come to if the engine keeps the best pace that it has shown.

    None where too few requests were answered to tell, or where the queue does not grow: then the
    pace is that of the arrivals, and says nothing of the engine. Arguments as for ``certain``, and
    ``optimism``: how many times as fast as it was the engine may become.
    """
    return _Seen(workload, records, now).projected(optimism)


class _Seen:
    """What the records say, as arrays over all requests; NaN where they say nothing."""

    def __init__(self, workload: Workload, records: Sequence[RequestRecord], now: float) -> None:
        n = len(workload.requests)
        place = {scheduled.index: i for i, scheduled in enumerate(workload.requests)}
        self.now = now
        self.due = np.array([scheduled.time for scheduled in workload.requests])
        self.tokens = np.array(
            [scheduled.request.output_tokens for scheduled in workload.requests]
        )
        self.prompts = np.array([float(s.request.prompt_tokens) for s in workload.requests])
        self.sent, self.first, self.last = (np.full(n, np.nan) for _ in range(3))
        self.failed = np.zeros(n, dtype=bool)
        for record in records:
            i = place[record.index]
            self.sent[i] = record.sent
            self.failed[i] = record.error is not None
            if record.error is None and record.first_token is not None:
                self.first[i] = record.first_token
                if record.output_tokens and record.last_token is not None:
                    self.last[i] = record.last_token

    def outlook(
        self, first: np.ndarray | None = None, per_token: float = 0.0, end: float = 0.0
    ) -> Outlook:
        """Return the least latencies.

        Args:
            first: The earliest first token of requests that have none.
            per_token: The least time of a token after the first.
            end: The earliest end of the run.
        """
        now, later = self.now, self.tokens - 1
        begun = np.where(np.isnan(self.sent), np.maximum(self.due, now), self.sent)
        least = np.maximum(now, begun) if first is None else np.maximum(first, begun)
        known = ~np.isnan(self.first)
        first_token = np.where(known, self.first, least)
        ended = ~np.isnan(self.last)
        last_token = np.where(ended, self.last, np.maximum(now, first_token + later * per_token))
        # What was not sent may be answered at once.
        last_token = np.where(
            ~ended & np.isnan(self.sent), first_token + later * per_token, last_token
        )
        e2el = last_token - begun
        ttft = first_token - begun
        # A request that waits may get all its tokens at once.
        decoding = np.where(known | (per_token > 0.0), e2el - ttft, 0.0)
        # What failed counts as late as an answer can be, which only the engine knows.
        e2el, ttft, decoding = (np.where(self.failed, 0.0, x) for x in (e2el, ttft, decoding))
        tpot = np.where(later > 0, decoding / np.maximum(later, 1), np.nan)
        duration = max(now, float(last_token.max()), end)
        return Outlook(ttft, e2el, tpot, self.tokens, self.failed, known, duration)

    def so_far(self) -> Outlook:
        """Return the latencies of the requests that were sent alone, as far as they have come."""
        sent = ~np.isnan(self.sent)
        whole = self.outlook()
        done = ~np.isnan(self.last) | self.failed
        return Outlook(
            whole.ttft[sent],
            whole.e2el[sent],
            whole.tpot[sent & ~np.isnan(self.first)],
            self.tokens[done],
            self.failed[done],
            ~np.isnan(self.first[sent]),
            max(self.now, 1e-9),
        )

    def _queue_grows(self) -> bool:
        """Return whether many requests wait, and more than halfway through the time so far."""
        if np.nanmax(self.due) <= self.now:  # all have come: it can but shrink
            return self._waiting(self.now) >= LEAST_QUEUE * len(self.due)
        n_sent = int((~np.isnan(self.sent)).sum())
        return self._waiting(self.now) >= max(
            10.0, LEAST_QUEUE * n_sent, 1.2 * self._waiting(self.now / 2)
        )

    def _waiting(self, moment: float) -> int:
        """Return how many requests waited for their first token at a moment."""
        came = (self.sent <= moment) & ~self.failed
        return int((came & ~(self.first <= moment)).sum())

    def projected(self, optimism: float) -> Outlook | None:
        """Return the least latencies at the best pace so far."""
        known = ~np.isnan(self.first)
        if known.sum() < LEAST_SHARE * len(known) or not self._queue_grows():
            return None
        half = self.now / 2
        if (self.first[known] >= half).sum() < LEAST_FIRST_TOKENS:
            return None
        waiting = np.flatnonzero(~known & ~self.failed)
        order = waiting[np.argsort(self.due[waiting], kind="stable")]
        arrivals = np.maximum(self.due[order], self.now)
        first = np.full(len(known), np.inf)
        for work in (np.ones(len(known)), self.prompts, self.prompts + self.tokens):
            begun = np.histogram(
                self.first[known], N_WINDOWS, (half, self.now), weights=work[known]
            )[0]
            steps = np.cumsum(work[order]) * (half / N_WINDOWS / (optimism * begun.max()))
            starts = np.maximum.accumulate(arrivals - steps) + steps
            first[order] = np.minimum(first[order], starts)
        done = ~np.isnan(self.last) & (self.tokens > 1)
        per_token = 0.0
        if done.any():
            spans = (self.last[done] - self.first[done]) / (self.tokens[done] - 1)
            per_token = float(np.quantile(spans, FAST_QUANTILE))
        return self.outlook(first, per_token)
