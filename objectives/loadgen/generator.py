"""The run of a workload: every request is sent when it is due, whatever happened to the others.

Arrivals never wait for the server. How late the generator itself was is measured and reported.
Answers are streamed; the moments of the token events and the token counts that the server reports
in ``usage`` make one ``RequestRecord`` a request. An event can carry several tokens, so tokens are
never counted by events. Answers are as long as the trace says: ``max_tokens`` with ``ignore_eos``,
at temperature 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import time
from array import array
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
from objectives.loadgen.exchange import request_body
from objectives.loadgen.loop_watch import WatchedSelector
from objectives.loadgen.open_files import SPARE_FILES_NOW
from objectives.loadgen.open_files import check_limits
from objectives.loadgen.options import LoadError
from objectives.loadgen.options import LoadOptions
from objectives.metrics import FailureKind
from objectives.metrics import LoadResult
from objectives.metrics import OwnShare
from objectives.metrics import RequestRecord
from objectives.metrics import ShouldEnd
from objectives.redaction import hide
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


_TICK_S = 0.25  # how often progress is reported and should_abort is asked
_ASK_S = 1.0  # how often should_end is asked
_PROBE_S = 0.02  # how often a timer shows how late this process is woken
_NEVER = 1_000_000_000  # collections of the younger objects before one of all
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


def run(
    endpoint: str,
    model_name: str,
    workload: Workload,
    prompts: Sequence[str],
    options: LoadOptions | None = None,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    should_abort: Callable[[], str | None] | None = None,
    should_end: ShouldEnd | None = None,
) -> LoadResult:
    """Send every request of a workload when it is due, and collect what happens to it.

    Works inside a running event loop too, as in a notebook, by moving to a thread.

    Args:
        endpoint: Address of the server, as ``http://127.0.0.1:8000``.
        model_name: Name under which the server serves the model.
        workload: What to send when.
        prompts: One prompt a request, in the order of the workload; each is taken when its request
            is next.
        options: Time limits and the API key.
        on_progress: Called about four times a second, in the event loop: it must be quick.
        should_abort: Asked about four times a second; a text calls the run off, and every request
            without an answer fails with it. Meant for "the engine has died".
        should_end: Asked about once a second whether the rest of the run is worth its time.

    Returns:
        One record a request, failed ones included, and the lateness of the generator. Whether
        enough completed, and whether it was ``too_late``, is for the caller to judge.

    Raises:
        LoadError: When prompts are missing, the endpoint is not an address, or this process may
            not open a connection for every request.
    """
    if len(prompts) != len(workload.requests):
        raise LoadError(f"{len(prompts)} prompts for {len(workload.requests)} requests")
    options = options or LoadOptions()
    pool = ConnectionPool(endpoint)
    check_limits(workload, options.request_timeout_s, SPARE_FILES_NOW)
    encoder = _Encoder(model_name, pool, options)
    selector = WatchedSelector()
    results: list[LoadResult] = []

    async def whole() -> None:
        clock = RunClock(selector, time.perf_counter())
        run = _Run(
            clock, pool, encoder, workload, prompts, options, on_progress, should_abort, should_end
        )
        results.append(await run.whole())  # a task that returned it would be shown with all of it

    def in_own_loop() -> None:
        with (
            asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner,
            _no_long_collections(),
        ):
            runner.run(whole())

    if _inside_a_loop():
        with ThreadPoolExecutor(max_workers=1) as executor:
            executor.submit(in_own_loop).result()
    else:
        in_own_loop()
    return results[0]


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextlib.contextmanager
def _no_long_collections() -> Iterator[None]:
    """Keep the garbage collector away from all objects that have lived for long.

    A process that has loaded torch stops for 0.2 s at each full collection, and every request
    under way would be seen that much slower than it was.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds[:2], _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


class _Encoder:
    """Encodes requests to a server.

    Args:
        model_name: Name under which it serves the model.
        pool: Of connections to it.
        options: API key and further fields.
    """

    def __init__(self, model_name: str, pool: ConnectionPool, options: LoadOptions) -> None:
        self._model_name = model_name
        self._options = options
        fields = {
            "Host": pool.host,
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
        }
        if options.api_key is not None:
            fields["Authorization"] = f"Bearer {options.api_key}"
        lines = [f"POST {pool.path}/v1/completions HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self._head = "\r\n".join(lines).encode() + b"\r\nContent-Length: %d\r\n\r\n"

    def encode(self, scheduled: ScheduledRequest, prompt: str) -> bytes:
        """Return a request as it is sent."""
        body = request_body(self._model_name, scheduled, prompt, self._options)
        return self._head % len(body) + body


@dataclass(slots=True)
class _Run:
    """One run of a workload: a pacer, a task a request, and the wait for their end.

    Attributes:
        clock: Of the run.
        pool: The connections.
        encoder: Of the requests.
        workload: See ``run``, as for all that follow.
    """

    clock: RunClock
    pool: ConnectionPool
    encoder: _Encoder
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
    _own_ttft: array[float] = field(default_factory=lambda: array("f"))
    _own_e2el: array[float] = field(default_factory=lambda: array("f"))
    _own_tpot: array[float] = field(default_factory=lambda: array("f"))
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
        if error is None:
            ttft, e2el, tpot = exchange.own_share()
            self._own_ttft.append(ttft)
            self._own_e2el.append(e2el)
            if tpot is not None:
                self._own_tpot.append(tpot)
        else:
            self._n_failed += 1
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
            own_share=OwnShare(
                self._own_ttft, self._own_e2el, self._own_tpot, self.clock.own_gaps
            ),
        )

    def _longest(self) -> float | None:
        """Return the seconds that no answer can exceed; None when nothing limits them."""
        until_given_up = self.workload.requests[-1].time + self.options.drain_timeout_s
        longest = min(self.options.request_timeout_s, until_given_up)
        return longest if math.isfinite(longest) else None
