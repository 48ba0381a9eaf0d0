"""A workload: which request of a trace is due when.

It is fixed before the run and depends on the arguments alone, so that every trial of a study faces
the same load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from typing import Literal
from typing import get_args

import numpy as np

from objectives.arrivals import ArrivalsError
from objectives.arrivals import Times
from objectives.arrivals import counted_arrivals
from objectives.arrivals import gamma_arrivals
from objectives.arrivals import replay_arrivals
from objectives.traces import Trace
from objectives.traces import TraceRequest


TooLong = Literal["refuse", "clip", "drop"]


class WorkloadError(ValueError):
    """The workload that was asked for cannot be built; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ScheduledRequest:
    """A request and the moment it is due.

    Attributes:
        index: Position in the workload, from 0.
        time: Seconds from the start of the run.
        request: What to send.
    """

    index: int
    time: float
    request: TraceRequest


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests in the order in which they are due.

    Attributes:
        requests: At least one; ``requests[i].index == i`` and times do not decrease.
        name: Name of the trace.
        duration: Seconds over which the requests arrive.
        n_clipped: Requests shortened to fit the model.
        n_dropped: Requests left out of the whole trace because they do not fit the model.
        prompt_seed: Seed of the prompts that are written for it: with another seed, a prefix cache
            that has seen these finds nothing in those.
    """

    requests: tuple[ScheduledRequest, ...]
    name: str
    duration: float
    n_clipped: int = 0
    n_dropped: int = 0
    prompt_seed: int = 0

    @property
    def offered_rate(self) -> float:
        """Return the requests a second that arrive, on average over the duration."""
        return len(self.requests) / self.duration


def build_workload(
    trace: Trace,
    *,
    rate: float | None = None,
    duration: float,
    burstiness: float = 1.0,
    seed: int = 0,
    replay: bool = False,
    max_model_len: int | None = None,
    too_long: TooLong = "refuse",
    shuffle_seed: int | None = None,
    exact_rate: bool = False,
    first: int = 0,
    prompt_seed: int = 0,
) -> Workload:
    """Schedule the requests of a trace.

    Requests are taken in the order of the trace, from its beginning again when it ends (a replay
    ends with the trace instead). The paper sends Poisson arrivals for 100 seconds (section V-A).

    Args:
        trace: Where the requests come from.
        rate: Requests a second. Needed unless ``replay``, which without it keeps the trace's pace.
        duration: Seconds over which requests arrive.
        burstiness: 1 is Poisson, less comes in bursts, infinity is constant; not for ``replay``.
        seed: Seed of the arrival times.
        replay: Take the arrival times of the trace.
        max_model_len: Longest prompt and answer together that the model takes; None: any.
        too_long: What happens to a request that is longer: ``refuse`` raises an error that counts
            them, ``clip`` shortens and ``drop`` skips the request; both are counted.
        shuffle_seed: Put the requests into another order first; section IV-H of the paper
            measures the best configuration again under several orders.
        exact_rate: Let exactly ``rate * duration`` requests arrive, rounded, and not as many as a
            Poisson process happens to bring; not for ``replay``.
        first: Position in the trace of the first request, >= 0: another load reads on there.
        prompt_seed: See ``Workload``.

    Returns:
        The workload.

    Raises:
        WorkloadError: When the arguments contradict each other or the trace, when requests are too
            long and refused, or when no request arrives within the duration.
    """
    _check(trace, too_long)
    limit = math.inf if max_model_len is None else max_model_len
    pool = [r for r in trace.requests if too_long != "drop" or _fits(r, limit)]
    if not pool:
        raise WorkloadError(f"no request of trace {trace.name!r} fits the model's {limit} tokens")
    times = (
        _replayed_times(trace, pool, rate, duration, burstiness)
        if replay
        else _drawn_times(rate, duration, burstiness, seed, exact_rate)
    )
    if shuffle_seed is not None:
        pool = [pool[i] for i in np.random.default_rng(shuffle_seed).permutation(len(pool))]
    chosen = [pool[(first + i) % len(pool)] for i in range(len(times))]
    n_clipped = 0
    if max_model_len is not None:
        chosen, n_clipped = _shortened(chosen, max_model_len, too_long, trace.name)
    pairs = enumerate(zip(times, chosen, strict=True))
    scheduled = tuple(ScheduledRequest(i, float(time), request) for i, (time, request) in pairs)
    n_dropped = len(trace.requests) - len(pool)
    return Workload(scheduled, trace.name, duration, n_clipped, n_dropped, prompt_seed)


def clip_request(request: TraceRequest, max_model_len: int) -> TraceRequest:
    """Shorten a request so that prompt and answer together fit.

    The prompt is cut first, from its end, but keeps at least half of the room; then the answer.

    Args:
        request: Any request.
        max_model_len: Tokens, >= 2.

    Returns:
        The request itself when it fits, else one that fills the room exactly.

    Raises:
        WorkloadError: When there is no room for a token of prompt and one of answer.
    """
    if max_model_len < 2:
        raise WorkloadError(f"a model of {max_model_len} tokens has no room for a request")
    if _fits(request, max_model_len):
        return request
    room = max(max_model_len - request.output_tokens, max_model_len - max_model_len // 2)
    prompt_tokens = min(request.prompt_tokens, room)
    prefix_tokens = min(request.prefix_tokens, prompt_tokens)
    return replace(
        request,
        prompt_tokens=prompt_tokens,
        output_tokens=max_model_len - prompt_tokens,
        prefix_tokens=prefix_tokens,
    )


def _check(trace: Trace, too_long: str) -> None:
    if too_long not in get_args(TooLong):
        raise WorkloadError(f"too_long must be one of {', '.join(get_args(TooLong))}: {too_long}")
    if not trace.is_counted:
        raise WorkloadError(
            f"trace {trace.name!r} holds text whose tokens are not counted; count them with the "
            "model's tokenizer: optuna-scoot trace FILE --model MODEL --output COUNTED.jsonl, "
            "or objectives.prompts.count_tokens(trace, tokenizer) in Python"
        )


def _shortened(
    requests: list[TraceRequest], max_model_len: int, too_long: TooLong, trace_name: str
) -> tuple[list[TraceRequest], int]:
    """Clip or refuse the requests that do not fit; return all, and how many were too long."""
    long = [request for request in requests if not _fits(request, max_model_len)]
    if long and too_long == "refuse":
        longest = max(r.prompt_tokens + r.output_tokens for r in long)
        raise WorkloadError(
            f"{len(long)} of {len(requests)} requests of trace {trace_name!r} need more tokens "
            f"than the model's {max_model_len} (the longest {longest}): clip or drop them, or "
            "raise the model's limit"
        )
    return [clip_request(request, max_model_len) for request in requests], len(long)


def _fits(request: TraceRequest, limit: float) -> bool:
    return request.prompt_tokens + request.output_tokens <= limit


def _drawn_times(
    rate: float | None, duration: float, burstiness: float, seed: int, exact_rate: bool
) -> Times:
    if rate is None:
        raise WorkloadError("give a rate in requests a second, or replay the trace's own times")
    draw = counted_arrivals if exact_rate else gamma_arrivals
    try:
        times = draw(rate, duration, burstiness, seed)
    except ArrivalsError as error:
        raise WorkloadError(str(error)) from error
    if times.size == 0:
        raise WorkloadError(
            f"no request arrives within {duration:g} s at {rate:g} requests/s: use a longer "
            "duration or a higher rate"
        )
    return times


def _replayed_times(
    trace: Trace,
    requests: Sequence[TraceRequest],
    rate: float | None,
    duration: float,
    burstiness: float,
) -> Times:
    if burstiness != 1.0:
        raise WorkloadError("a replay has the burstiness of its trace: leave burstiness at 1")
    recorded = [r.arrival_time for r in requests if r.arrival_time is not None]
    if not recorded:
        raise WorkloadError(
            f"trace {trace.name!r} has no arrival times to replay: give a rate instead"
        )
    try:
        return replay_arrivals(recorded, duration, rate)
    except ArrivalsError as error:
        raise WorkloadError(str(error)) from error
