"""A trace in a few figures: how many requests, how fast, how bursty, how long, what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from objectives.traces import Trace
from objectives.traces import TraceError


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PERCENTILES = (50, 90, 99)
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of prompts or of answers, in tokens."""

    mean: float
    p50: float
    p90: float
    p99: float
    longest: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When requests come.

    Attributes:
        duration: Seconds from the first request to the last, > 0.
        rate: Requests a second: (n - 1) / duration.
        busiest_minute: Requests a second in the minute with the most, or None for less than two.
        gap_cv: Coefficient of variation of the gaps; 1 for a Poisson process, above it in bursts.
        burstiness: 1 / gap_cv², what ``--burstiness`` takes; None for equal gaps.
        same_stamp: Share of the requests that have the time of the one before.
    """

    duration: float
    rate: float
    busiest_minute: float | None
    gap_cv: float
    burstiness: float | None
    same_stamp: float


@dataclass(frozen=True, slots=True)
class Sharing:
    """What prompts share, as the trace declares it.

    Attributes:
        requests: Share of the requests that begin with a text that another one has too.
        prefixes: How many such texts there are.
        found: Share of all prompt tokens that a prefix cache without end would find.
    """

    requests: float
    prefixes: int
    found: float


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """What ``summarise`` returns.

    Attributes:
        name: Of the trace.
        requests: How many.
        prompt: Lengths of the prompts.
        output: Lengths of the answers.
        arrivals: None where the trace has no times, or all are equal.
        sharing: None where the prompts are texts, which share what they share.
        notes: Of the trace.
    """

    name: str
    requests: int
    prompt: Lengths
    output: Lengths
    arrivals: Arrivals | None
    sharing: Sharing | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures under their names, fit for JSON."""
        return asdict(self)


def summarise(trace: Trace) -> TraceSummary:
    """Return the figures of a trace.

    Raises:
        TraceError: It holds texts whose tokens are not counted.
    """
    check_counted(trace)
    prompts, outputs = lengths_of(trace)
    return TraceSummary(
        trace.name,
        len(trace.requests),
        _lengths(prompts),
        _lengths(outputs),
        _arrivals(times_of(trace)),
        _sharing(trace, prompts),
        trace.notes,
    )


def check_counted(trace: Trace) -> None:
    """See that every length is known.

    Raises:
        TraceError: It is not.
    """
    if not trace.is_counted:
        raise TraceError(
            f"trace {trace.name!r} holds text whose tokens are not counted: add --model, whose "
            "tokenizer counts them (objectives.prompts.count_texts in Python)"
        )


def lengths_of(trace: Trace) -> tuple[Ints, Ints]:
    """Return the lengths of prompts and of answers, each of shape (n,)."""
    pairs = [(request.prompt_tokens, request.output_tokens) for request in trace.requests]
    prompts, outputs = np.array(pairs, dtype=np.int64).T
    return prompts, outputs


def times_of(trace: Trace) -> Floats | None:
    """Return seconds from the first request, of shape (n,); None where there are no times."""
    if not trace.has_arrival_times:
        return None
    times = np.array([r.arrival_time for r in trace.requests], dtype=np.float64)
    from_first: Floats = times - times[0]
    return from_first


def found_tokens(trace: Trace) -> Ints:
    """Return the tokens of each prompt that a prefix cache without end finds, of shape (n,)."""
    longest: dict[str, int] = {}
    found = []
    for request in trace.requests:
        if request.prefix_id is None:
            found.append(0)
            continue
        seen = longest.get(request.prefix_id, 0)
        found.append(min(seen, request.prefix_tokens))
        longest[request.prefix_id] = max(seen, request.prefix_tokens)
    return np.array(found, dtype=np.int64)


def gaps_cv(times: Sequence[float] | Floats) -> float:
    """Return the coefficient of variation of the gaps between times that do not coincide."""
    gaps = np.diff(np.asarray(times, dtype=np.float64))
    return float(np.std(gaps) / np.mean(gaps))


def _lengths(tokens: Ints) -> Lengths:
    p50, p90, p99 = (float(value) for value in np.percentile(tokens, PERCENTILES))
    return Lengths(float(np.mean(tokens)), p50, p90, p99, int(np.max(tokens)))


def _arrivals(times: Floats | None) -> Arrivals | None:
    if times is None or times[-1] == 0.0:
        return None
    cv = gaps_cv(times)
    minutes = int(times[-1] // MINUTE)  # whole ones alone
    counts = np.histogram(times, bins=minutes, range=(0.0, minutes * MINUTE))[0] if minutes else ()
    return Arrivals(
        duration=float(times[-1]),
        rate=float((len(times) - 1) / times[-1]),
        busiest_minute=float(np.max(counts) / MINUTE) if minutes > 1 else None,
        gap_cv=cv,
        burstiness=1.0 / cv**2 if cv > 1e-9 else None,
        same_stamp=float(np.mean(np.diff(times) == 0.0)),
    )


def _sharing(trace: Trace, prompts: Ints) -> Sharing | None:
    if any(request.prompt is not None for request in trace.requests):
        return None
    names = [r.prefix_id for r in trace.requests if r.prefix_id is not None]
    return Sharing(
        requests=len(names) / len(trace.requests),
        prefixes=len(set(names)),
        found=float(np.sum(found_tokens(trace)) / np.sum(prompts)),
    )
