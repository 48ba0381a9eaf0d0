"""The metrics of a run from the records of its requests, as ``objectives.metrics`` defines."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from dataclasses import replace

import numpy as np

from objectives.metrics.admission import admission
from objectives.metrics.records import RequestRecord


PERCENTILES = (50, 90, 95, 99)


class MetricsError(ValueError):
    """The records do not define the metric that was asked for."""


class NoCompletedRequests(MetricsError):
    """Nothing completed, so that no metric has a value."""


@dataclass(frozen=True, slots=True)
class GoodputSLO:
    """Limits that a request must keep to count for goodput.

    Attributes:
        ttft_ms: Largest time to first token in milliseconds; None: no limit.
        tpot_ms: Largest time per output token in milliseconds; None: no limit. A request of
            one token keeps every such limit, as in ``vllm bench serve``.
        e2el_ms: Largest end-to-end latency in milliseconds; None: no limit.

    Raises:
        MetricsError: When no limit is given, or one is not a positive number.
    """

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2el_ms: float | None = None

    def __post_init__(self) -> None:
        limits = [x for x in (self.ttft_ms, self.tpot_ms, self.e2el_ms) if x is not None]
        if not limits:
            raise MetricsError("a goodput SLO needs at least one of ttft_ms, tpot_ms, e2el_ms")
        if not all(limit > 0 for limit in limits):
            raise MetricsError(f"the limits of a goodput SLO are positive milliseconds: {self}")

    def met_by(self, record: RequestRecord) -> bool:
        """Return whether a request completed within every limit."""
        if not record.completed:
            return False
        pairs = (
            (self.ttft_ms, record.ttft),
            (self.tpot_ms, record.tpot or 0.0),
            (self.e2el_ms, record.latency),
        )
        return all(limit is None or limit / 1000 >= seconds for limit, seconds in pairs)


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """A latency over many requests, in milliseconds.

    Attributes:
        mean: Arithmetic mean.
        std: Standard deviation of the population.
        p50: Median; percentiles interpolate linearly.
        p90: 90th percentile.
        p95: 95th percentile.
        p99: 99th percentile.
        others: Further percentiles that were asked for, as in ``p99.9``.
    """

    mean: float
    std: float
    p50: float
    p90: float
    p95: float
    p99: float
    others: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of_seconds(
        cls, values: Sequence[float] | np.ndarray, others: Sequence[float] = ()
    ) -> LatencySummary | None:
        """Summarise latencies given in seconds; None when there are none.

        Args:
            values: The latencies.
            others: Further percentiles, each within [0, 100].
        """
        if not len(values):
            return None
        ms = np.asarray(values, dtype=float) * 1000
        p50, p90, p95, p99 = (float(p) for p in np.percentile(ms, PERCENTILES))
        further = {f"p{p:g}": float(np.percentile(ms, p)) for p in others}
        return cls(float(np.mean(ms)), float(np.std(ms)), p50, p90, p95, p99, further)

    def by_name(self) -> dict[str, float]:
        """Return every statistic by its name."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**own.pop("others"), **own}


@dataclass(frozen=True, slots=True)
class ServingMetrics:
    """The metrics of one run, as ``objectives.metrics`` defines them.

    Latencies and throughputs are those of the requests that completed, but for ``optimised``.

    Attributes:
        completed: Requests that completed, at least 1.
        failed: Requests that did not.
        duration_s: Seconds from the start of the run to the end of the drain.
        total_input_tokens: Prompt tokens of the completed requests.
        total_output_tokens: Output tokens of the completed requests.
        request_throughput: Completed requests a second.
        output_throughput: Output tokens a second.
        total_token_throughput: Prompt and output tokens a second.
        goodput: Requests a second that kept the SLO; None when no SLO was given.
        ttft_ms: Time to first token.
        tpot_ms: Time per output token; None when no request had two tokens.
        itl_ms: Inter-token latency; None when no request had two token events.
        e2el_ms: End-to-end latency.
        scheduled_ttft_ms: Time to first token from when the request was due, not from when it was
            sent: what a client that keeps to its schedule would have seen.
        scheduled_e2el_ms: End-to-end latency from when the request was due.
        arrival_rate: Requests a second that were due in the second half of the arrivals; None
            where there are too few requests for a trend.
        admission_rate: Requests a second that got their first token in that time. Where it is
            clearly below ``arrival_rate``, the queue grows (``objectives.metrics.admission``).
        optimised: The metrics under their flat names once more, with every failed request counted
            as one that was answered as late as a request may be. Without failures it is
            ``as_dict``.
    """

    completed: int
    failed: int
    duration_s: float
    total_input_tokens: int
    total_output_tokens: int
    request_throughput: float
    output_throughput: float
    total_token_throughput: float
    goodput: float | None
    ttft_ms: LatencySummary
    tpot_ms: LatencySummary | None
    itl_ms: LatencySummary | None
    e2el_ms: LatencySummary
    scheduled_ttft_ms: LatencySummary
    scheduled_e2el_ms: LatencySummary
    arrival_rate: float | None = None
    admission_rate: float | None = None
    optimised: Mapping[str, float] = field(default_factory=dict, repr=False)

    def as_dict(self) -> dict[str, float]:
        """Return every metric that has a value under a flat name, as ``ttft_ms_p95``."""
        flat: dict[str, float] = {}
        for name in (each.name for each in fields(self) if each.name != "optimised"):
            value = getattr(self, name)
            if isinstance(value, LatencySummary):
                flat.update((f"{name}_{s}", number) for s, number in value.by_name().items())
            elif value is not None:
                flat[name] = float(value)
        return flat

    def value(self, name: str) -> float:
        """Return one metric by its flat name as an objective takes it: failures count.

        A request that fails instead of being answered, however late, never improves it.

        Raises:
            MetricsError: When there is no such metric, or this run does not define it.
        """
        if name not in self.optimised:
            known = ", ".join(self.optimised)
            raise MetricsError(f"this run has no metric {name!r}; it has {known}")
        return self.optimised[name]


