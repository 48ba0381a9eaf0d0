"""One run of a workload in an event loop: a pacer, a task a request, the wait for their end."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import numpy as np

from objectives.loadgen.connections import BrokenOff
from objectives.loadgen.connections import ConnectionPool
from objectives.loadgen.exchange import Exchange
from objectives.loadgen.exchange import RequestFailed
from objectives.loadgen.exchange import RunClock
from objectives.loadgen.exchange import describe_error
from objectives.loadgen.exchange import never_sent
from objectives.loadgen.options import LoadOptions
from objectives.loadgen.requests import RequestEncoder
from objectives.metrics import FailureKind
from objectives.metrics import LoadResult
from objectives.metrics import RequestRecord
from objectives.metrics import ShouldEnd
from objectives.redaction import hide
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


_TICK_S = 0.25  # how often progress is reported and should_abort is asked
_ASK_S = 1.0  # how often should_end is asked
_PROBE_S = 0.02  # how often a timer shows how late this process is woken
_LONGEST_DETAIL = 200  # characters of a server's words that go into a record


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        elapsed_s: Seconds since its start.
        total: Requests of the workload.
        sent: Requests that have been sent.
        completed: Requests that were answered in full.
        failed: Requests that failed.
        last_token_s: When the latest token of any request came, 0 before the first.
    """

    elapsed_s: float
    total: int
    sent: int
    completed: int
    failed: int
    last_token_s: float = 0.0


