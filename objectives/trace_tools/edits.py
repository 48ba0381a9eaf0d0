"""A part of a trace, another pace, and a trace without its texts and names."""

from __future__ import annotations

import math
from dataclasses import replace

from objectives.trace_formats.blocks import shared_prefixes
from objectives.trace_tools.summary import check_counted
from objectives.traces import Trace
from objectives.traces import TraceError
from objectives.traces import TraceRequest


_PART = 32  # characters of a text that are compared at once


def cut(trace: Trace, begin: float = 0.0, end: float = math.inf, most: int | None = None) -> Trace:
    """Return a part of a trace.

    Args:
        trace: Any; with arrival times where ``begin`` or ``end`` is given.
        begin: Seconds from the first request; the part's times count from here.
        end: Seconds from the first request, not included.
        most: The first so many requests of it; None takes all.

    Raises:
        TraceError: Nothing is left, or a time is given and the trace has none.
    """
    requests = trace.requests
    if (begin, end) != (0.0, math.inf):
        if not trace.has_arrival_times:
            raise TraceError(f"trace {trace.name!r} has no arrival times to be cut at")
        first = requests[0].arrival_time or 0.0
        offsets = ((r, (r.arrival_time or 0.0) - first) for r in requests)
        requests = tuple(
            replace(r, arrival_time=offset - begin)
            for r, offset in offsets
            if begin <= offset < end
        )
        if not requests:
            raise TraceError(f"trace {trace.name!r} has no request from {begin:g} to {end:g} s")
    return replace(trace, requests=requests[:most])


def scale_rate(trace: Trace, rate: float) -> Trace:
    """Stretch the times of a trace to a mean rate.

    Args:
        trace: With arrival times.
        rate: Requests a second, > 0: (n - 1) / (last - first).

    Raises:
        TraceError: It has no times, or they all coincide.
    """
    first, last = trace.requests[0].arrival_time, trace.requests[-1].arrival_time
    if first is None or last is None:
        raise TraceError(
            f"trace {trace.name!r} has no arrival times to be scaled: tune --rate sets the rate"
        )
    if first == last:
        raise TraceError(f"all requests of trace {trace.name!r} come at once: they have no rate")
    factor = (len(trace.requests) - 1) / (last - first) / rate
    scaled = tuple(
        replace(r, arrival_time=((r.arrival_time or 0.0) - first) * factor) for r in trace.requests
    )
    return replace(trace, requests=scaled)


def anonymise(trace: Trace) -> Trace:
    """Return a trace without texts and names: lengths, times from the first, what is shared.

    What texts share is kept as prefixes, whose length is the share of the prompt's characters, in
    steps of 32. Names of prefixes become numbers.

    Raises:
        TraceError: It holds texts whose tokens are not counted.
    """
    check_counted(trace)
    requests = _without_texts(trace.requests)
    first = requests[0].arrival_time
    names: dict[str, str] = {}
    for request in requests:
        if request.prefix_id is not None:
            names.setdefault(request.prefix_id, f"prefix-{len(names) + 1}")
    anonymous = tuple(
        replace(
            r,
            prefix_id=None if r.prefix_id is None else names[r.prefix_id],
            arrival_time=None if r.arrival_time is None else r.arrival_time - (first or 0.0),
        )
        for r in requests
    )
    return replace(trace, requests=anonymous)


def _without_texts(requests: tuple[TraceRequest, ...]) -> list[TraceRequest]:
    """Return requests whose texts are lengths and prefixes."""
    texts = [r.prompt or "" for r in requests]
    # A part that is cut off at the end is left out: it is equal to no longer text's.
    parts = [[t[i : i + _PART] for i in range(0, len(t) - _PART + 1, _PART)] for t in texts]
    bare = []
    for request, (name, n) in zip(requests, shared_prefixes(parts), strict=True):
        if request.prompt is None:
            bare.append(request)
            continue
        tokens = request.prompt_tokens * n * _PART // len(request.prompt)
        bare.append(
            TraceRequest(
                request.prompt_tokens,
                request.output_tokens,
                request.arrival_time,
                f"text {name}" if tokens else None,
                tokens,
            )
        )
    return bare