@dataclass(slots=True)
class _Samples:
    """The latencies of some requests, in seconds."""

    ttft: array[float] = field(default_factory=lambda: array("d"))
    tpot: array[float] = field(default_factory=lambda: array("d"))
    itl: array[float] = field(default_factory=lambda: array("d"))
    e2el: array[float] = field(default_factory=lambda: array("d"))
    lateness: array[float] = field(default_factory=lambda: array("d"))

    def add(self, record: RequestRecord) -> None:
        """Add a request that completed."""
        self.ttft.append(record.ttft)
        self.e2el.append(record.latency)
        self.lateness.append(record.sent - record.scheduled)
        self.itl.extend(record.inter_token_latencies)
        if record.tpot is not None:
            self.tpot.append(record.tpot)

    def add_failed(self, record: RequestRecord, longest: float) -> None:
        """Add a request that failed as if it had taken ``longest`` seconds.

        No answer to it could have a larger value of any kind, nor more gaps between its tokens.
        """
        n_gaps = record.requested_tokens - 1 if record.requested_tokens else 1
        self.ttft.append(longest)
        self.e2el.append(longest)
        self.lateness.append(record.sent - record.scheduled)
        self.itl.extend([longest] * max(n_gaps, len(record.inter_token_latencies)))
        if n_gaps > 0:
            self.tpot.append(longest / n_gaps)


def summarize(
    records: Sequence[RequestRecord],
    duration: float | None = None,
    slo: GoodputSLO | None = None,
    longest_s: float | None = None,
    percentiles: Sequence[float] = (),
) -> ServingMetrics:
    """Compute the metrics of a run.

    Args:
        records: One record a request, failed ones included.
        duration: Seconds from the start of the run to the end of the drain. Without it, the
            time of the last token of all.
        slo: Limits for the goodput.
        longest_s: Seconds that no answer could take longer than; by default the duration. What a
            failed request counts as in what is optimised.
        percentiles: Percentiles of each latency beyond ``PERCENTILES``, each within [0, 100].

    Returns:
        The metrics. ``completed`` and ``failed`` show how much they rest on; whether that
        suffices is for the caller to judge.

    Raises:
        NoCompletedRequests: When no request completed.
        MetricsError: When the duration is not positive.
    """
    done = [record for record in records if record.completed]
    lost = [record for record in records if not record.completed]
    if not done:
        first_error = next((r.error for r in records if r.error), "no request was made")
        raise NoCompletedRequests(f"none of {len(records)} requests completed ({first_error})")
    if duration is None:
        duration = max(record.last_token or 0.0 for record in done)
    if not (duration > 0 and math.isfinite(duration)):
        raise MetricsError(f"the duration of a run is a positive number of seconds: {duration}")
    samples = _Samples()
    for record in done:
        samples.add(record)
    plain = _metrics(samples, done, len(lost), duration, slo, percentiles)
    if (pace := admission(records)) is not None:
        plain = replace(plain, **pace._asdict())
    if lost:
        longest = max(duration if longest_s is None else longest_s, *samples.e2el)
        for record in lost:
            samples.add_failed(record, longest)
        end = max(_latest_end(record, longest_s) for record in lost)
        late = replace(
            _metrics(samples, done, len(lost), max(duration, end), slo, percentiles),
            arrival_rate=plain.arrival_rate,
            admission_rate=plain.admission_rate,
        )
    return replace(plain, optimised=(late if lost else plain).as_dict())


def _latest_end(record: RequestRecord, longest_s: float | None) -> float:
    """Return when a failed request would have ended at the latest, as far as that is known.

    Else a run would get shorter, and its throughput higher, by failing the last request early.
    """
    return max(record.sent + (longest_s or 0.0), record.last_token or 0.0)


def _metrics(
    samples: _Samples,
    done: Sequence[RequestRecord],
    n_failed: int,
    duration: float,
    slo: GoodputSLO | None,
    percentiles: Sequence[float],
) -> ServingMetrics:
    """Return the metrics of given latencies and of the tokens of the requests that completed."""
    lateness = np.asarray(samples.lateness)
    ttft, e2el, scheduled_ttft, scheduled_e2el = (
        LatencySummary.of_seconds(values, percentiles)
        for values in (
            samples.ttft,
            samples.e2el,
            samples.ttft + lateness,
            samples.e2el + lateness,
        )
    )
    assert ttft is not None
    assert e2el is not None
    assert scheduled_ttft is not None
    assert scheduled_e2el is not None
    n_input = sum(record.prompt_tokens for record in done)
    n_output = sum(record.output_tokens for record in done)
    return ServingMetrics(
        completed=len(done),
        failed=n_failed,
        duration_s=duration,
        total_input_tokens=n_input,
        total_output_tokens=n_output,
        request_throughput=len(done) / duration,
        output_throughput=n_output / duration,
        total_token_throughput=(n_input + n_output) / duration,
        goodput=None if slo is None else sum(slo.met_by(r) for r in done) / duration,
        ttft_ms=ttft,
        tpot_ms=LatencySummary.of_seconds(samples.tpot, percentiles),
        itl_ms=LatencySummary.of_seconds(samples.itl, percentiles),
        e2el_ms=e2el,
        scheduled_ttft_ms=scheduled_ttft,
        scheduled_e2el_ms=scheduled_e2el,
    )
