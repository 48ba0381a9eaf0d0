"""Replicas behind a router: where tensor parallelism leaves GPUs free, the model runs again."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Iterable

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.simulated.scheduler import Replica
from objectives.engines.simulated.sequence import Sequence


CHECK_S = 1.0
"""Virtual seconds between two looks at a run."""

Look = Callable[[dict[int, Replica], float], bool]
"""Takes the replica of each request that came, and the time; returns whether to end the run."""


def run_replicas(
    replicas: list[Replica],
    arrivals: Iterable[Sequence],
    max_timeouts: float = math.inf,
    look: Look | None = None,
) -> dict[int, Replica]:
    """Serve requests to the end, each by the replica with the fewest unfinished ones.

    Args:
        replicas: At least one; all begin idle.
        arrivals: The requests in order of arrival.
        max_timeouts: Requests that may time out before the run is given up.
        look: Asked every ``CHECK_S`` seconds whether to end the run.

    Returns:
        For each request's index the replica that served it.

    Raises:
        EngineCrash: An iteration ran out of memory, or more requests timed out.
    """
    served_by: dict[int, Replica] = {}
    checked = 0.0
    for sequence in arrivals:
        while look is not None and checked + CHECK_S < sequence.arrival:
            checked += CHECK_S
            _advance(replicas, checked, max_timeouts)
            if look(served_by, checked):
                return served_by
        for replica in replicas:
            replica.advance(sequence.arrival)
        chosen = min(replicas, key=_queue_length)
        chosen.submit(sequence)
        served_by[sequence.index] = chosen
        _check_timeouts(replicas, max_timeouts)
    while look is not None and any(replica.unfinished for replica in replicas):
        if look(served_by, checked):
            return served_by
        checked += CHECK_S
        _advance(replicas, checked, max_timeouts)
    _advance(replicas, math.inf, max_timeouts)
    return served_by


def _advance(replicas: list[Replica], until: float, max_timeouts: float) -> None:
    for replica in replicas:
        replica.advance(until)
    _check_timeouts(replicas, max_timeouts)


def _queue_length(replica: Replica) -> int:
    return replica.unfinished


def _check_timeouts(replicas: list[Replica], limit: float) -> None:
    count = sum(replica.timed_out for replica in replicas)
    if count > limit:
        raise EngineCrash(
            CrashReason.REQUEST_TIMEOUTS, f"more than {limit:.0f} requests waited too long"
        )
