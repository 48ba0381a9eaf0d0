"""Ctrl-C that waits for the end of a storage's call.

Raised in the middle of one, it can leave a connection behind that nobody closes: SQLAlchemy's own
clearing up is interrupted, or the exception's frames keep a result that was read in part. In
SQLite such a connection holds a lock, on which this process and all other workers would wait.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Have the signals that end a run do so at the end of the block.

    A second one does so at once, where the block does not end. Other threads are not interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[tuple[int, FrameType | None]] = []

    def defer(number: int, frame: FrameType | None) -> None:
        arrived.append((number, frame))
        if len(arrived) > 1:
            end(number, frame)

    def end(number: int, frame: FrameType | None) -> None:
        before[signal.Signals(number)](number, frame)

    # What ends the process at once, or is ignored, is no function.
    before = {n: handler for n in _NUMBERS if callable(handler := signal.getsignal(n))}
    try:
        for number in before:
            signal.signal(number, defer)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if len(arrived) == 1:
            end(*arrived[0])  # whatever the block ended with
