"""Threads of the numerical libraries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import threadpoolctl


@contextmanager
def single_thread() -> Iterator[None]:
    """Keep BLAS, and torch if it is loaded, to one thread: on small matrices more only wait."""
    torch = sys.modules.get("torch")  # takes two seconds to load, and is seldom needed
    threads = torch.get_num_threads() if torch is not None else 0
    if torch is not None:
        torch.set_num_threads(1)
    try:
        with _libraries(len(sys.modules)).limit(limits=1):
            yield
    finally:
        if torch is not None:
            torch.set_num_threads(threads)


@lru_cache(maxsize=1)
def _libraries(n_modules: int) -> threadpoolctl.ThreadpoolController:
    """Return the libraries that have threads; looking for them takes 10 ms.

    Args:
        n_modules: That are loaded: a library comes with one.
    """
    return threadpoolctl.ThreadpoolController()
