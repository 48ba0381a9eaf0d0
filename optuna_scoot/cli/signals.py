"""Signals that end a run as Ctrl-C does, and a Ctrl-C that comes before there is a run."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
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
    is_set = interrupt_will_end_at_once()
    try:
        yield
    finally:
        if is_set:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupt_will_end_at_once() -> bool:
    """Do the same from now on, as for a command that has only to exit; return whether it is so.

    Not where somebody else has said what Ctrl-C does, or that it does nothing.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False
    signal.signal(signal.SIGINT, _end)
    return True


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, INTERRUPTED.encode() + b"\n")
    os._exit(EXIT_INTERRUPTED)


@contextlib.contextmanager
def terminate_like_interrupt() -> Iterator[threading.Event]:
    """Have SIGTERM and SIGHUP end the run as Ctrl-C does: engine stopped, everything kept.

    Yields:
        An event that is set by each of the signals. Python drops an exception that a signal
        raises inside a finaliser or a callback of a C library: what was meant to end the run
        would then end nothing, so the run is to look here between two trials. Neither Python
        nor a library shows a traceback of it.
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
        with _no_traceback_of_an_interrupt():
            yield interrupted
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def _no_traceback_of_an_interrupt() -> Iterator[None]:
    """Keep to themselves what Python drops and what a library logs before it raises it again.

    As SQLAlchemy does of one that comes while it gives a connection back.
    """
    show, last_resort = sys.unraisablehook, logging.lastResort

    def show_others(dropped: sys.UnraisableHookArgs) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            show(dropped)

    sys.unraisablehook = show_others
    if last_resort is not None:
        last_resort.addFilter(_is_no_interrupt)
    try:
        yield
    finally:
        sys.unraisablehook = show
        if last_resort is not None:
            last_resort.removeFilter(_is_no_interrupt)


def _is_no_interrupt(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], KeyboardInterrupt))