@dataclass(slots=True)
class LoadRun:
    """One run of a workload: a pacer, a task a request, and the wait for their end.

    Attributes:
        clock: Of the run.
        pool: The connections.
        encoder: Of the requests.
        workload: See ``generator.run``, as for all that follow.
    """

    clock: RunClock
    pool: ConnectionPool
    encoder: RequestEncoder
    workload: Workload
    prompts: Sequence[str]
    options: LoadOptions
    on_progress: Callable[[Progress], None] | None
    should_abort: Callable[[], str | None] | None
    should_end: ShouldEnd | None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _sent: dict[int, Exchange | RequestRecord] = field(default_factory=dict)  # record: is over
    _n_over: int = 0
    _n_failed: int = 0
    _finished: asyncio.Event = field(default_factory=asyncio.Event)
    _fault: BaseException | None = None
    _asked_at: float = 0.0
    _last_idle: float = 0.0
    _ended_early: str | None = None

    async def whole(self) -> LoadResult:
        """Run the workload to its end."""
        self._start(self._pace())
        self._start(self._probe())
        try:
            unfinished = await self._wait()
            duration = self.clock.now()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.pool.close()
        if self._fault is not None:
            raise self._fault
        return self._result(duration, unfinished)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._fault = task.exception()  # of this module, not of a request
            self._finished.set()

    async def _pace(self) -> None:
        """Start each request when it is due, never waiting for another."""
        for scheduled, prompt in zip(self.workload.requests, self.prompts, strict=True):
            request = self.encoder.encode(scheduled, prompt)  # while there is time
            await asyncio.sleep(scheduled.time - self.clock.now())
            self._start(self._request(scheduled, request))

    async def _probe(self) -> None:
        """Have the loop woken by a timer again and again, so that its selector sees how late."""
        while True:
            await asyncio.sleep(_PROBE_S)

    async def _wait(self) -> str:
        """Wait until every request is over; return the error of those that are not."""
        last_arrival = self.workload.requests[-1].time
        while not self._finished.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._finished.wait()
            if self.on_progress is not None:
                self.on_progress(self._progress())
            if self.should_abort is not None and (reason := self.should_abort()):
                return f"{FailureKind.ABORTED}: {reason}"
            if self._is_stalled():
                seconds = f"{self.options.request_timeout_s:g} s"
                return f"{FailureKind.TIMEOUT}: no token of any request came for {seconds}"
            if self._is_hopeless():
                return f"{FailureKind.ABORTED}: the run ended early"
            if self.clock.now() - last_arrival > self.options.drain_timeout_s:
                seconds = f"{self.options.drain_timeout_s:g} s"
                return f"{FailureKind.DRAIN_TIMEOUT}: not done {seconds} after the last arrival"
        return f"{FailureKind.ABORTED}: the run ended"

    def _is_stalled(self) -> bool:
        """Return whether all that ran so long ago has timed out, and nothing came since."""
        now = self.clock.now()
        if self._n_over == len(self._sent):
            self._last_idle = now
        return now - max(self.clock.last_token, self._last_idle) > self.options.request_timeout_s

    def _is_hopeless(self) -> bool:
        """Ask, about once a second, whether to end the run, and note why."""
        now = self.clock.now()
        if self.should_end is None or self._finished.is_set() or now - self._asked_at < _ASK_S:
            return False
        self._asked_at = now
        # Nothing here may take long: the event loop waits.
        records = [
            each.so_far() if isinstance(each, Exchange) else each for each in self._sent.values()
        ]
        self._ended_early = self.should_end(records, now)
        return self._ended_early is not None

    async def _request(self, scheduled: ScheduledRequest, request: bytes) -> None:
        """Send one request and follow its answer to the end, whatever the end is."""
        exchange = Exchange(scheduled, self.clock, self.clock.now())
        self._sent[scheduled.index] = exchange
        limit = self.options.request_timeout_s
        error = None
        try:
            async with asyncio.timeout(limit):
                await self._follow(exchange, request)
            exchange.check_complete()
        except TimeoutError:
            error = f"{FailureKind.TIMEOUT}: no complete answer within {limit:g} s"
        except RequestFailed as failure:
            error = self._clean(str(failure))
        except UnicodeDecodeError:
            error = f"{FailureKind.STREAM}: the answer is not UTF-8"
        except (BrokenOff, OSError) as failure:
            error = self._clean(describe_error(failure, exchange))
        self._note(exchange, error)

    async def _follow(self, exchange: Exchange, request: bytes) -> None:
        connection = self.pool.take()
        if connection is None:
            connection = await self.pool.open()
            exchange.own_send = self.clock.selector.waited(time.perf_counter())
        try:
            await connection.exchange(request, exchange)
        finally:
            self.pool.give_back(connection)

    def _note(self, exchange: Exchange, error: str | None) -> None:
        """Keep what is to be told of a request that is over."""
        self._sent[exchange.scheduled.index] = exchange.record(error)
        self._n_over += 1
        self._n_failed += error is not None
        if self._n_over == len(self.workload.requests):
            self._finished.set()

    def _clean(self, error: str) -> str:
        """Make a server's words fit to record: one line, not long, without secrets."""
        options = self.options
        line = " ".join(hide(error, {options.api_key or "", *options.secrets}).split())
        return line if len(line) <= _LONGEST_DETAIL else line[:_LONGEST_DETAIL] + " ..."

    def _progress(self) -> Progress:
        return Progress(
            elapsed_s=self.clock.now(),
            total=len(self.workload.requests),
            sent=len(self._sent),
            completed=self._n_over - self._n_failed,
            failed=self._n_failed,
            last_token_s=self.clock.last_token,
        )

    def _record(self, scheduled: ScheduledRequest, unfinished: str) -> RequestRecord:
        seen = self._sent.get(scheduled.index)
        if seen is None:
            return never_sent(scheduled, unfinished)
        return seen.record(unfinished) if isinstance(seen, Exchange) else seen

    def _result(self, duration: float, unfinished: str) -> LoadResult:
        requests = self.workload.requests
        records = tuple(self._record(scheduled, unfinished) for scheduled in requests)
        sent = records[: len(self._sent)]  # in this order they are
        late = [record.sent - record.scheduled for record in sent] or [0.0]
        done = [record for record in records if record.completed]
        return LoadResult(
            records=records,
            duration=duration,
            max_lateness_s=max(late),
            p99_lateness_s=float(np.percentile(late, 99)),
            lateness_limit_s=self.options.lateness_limit_s,
            short_outputs=sum(r.output_tokens < r.requested_tokens for r in done),
            prompt_length_mismatches=sum(
                r.prompt_tokens != requests[r.index].request.prompt_tokens for r in done
            ),
            longest_s=self._longest(),
            ended_early=self._ended_early,
        )

    def _longest(self) -> float | None:
        """Return the seconds that no answer can exceed; None when nothing limits them."""
        until_given_up = self.workload.requests[-1].time + self.options.drain_timeout_s
        longest = min(self.options.request_timeout_s, until_given_up)
        return longest if math.isfinite(longest) else None
