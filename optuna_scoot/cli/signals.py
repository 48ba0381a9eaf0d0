"""Signals that end a run as Ctrl-C does, and a Ctrl-C that comes before there is a run."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from types import FrameType


EXIT_INTERRUPTED = 130
INTERRUPTED = "optuna-scoot: interrupted"


@contextlib.contextmanager
def interrupt_ends_at_once() -> Iterator[None]:
    """Have Ctrl-C end this process in one line, while there is nothing to keep.

    For imports: what an interrupt raises there, some libraries turn into errors of other kinds.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, INTERRUPTED.encode() + b"\n")
    os._exit(EXIT_INTERRUPTED)


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
