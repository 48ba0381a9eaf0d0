"""What the tests' own servers have in common: a thread with an event loop, from start to end."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self


class ServerInThread:
    """A server in a thread of its own, as a context manager.

    A subclass serves in ``_serve``, which calls ``_until_stopped`` once it can be reached.
    """

    def __init__(self) -> None:
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        raise NotImplementedError

    async def _until_stopped(self, port: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.url = f"http://127.0.0.1:{port}"
        self._ready.set()
        await self._stop.wait()
