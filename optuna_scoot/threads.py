"""Threads of the numerical libraries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import threadpoolctl


@contextmanager
def single_thread() -> Iterator[None]:
    """Keep torch and BLAS to one thread: on matrices this small more of them only wait."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpoolctl.threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(threads)
