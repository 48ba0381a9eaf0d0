"""Threads of the numerical libraries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import threadpoolctl


@contextmanager
def single_thread() -> Iterator[None]:
    """Keep BLAS, and torch if it is loaded, to one thread: on small matrices more only wait."""
    torch = sys.modules.get("torch")  # takes two seconds to load, and is seldom needed
    threads = torch.get_num_threads() if torch is not None else 0
    if torch is not None:
        torch.set_num_threads(1)
    try:
        with threadpoolctl.threadpool_limits(limits=1):
            yield
    finally:
        if torch is not None:
            torch.set_num_threads(threads)
