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
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import field

import aiohttp
import numpy as np

from objectives.loadgen.exchange import Exchange
from objectives.loadgen.exchange import RequestFailed
from objectives.loadgen.exchange import describe_error
from objectives.loadgen.exchange import request_body
from objectives.loadgen.open_files import KEEP_ALIVE_S
from objectives.loadgen.open_files import SPARE_FILES_NOW
from objectives.loadgen.open_files import check_limits
from objectives.loadgen.options import LoadError
from objectives.loadgen.options import LoadOptions
from objectives.loadgen.sse import SSEDecoder
from objectives.metrics import FailureKind
from objectives.metrics import LoadResult
from objectives.metrics import RequestRecord
from objectives.metrics import ShouldEnd
from objectives.redaction import hide
from objectives.workload import Workload


_TICK_S = 0.25  # how often progress is reported and should_abort is asked
_ASK_S = 1.0  # how often should_end is asked
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
    """Run a workload and wait for its end; see ``run_workload``.

    Works inside a running event loop too, as in a notebook, by moving to a thread.
    """

    def whole_run() -> LoadResult:
        return asyncio.run(
            run_workload(
                endpoint,
                model_name,
                workload,
                prompts,
                options,
                on_progress=on_progress,
                should_abort=should_abort,
                should_end=should_end,
            )
        )

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return whole_run()
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(whole_run).result()


async def run_workload(
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

    Args:
        endpoint: Address of the server, as ``http://127.0.0.1:8000``.
        model_name: Name under which the server serves the model.
        workload: What to send when.
        prompts: One prompt a request, in the order of the workload.
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
    if not endpoint.startswith(("http://", "https://")):
        raise LoadError(f"the endpoint must begin with http:// or https://: {endpoint!r}")
    options = options or LoadOptions()
    check_limits(workload, options.request_timeout_s, SPARE_FILES_NOW)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S)
    headers = {"Content-Type": "application/json"}
    if options.api_key is not None:
        headers["Authorization"] = f"Bearer {options.api_key}"
    exchanges = [
        Exchange(scheduled, request_body(model_name, scheduled, prompt, options))
        for scheduled, prompt in zip(workload.requests, prompts, strict=True)
    ]
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        url = f"{endpoint.rstrip('/')}/v1/completions"
        with _no_long_collections():
            run = _Run(session, url, exchanges, options, on_progress, should_abort, should_end)
            return await run.whole()


