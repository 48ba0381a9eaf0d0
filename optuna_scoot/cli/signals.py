"""Signals that end a run as Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from types import FrameType


@contextlib.contextmanager
def terminate_like_interrupt() -> Iterator[threading.Event]:
    """Have SIGTERM and SIGHUP end the run as Ctrl-C does: engine stopped, everything kept.

    Yields:
        An event that is set by each of the signals. Python drops an exception that a signal
        raises inside a finaliser or a callback of a C library: what was meant to end the run
        would then end nothing, so the run is to look here between two trials.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # only the main thread may set handlers
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.default_int_handler(number, frame)

    numbers = [signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in a shell's background job
        numbers.append(signal.SIGINT)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield interrupted
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
