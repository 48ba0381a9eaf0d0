"""Processes for runs and searches: one thread of numerics each, none outlives its parent."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing import parent_process
from multiprocessing.connection import wait

from optuna_scoot.own_objectives import use_own_objectives


THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def worker_pool(jobs: int) -> ProcessPoolExecutor:
    """Return a pool of fresh processes with one thread of numerics each.

    A worker ends as soon as this process does, however that happens: a worker of an ordinary
    pool whose parent is killed finishes its work and then waits for ever.

    Args:
        jobs: Number of processes.
    """
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    return ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_initialize_worker
    )


def limit_threads() -> None:
    """Keep to one thread of numerics in this process: the processes already fill the cores."""
    import torch

    torch.set_num_threads(1)


def _initialize_worker() -> None:
    use_own_objectives()  # before the first task is unpickled, which imports them
    threading.Thread(target=_end_with_parent, daemon=True).start()
    limit_threads()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