@contextlib.contextmanager
def _no_long_collections() -> Iterator[None]:
    """Keep the garbage collector away from all objects that were there before the run.

    A process that has loaded torch stops for 0.2 s at each full collection, and every request
    under way would be seen that much slower than it was.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(slots=True)
class _Run:
    """One run of a workload: a pacer, a task a request, and the wait for their end.

    Attributes:
        session: The HTTP session.
        url: Address of the completions.
        exchanges: The requests, in order of their times.
        options: See ``run_workload``.
        on_progress: See ``run_workload``.
        should_abort: See ``run_workload``.
        should_end: See ``run_workload``.
    """

    session: aiohttp.ClientSession
    url: str
    exchanges: Sequence[Exchange]
    options: LoadOptions
    on_progress: Callable[[Progress], None] | None
    should_abort: Callable[[], str | None] | None
    should_end: ShouldEnd | None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _n_over: int = 0
    _finished: asyncio.Event = field(default_factory=asyncio.Event)
    _start: float = 0.0
    _asked_at: float = 0.0
    _last_token: float = 0.0
    _last_idle: float = 0.0
    _over: dict[int, RequestRecord] = field(default_factory=dict)
    _ended_early: str | None = None

    def _now(self) -> float:
        return time.perf_counter() - self._start

    async def whole(self) -> LoadResult:
        """Run the workload to its end."""
        self._start = time.perf_counter()
        pacer = asyncio.create_task(self._pace())
        try:
            unfinished = await self._wait(pacer)
            duration = self._now()
        finally:
            for task in (pacer, *self._tasks):
                task.cancel()
            outcomes = await asyncio.gather(pacer, *self._tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):  # a fault of this module, not of a request
                raise outcome
        return self._result(duration, unfinished)

    async def _pace(self) -> None:
        """Start each request when it is due, never waiting for another."""
        for exchange in self.exchanges:
            delay = exchange.scheduled.time - self._now()
            if delay > 0:
                await asyncio.sleep(delay)
            self._tasks.append(asyncio.create_task(self._request(exchange)))

    async def _wait(self, pacer: asyncio.Task[None]) -> str:
        """Wait until every request is over; return the error of those that are not."""
        last_arrival = self.exchanges[-1].scheduled.time
        while not self._finished.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._finished.wait()
            if pacer.done():
                pacer.result()
            if self.on_progress is not None:
                self.on_progress(self._progress())
            if self.should_abort is not None and (reason := self.should_abort()):
                return f"{FailureKind.ABORTED}: {reason}"
            if self._is_stalled():
                seconds = f"{self.options.request_timeout_s:g} s"
                return f"{FailureKind.TIMEOUT}: no token of any request came for {seconds}"
            if self._is_hopeless():
                return f"{FailureKind.ABORTED}: the run ended early"
            if self._now() - last_arrival > self.options.drain_timeout_s:
                seconds = f"{self.options.drain_timeout_s:g} s"
                return f"{FailureKind.DRAIN_TIMEOUT}: not done {seconds} after the last arrival"
        return f"{FailureKind.ABORTED}: the run ended"

    def _is_stalled(self) -> bool:
        """Return whether all that ran so long ago has timed out, and nothing came since."""
        now = self._now()
        if self._n_over == len(self._tasks):
            self._last_idle = now
        return now - max(self._last_token, self._last_idle) > self.options.request_timeout_s

    def _is_hopeless(self) -> bool:
        """Ask, about once a second, whether to end the run, and note why."""
        now = self._now()
        if self.should_end is None or self._finished.is_set() or now - self._asked_at < _ASK_S:
            return False
        self._asked_at = now
        records = []
        for exchange in self.exchanges:
            if exchange.sent is None:
                continue
            index = exchange.scheduled.index
            # Nothing here may take long: the event loop waits.
            record = self._over.get(index) or exchange.so_far()
            if exchange.over:
                self._over[index] = record
            records.append(record)
        self._ended_early = self.should_end(records, now)
        return self._ended_early is not None

    async def _request(self, exchange: Exchange) -> None:
        """Send one request and follow its answer to the end, whatever the end is."""
        limit = self.options.request_timeout_s
        try:
            async with asyncio.timeout(limit):
                await self._follow(exchange)
            exchange.check_complete()
        except TimeoutError:
            exchange.error = f"{FailureKind.TIMEOUT}: no complete answer within {limit:g} s"
        except RequestFailed as failure:
            exchange.error = self._clean(str(failure))
        except UnicodeDecodeError:
            exchange.error = f"{FailureKind.STREAM}: the answer is not UTF-8"
        except (aiohttp.ClientError, OSError) as error:
            exchange.error = self._clean(describe_error(error, exchange))
        finally:
            self._n_over += 1
            if self._n_over == len(self.exchanges):
                self._finished.set()
        exchange.over = True

    async def _follow(self, exchange: Exchange) -> None:
        exchange.sent = self._now()
        async with self.session.post(self.url, data=exchange.body) as response:
            if response.status != 200:
                text = await response.text(errors="replace")
                raise RequestFailed(f"{FailureKind.HTTP_STATUS}: {response.status} {text}")
            decoder = SSEDecoder()
            async for chunk in response.content.iter_any():
                now = self._now()
                for payload in decoder.feed(chunk):
                    if payload != "[DONE]":
                        exchange.take(payload, now)
                        self._last_token = now

    def _clean(self, error: str) -> str:
        """Make a server's words fit to record: one line, not long, without secrets."""
        options = self.options
        line = " ".join(hide(error, {options.api_key or "", *options.secrets}).split())
        return line if len(line) <= _LONGEST_DETAIL else line[:_LONGEST_DETAIL] + " ..."

    def _progress(self) -> Progress:
        failed = sum(exchange.error is not None for exchange in self.exchanges)
        return Progress(
            elapsed_s=self._now(),
            total=len(self.exchanges),
            sent=len(self._tasks),
            completed=self._n_over - failed,
            failed=failed,
            last_token_s=self._last_token,
        )

    def _result(self, duration: float, unfinished: str) -> LoadResult:
        records = tuple(exchange.record(unfinished) for exchange in self.exchanges)
        late = [e.sent - e.scheduled.time for e in self.exchanges if e.sent is not None] or [0.0]
        pairs = [
            (record, exchange.scheduled.request)
            for record, exchange in zip(records, self.exchanges, strict=True)
            if record.completed
        ]
        return LoadResult(
            records=records,
            duration=duration,
            max_lateness_s=max(late),
            p99_lateness_s=float(np.percentile(late, 99)),
            lateness_limit_s=self.options.lateness_limit_s,
            short_outputs=sum(r.output_tokens < asked.output_tokens for r, asked in pairs),
            prompt_length_mismatches=sum(r.prompt_tokens != a.prompt_tokens for r, a in pairs),
            longest_s=self._longest(),
            ended_early=self._ended_early,
        )

    def _longest(self) -> float | None:
        """Return the seconds that no answer can exceed; None when nothing limits them."""
        until_given_up = self.exchanges[-1].scheduled.time + self.options.drain_timeout_s
        longest = min(self.options.request_timeout_s, until_given_up)
        return longest if math.isfinite(longest) else None
