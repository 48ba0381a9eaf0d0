"""How many connections a load may need at once, and whether this process may open so many."""

from __future__ import annotations

import os
import resource

from objectives.loadgen.options import LoadError
from objectives.workload import Workload


KEEP_ALIVE_S = 4.0  # below the 5 s after which uvicorn closes, so that no request meets a close
SPARE_FILES = 64  # for what this process will open besides: storage, logs, pipes, libraries
SPARE_FILES_NOW = 8  # when most of that is open
ENGINE_FILES = 1024  # an engine inherits the limit, and needs a file for each connection too


class TooFewFiles(LoadError):
    """This process may not open the connections that the load may need at once."""


def most_connections(workload: Workload, request_timeout_s: float) -> int:
    """Return the most connections that a load can hold open at once, however slow the answers.

    None is open for longer than a request may take and an unused connection is kept.

    Args:
        workload: The requests and their times.
        request_timeout_s: Seconds that one request may take.
    """
    times = [scheduled.time for scheduled in workload.requests]
    first = most = 0
    for last, time in enumerate(times):
        while time - times[first] > request_timeout_s + KEEP_ALIVE_S:
            first += 1
        most = max(most, last - first + 1)
    return most


def check_limits(workload: Workload, request_timeout_s: float, spare: int = SPARE_FILES) -> None:
    """Allow this process the connections of a load, raising its soft limit where needed.

    Args:
        workload: The requests and their times.
        request_timeout_s: Seconds that one request may take.
        spare: Files for everything else that is still to be opened.

    Raises:
        TooFewFiles: When the hard limit is lower.
    """
    connections = most_connections(workload, request_timeout_s)
    needed = connections + _open_now() + spare
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed + ENGINE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if wanted < needed:
        raise _too_few(connections, needed, wanted)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError) as error:  # a system's own limit below the hard one
        if soft < needed:
            raise _too_few(connections, needed, soft) from error


def _too_few(connections: int, needed: int, allowed: int) -> TooFewFiles:
    return TooFewFiles(
        f"the load may hold {connections} connections open at once, for which this process needs"
        f" {needed} open files, but it may open {allowed} files at most: raise its hard limit"
        " (ulimit -Hn), or lower the rate or the duration"
    )


def _open_now() -> int:
    """Return the files that this process has open."""
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return SPARE_FILES
