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
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from objectives.loadgen.connections import ConnectionPool
from objectives.loadgen.exchange import RunClock
from objectives.loadgen.load_run import LoadRun
from objectives.loadgen.load_run import Progress
from objectives.loadgen.loop_watch import WatchedSelector
from objectives.loadgen.open_files import SPARE_FILES_NOW
from objectives.loadgen.open_files import check_limits
from objectives.loadgen.options import LoadError
from objectives.loadgen.options import LoadOptions
from objectives.loadgen.requests import RequestEncoder
from objectives.metrics import LoadResult
from objectives.metrics import ShouldEnd
from objectives.workload import Workload


_NEVER = 1_000_000_000  # collections of the younger objects before one of all


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
    encoder = RequestEncoder(model_name, pool.host, pool.path, options)
    selector = WatchedSelector()
    results: list[LoadResult] = []

    async def whole() -> None:
        clock = RunClock(selector, time.perf_counter())
        run = LoadRun(
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
