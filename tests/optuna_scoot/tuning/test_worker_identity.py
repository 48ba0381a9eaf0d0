"""Which process a worker is."""

from __future__ import annotations

import os

from optuna_scoot.tuning.worker_identity import is_gone
from optuna_scoot.tuning.worker_identity import worker_id


def test_process_that_took_over_the_number_of_a_dead_one_is_another_worker() -> None:
    machine, pid, started = worker_id(os.getpid()).split(":")
    assert not is_gone(f"{machine}:{pid}:{started}")
    assert is_gone(f"{machine}:{pid}:{int(started) - 1}")
    assert not is_gone(f"elsewhere:{pid}:{int(started) - 1}")
    assert not is_gone(None)
