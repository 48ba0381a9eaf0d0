"""Replicas behind a router: where tensor parallelism leaves GPUs free, the model runs again."""

from __future__ import annotations

import math
from collections.abc import Iterable

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.simulated.scheduler import Replica
from objectives.engines.simulated.sequence import Sequence


def run_replicas(
    replicas: list[Replica], arrivals: Iterable[Sequence], max_timeouts: float = math.inf
) -> dict[int, Replica]:
    """Serve requests to the end, each by the replica with the fewest unfinished ones.

    Args:
        replicas: At least one; all begin idle.
        arrivals: The requests in order of arrival.
        max_timeouts: Requests that may time out before the run is given up.

    Returns:
        For each request's index the replica that served it.

    Raises:
        EngineCrash: An iteration ran out of memory, or more requests timed out.
    """
    served_by: dict[int, Replica] = {}
    for sequence in arrivals:
        for replica in replicas:
            replica.advance(sequence.arrival)
        chosen = min(replicas, key=_queue_length)
        chosen.submit(sequence)
        served_by[sequence.index] = chosen
        _check_timeouts(replicas, max_timeouts)
    for replica in replicas:
        replica.advance(math.inf)
    _check_timeouts(replicas, max_timeouts)
    return served_by


def _queue_length(replica: Replica) -> int:
    return replica.unfinished


def _check_timeouts(replicas: list[Replica], limit: float) -> None:
    count = sum(replica.timed_out for replica in replicas)
    if count > limit:
        raise EngineCrash(
            CrashReason.REQUEST_TIMEOUTS, f"more than {limit:.0f} requests waited too long"
        )
