"""One request and its answer: from the body that is sent to the record of what happened."""

from __future__ import annotations

import errno
import json
import time
from array import array
from dataclasses import dataclass
from dataclasses import field
from http import HTTPStatus
from itertools import pairwise

from objectives.loadgen.connections import BrokenOff
from objectives.loadgen.loop_watch import WatchedSelector
from objectives.loadgen.sse import SSEDecoder
from objectives.metrics import FailureKind
from objectives.metrics import RequestRecord
from objectives.workload import ScheduledRequest


_OWN_FAULTS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL}
_LONGEST_ERROR = 4096  # bytes of the body of an error that are read


class RequestFailed(Exception):
    """A request failed for a reason that the exchange itself found."""


@dataclass(slots=True)
class RunClock:
    """The clock of a run, and what every exchange notes in one place.

    Attributes:
        selector: Of the event loop.
        start: When the run began, by ``time.perf_counter``.
        last_token: When the latest token event of any request came, in seconds from the start.
    """

    selector: WatchedSelector
    start: float
    last_token: float = 0.0

    def now(self) -> float:
        """Return the seconds from the start."""
        return time.perf_counter() - self.start


@dataclass(slots=True)
class Exchange:
    """One request under way; times in seconds from the start of the run.

    Attributes:
        scheduled: The request and when it is due.
        clock: Of the run.
        sent: When it was sent.
        own_send: Seconds from ``sent`` on that were this side's, until it was on its way.
        events: When its token events came.
        waits: Seconds that each of them had waited when it was read.
        prompt_tokens: As the server counts them; None: not known.
        output_tokens: As the server counts them; None: not known.
    """

    scheduled: ScheduledRequest
    clock: RunClock
    sent: float
    own_send: float = 0.0
    events: array[float] = field(default_factory=lambda: array("d"))
    waits: array[float] = field(default_factory=lambda: array("f"))
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    _refusal: bytearray | None = None
    _status: int = 0
    _decoder: SSEDecoder = field(default_factory=SSEDecoder)

    def take_status(self, status: int) -> None:
        """Note the status; see ``connections.Receiver``."""
        self._status = status
        if status != HTTPStatus.OK:
            self._refusal = bytearray()

    def take_body(self, data: bytes, now: float) -> None:
        """Take a part of the answer; see ``connections.Receiver``.

        Raises:
            RequestFailed: The server sent an error, or what is no stream of completions.
            UnicodeDecodeError: It is not UTF-8.
        """
        if self._refusal is not None:
            self._refusal += data
            if len(self._refusal) >= _LONGEST_ERROR:
                self.check_complete()
            return
        for payload in self._decoder.feed(data):
            if payload != "[DONE]":
                self._take(payload, now)

    def _take(self, payload: str, now: float) -> None:
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
            self._note_event(now)
        usage = message.get("usage")
        if isinstance(usage, dict):
            self.prompt_tokens = _count(usage.get("prompt_tokens"))
            self.output_tokens = _count(usage.get("completion_tokens"))

    def _note_event(self, now: float) -> None:
        clock = self.clock
        self.waits.append(clock.selector.waited(now))
        clock.last_token = now - clock.start
        self.events.append(clock.last_token)

    def check_complete(self) -> None:
        """Refuse an answer that is an error, or ended without its tokens or without their count.

        Raises:
            RequestFailed: Says which.
        """
        if self._refusal is not None:
            text = self._refusal.decode(errors="replace")
            raise RequestFailed(f"{FailureKind.HTTP_STATUS}: {self._status} {text}")
        if not self.events:
            raise RequestFailed(f"{FailureKind.STREAM}: the answer held no token")
        if not self.output_tokens:
            raise RequestFailed(
                f"{FailureKind.STREAM}: ended after {len(self.events)} events without the token "
                "counts that stream_options.include_usage asks for"
            )

    def so_far(self) -> RequestRecord:
        """Return what is known of a request under way, without the gaps of its tokens."""
        request = self.scheduled.request
        return RequestRecord(
            index=self.scheduled.index,
            scheduled=self.scheduled.time,
            sent=self.sent,
            first_token=self.events[0] if self.events else None,
            last_token=None,
            prompt_tokens=request.prompt_tokens,
            output_tokens=0,
            requested_tokens=request.output_tokens,
        )

    def record(self, error: str | None) -> RequestRecord:
        """Return the record of a request that is over; ``error`` says why it failed."""
        request = self.scheduled.request
        gaps = pairwise(self.events)
        return RequestRecord(
            index=self.scheduled.index,
            scheduled=self.scheduled.time,
            sent=self.sent,
            first_token=self.events[0] if self.events else None,
            last_token=self.events[-1] if self.events else None,
            prompt_tokens=self.prompt_tokens or request.prompt_tokens,
            output_tokens=self.output_tokens or 0,
            inter_token_latencies=array("d", [after - before for before, after in gaps]),
            error=error,
            requested_tokens=request.output_tokens,
            own_send=self.own_send,
            waits=self.waits,
        )


def never_sent(scheduled: ScheduledRequest, error: str) -> RequestRecord:
    """Return the record of a request that was not sent before the run ended."""
    return RequestRecord(
        index=scheduled.index,
        scheduled=scheduled.time,
        sent=scheduled.time,
        first_token=None,
        last_token=None,
        prompt_tokens=scheduled.request.prompt_tokens,
        output_tokens=0,
        error=error,
        requested_tokens=scheduled.request.output_tokens,
    )


def blames_request(status: int) -> bool:
    """Return whether an HTTP status blames the request, not the load on the server."""
    passing = (
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    )
    return 400 <= status < 500 and status not in passing


def describe_error(error: BrokenOff | OSError, exchange: Exchange) -> str:
    """Put a network error into words that begin with its kind."""
    words = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.errno in _OWN_FAULTS:
        return f"{FailureKind.CLIENT}: {words}"
    if isinstance(error, BrokenOff) and error.begun:
        return f"{FailureKind.STREAM}: broken off after {len(exchange.events)} events ({words})"
    return f"{FailureKind.CONNECTION}: {words}"


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
