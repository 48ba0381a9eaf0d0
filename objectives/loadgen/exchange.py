"""One request and its answer: from the body that is sent to the record of what happened."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from dataclasses import field
from http import HTTPStatus
from itertools import pairwise

import aiohttp

from objectives.loadgen.options import LoadOptions
from objectives.metrics import FailureKind
from objectives.metrics import RequestRecord
from objectives.workload import ScheduledRequest


_OWN_FAULTS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL}


class RequestFailed(Exception):
    """A request failed for a reason that the exchange itself found."""


@dataclass(slots=True)
class Exchange:
    """One request under way; times in seconds from the start of the run.

    Attributes:
        scheduled: The request and when it is due.
        body: The body of the HTTP request.
        sent: When it was sent; None: not yet.
        events: When its token events came.
        prompt_tokens: As the server counts them; None: not known.
        output_tokens: As the server counts them; None: not known.
        error: Why it failed.
        over: Whether it has ended.
    """

    scheduled: ScheduledRequest
    body: bytes
    sent: float | None = None
    events: list[float] = field(default_factory=list)
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None
    over: bool = False

    def take(self, payload: str, now: float) -> None:
        """Note what one event of the stream says.

        A token event is one that carries a choice, also when its text is empty, which happens
        for special tokens and for bytes held back until a character is whole.
        """
        try:
            message = json.loads(payload)
        except (ValueError, RecursionError) as error:  # numbers too long, lists too deep
            raise RequestFailed(f"{FailureKind.STREAM}: malformed event {payload!r}") from error
        if not isinstance(message, dict) or message.get("error") is not None:
            raise RequestFailed(f"{FailureKind.STREAM}: the server sent {payload!r}")
        if message.get("choices"):
            self.events.append(now)
        usage = message.get("usage")
        if isinstance(usage, dict):
            self.prompt_tokens = _count(usage.get("prompt_tokens"))
            self.output_tokens = _count(usage.get("completion_tokens"))

    def check_complete(self) -> None:
        """Refuse an answer that ended without its tokens or without their count."""
        if not self.events:
            raise RequestFailed(f"{FailureKind.STREAM}: the answer held no token")
        if not self.output_tokens:
            raise RequestFailed(
                f"{FailureKind.STREAM}: ended after {len(self.events)} events without the token "
                "counts that stream_options.include_usage asks for"
            )

    def so_far(self) -> RequestRecord:
        """Return what is known of a request that was sent, without the gaps of its tokens."""
        request = self.scheduled.request
        done = self.over and self.error is None
        return RequestRecord(
            index=self.scheduled.index,
            scheduled=self.scheduled.time,
            sent=self.scheduled.time if self.sent is None else self.sent,
            first_token=self.events[0] if self.events else None,
            last_token=self.events[-1] if done else None,
            prompt_tokens=request.prompt_tokens,
            output_tokens=(self.output_tokens or 0) if done else 0,
            error=self.error if self.over else None,
            requested_tokens=request.output_tokens,
        )

    def record(self, unfinished: str) -> RequestRecord:
        """Return the record; ``unfinished`` is the error of a request that is not over."""
        request = self.scheduled.request
        gaps = pairwise(self.events)
        return RequestRecord(
            index=self.scheduled.index,
            scheduled=self.scheduled.time,
            sent=self.scheduled.time if self.sent is None else self.sent,
            first_token=self.events[0] if self.events else None,
            last_token=self.events[-1] if self.events else None,
            prompt_tokens=self.prompt_tokens or request.prompt_tokens,
            output_tokens=self.output_tokens or 0,
            inter_token_latencies=tuple(after - before for before, after in gaps),
            error=self.error if self.over else unfinished,
            requested_tokens=request.output_tokens,
        )


def request_body(
    model_name: str, scheduled: ScheduledRequest, prompt: str, options: LoadOptions
) -> bytes:
    """Encode the body before the run, so that sending costs little when the request is due."""
    body = {
        "model": model_name,
        "prompt": prompt,
        "max_tokens": scheduled.request.output_tokens,
        "ignore_eos": True,
        "temperature": 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
        **options.extra_body,
    }
    return json.dumps(body).encode()


def blames_request(status: int) -> bool:
    """Return whether an HTTP status blames the request, not the load on the server."""
    passing = (
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    )
    return 400 <= status < 500 and status not in passing


def describe_error(error: aiohttp.ClientError | OSError, exchange: Exchange) -> str:
    """Put a network error into words that begin with its kind."""
    words = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.errno in _OWN_FAULTS:
        return f"{FailureKind.CLIENT}: {words}"
    if exchange.events or isinstance(error, aiohttp.ClientPayloadError):
        return f"{FailureKind.STREAM}: broken off after {len(exchange.events)} events ({words})"
    return f"{FailureKind.CONNECTION}: {words}"


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
