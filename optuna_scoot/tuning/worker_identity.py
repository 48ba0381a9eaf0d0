"""Which process a worker is, told apart from all others of all machines and times."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


WORKER = "worker"
"""User attribute of a trial: which process runs it."""


def worker_id(pid: int) -> str:
    """Return a process's name among all machines and times: machine, process id, start time."""
    return f"{_machine()}:{pid}:{_start_time(pid)}"


def ran_here(trial: FrozenTrial) -> bool:
    """Return whether the trial ran on this machine, as far as it says where."""
    return machine_of(trial) in (None, _machine())


def machine_of(trial: FrozenTrial) -> str | None:
    """Return the machine that the trial ran on, None when it does not say."""
    worker = trial.user_attrs.get(WORKER)
    return None if worker is None else str(worker).partition(":")[0]


def is_gone(worker: object) -> bool:
    """Return whether the worker ran on this machine and no longer does; False if unknown.

    Args:
        worker: What ``worker_id`` gave, as read from a trial.
    """
    if not isinstance(worker, str) or worker.count(":") != 2:
        return False
    machine, pid, started = worker.split(":")
    if machine != _machine() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return started != _start_time(int(pid))


def _machine() -> str:
    """Return this machine's name, with the container's: it counts its processes on its own."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name.replace(":", "")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}{namespace}".replace(":", "")


def _start_time(pid: int) -> str:
    """Return the start time in clock ticks since boot, or "" where the system does not tell."""
    try:
        # The second field, the command's name, may hold blanks and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if fields[0] == "Z" else fields[19]
