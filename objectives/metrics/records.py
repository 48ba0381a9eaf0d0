"""What happened in a run: one record a request, and what became of the run as a whole."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Why a request failed. The text of ``RequestRecord.error`` begins with the value."""

    CONNECTION = "connection"  # refused, reset, or closed before the answer began
    HTTP_STATUS = "http status"  # an answer other than 200
    STREAM = "stream"  # broken off, malformed, or an error sent within the stream
    TIMEOUT = "timeout"  # longer than a request may take
    DRAIN_TIMEOUT = "drain timeout"  # still running when the time to drain was over
    ABORTED = "aborted"  # the run was called off, for instance because the engine died
    CLIENT = "client"  # this side's fault: out of file descriptors or of ports


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What happened to one request. Times are in seconds from the start of the run.

    Attributes:
        index: Position in the workload, from 0.
        scheduled: When the request was due.
        sent: When it was sent, or was to be sent when it failed before; ``>= scheduled``.
        first_token: When the first token event came; None when none came.
        last_token: When the last token event came; None when none came.
        prompt_tokens: Tokens of the prompt, as the server counted them where it said so.
        output_tokens: Tokens generated, as the server counted them.
        inter_token_latencies: Seconds between successive token events; one fewer than events.
        error: None when the request completed, else a text that begins with a
            ``FailureKind``, as ``"timeout: no answer within 60 s"``.
        requested_tokens: Output tokens that were asked for; 0: not known.
        own_send: Seconds from ``sent`` on that were the load generator's own, until the request
            was on its way.
        waits: Seconds that each token event had waited when it was read; empty: not known.
    """

    index: int
    scheduled: float
    sent: float
    first_token: float | None
    last_token: float | None
    prompt_tokens: int
    output_tokens: int
    inter_token_latencies: Sequence[float] = ()
    error: str | None = None
    requested_tokens: int = 0
    own_send: float = 0.0
    waits: Sequence[float] = ()

    @property
    def completed(self) -> bool:
        """Return whether the request was answered in full."""
        return self.error is None and self.first_token is not None and self.last_token is not None

    @property
    def failure_kind(self) -> FailureKind | None:
        """Return the kind of failure, None when the request completed."""
        if self.error is None:
            return None
        opening = self.error.partition(":")[0]
        return FailureKind(opening) if opening in set(FailureKind) else FailureKind.STREAM

    @property
    def ttft(self) -> float:
        """Return the time to first token in seconds; NaN when no token came."""
        return math.nan if self.first_token is None else self.first_token - self.sent

    @property
    def latency(self) -> float:
        """Return the end-to-end latency in seconds, to the last token; NaN when no token came."""
        return math.nan if self.last_token is None else self.last_token - self.sent

    @property
    def tpot(self) -> float | None:
        """Return the time per output token in seconds; None when there is at most one token."""
        if self.output_tokens <= 1 or not self.completed:
            return None
        return (self.latency - self.ttft) / (self.output_tokens - 1)


ShouldEnd = Callable[[Sequence[RequestRecord], float], str | None]
"""Asked while a load runs with the records of the requests sent so far (without the gaps between
their tokens; of a request under way, ``output_tokens`` is 0) and the seconds since the start. A
text ends the run."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The outcome of one run of a workload against an engine.

    Attributes:
        records: One record a request, in the order of the workload.
        duration: Seconds from the start of the run to the end of the drain.
        max_lateness_s: The largest ``sent - scheduled``: how late the generator itself was.
        p99_lateness_s: Its 99th percentile, which is what the limit applies to: one late
            request in hundreds does not change the load, a late hundredth does.
        lateness_limit_s: The largest ``p99_lateness_s`` of a sound measurement.
        short_outputs: Completed requests with fewer output tokens than they asked for.
        prompt_length_mismatches: Completed requests whose prompt the server counted otherwise
            than the workload does.
        longest_s: Seconds that no answer could take longer than, the same in all runs of a
            workload: what a failed request counts as. None: not known, the duration stands in.
        ended_early: Why the run was ended before its end, None where it was not.
    """

    records: tuple[RequestRecord, ...]
    duration: float
    max_lateness_s: float = 0.0
    p99_lateness_s: float = 0.0
    lateness_limit_s: float = math.inf
    short_outputs: int = 0
    prompt_length_mismatches: int = 0
    longest_s: float | None = None
    ended_early: str | None = None

    @property
    def too_late(self) -> bool:
        """Return whether the generator was too far behind schedule to prove anything."""
        return self.p99_lateness_s > self.lateness_limit_s

    @property
    def completed(self) -> int:
        """Return the number of requests that completed."""
        return sum(record.completed for record in self.records)

    @property
    def failed(self) -> int:
        """Return the number of requests that did not complete."""
        return len(self.records) - self.completed

    def failures(self) -> Counter[FailureKind]:
        """Count the failed requests by kind."""
        return Counter(
            record.failure_kind or FailureKind.STREAM
            for record in self.records
            if not record.completed
        )
