"""Suggestions keep BLAS and torch to one thread, and leave both as they were."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import torch
from threadpoolctl import threadpool_info
from threadpoolctl import threadpool_limits

from optuna_scoot.threads import single_thread


LOADED_LATER = """
import numpy
from threadpoolctl import threadpool_info
from optuna_scoot.threads import single_thread

with single_thread():
    before = len(threadpool_info())
import sklearn.ensemble

with single_thread():
    pools = threadpool_info()
print(len(pools) > before, {pool["num_threads"] for pool in pools})
"""


def test_a_library_that_is_loaded_later_is_kept_to_one_thread_as_well() -> None:
    environment = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    told = subprocess.run(
        [sys.executable, "-c", LOADED_LATER],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )

    assert told.stdout.split(maxsplit=1) == ["True", "{1}\n"]


def _thread_counts() -> list[int]:
    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return [torch.get_num_threads(), *blas]


def test_overlapping_suggestions_leave_the_numbers_of_threads_as_they_were() -> None:
    # Optuna runs the threads of n_jobs on one sampler: the second enters before the first leaves.
    before = torch.get_num_threads()
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with single_thread():
            inside.set()
            leave.wait(60.0)

    holder = threading.Thread(target=hold)
    with threadpool_limits(limits=2):
        torch.set_num_threads(3)
        expected = _thread_counts()
        try:
            with single_thread():
                holder.start()
                inside.wait(60.0)
                assert set(_thread_counts()) == {1}
            leave.set()
            holder.join()
            assert _thread_counts() == expected
        finally:
            leave.set()
            torch.set_num_threads(before)
