"""How late an event loop reads what has come: the load generator's own share of a latency.

What comes while the loop works is read after that work, and what wakes a sleeping loop is read
when the operating system lets it run. Neither is the server's doing, and a clock that is read with
the data shows neither. A selector sees both: it knows when the loop began to sleep, for how long
it meant to, and when it was back.
"""

from __future__ import annotations

import math
import selectors
import time


_SLEPT_S = 50e-6  # a call that takes less found something there already


class WatchedSelector(selectors.DefaultSelector):
    """The selector of an event loop that can tell how long what it reads has waited.

    Example:
        >>> selector = WatchedSelector()
        >>> loop = asyncio.SelectorEventLoop(selector)
        >>> loop.run_until_complete(asyncio.sleep(0.001))
        >>> 0 <= selector.waited(time.perf_counter())
        True
        >>> loop.close()
    """

    def __init__(self) -> None:
        super().__init__()
        self._returned = time.perf_counter()
        self._came = self._returned
        self._overslept = 0.0
        self._slept = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as every selector does, and note when."""
        asked = time.perf_counter()
        ready = super().select(timeout)
        now = time.perf_counter()
        self._slept = timeout != 0 and now - asked > _SLEPT_S
        if self._slept:
            self._came = now  # what came has ended the sleep
            if not ready and timeout is not None:
                self._overslept = max(0.0, now - asked - _whole_milliseconds(timeout))
        else:
            # All that had come by the last return was read then: on average, what is there now
            # came halfway between.
            self._came = (self._returned + now) / 2
        self._returned = now
        return ready

    def waited(self, now: float) -> float:
        """Return for how many seconds something that is read now has waited to be read.

        Args:
            now: The time of ``time.perf_counter``.

        Returns:
            An estimate: how long the loop has worked since it came, and where it woke the loop,
            by how much the latest timer woke it too late.
        """
        return now - self._came + (self._overslept if self._slept else 0.0)


def _whole_milliseconds(timeout: float) -> float:
    """Return the seconds for which a selector sleeps that counts in milliseconds, as epoll's."""
    nanoseconds = math.ceil(math.ceil(timeout * 1e3) * 1e-3 * 1e9)
    return math.ceil(nanoseconds / 1e6) / 1e3
