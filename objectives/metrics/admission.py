"""Whether an engine keeps up with the requests that come, or lets its queue grow.

Where the queue grows, the time to first token says more about how long the load was than about
the engine: twice the seconds of arrivals, twice the wait.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from objectives.metrics.records import RequestRecord


LEAST_REQUESTS = 40
"""Fewer requests than these, of which half are counted, show no trend."""
LEAST_SHARE = 0.1
"""Share of the requests that have to be left waiting for the queue to be called growing."""
CHANCE = 2.0
"""Times the square root of the number of requests: what comes and goes by chance."""


class Admission(NamedTuple):
    """What came and what was taken up in the second half of the arrivals.

    Attributes:
        arrival_rate: Requests a second that were due.
        admission_rate: Requests a second that got their first token, whenever they were due.
    """

    arrival_rate: float
    admission_rate: float


def admission(records: Sequence[RequestRecord]) -> Admission | None:
    """Return the pace of arrivals and of first tokens in the second half of the arrivals.

    The first half is left out, since an engine that starts empty takes up everything at first.

    Args:
        records: One record a request, failed ones included.

    Returns:
        Both in requests a second; None where there are too few requests for a trend.
    """
    if len(records) < LEAST_REQUESTS:
        return None
    end = max(record.scheduled for record in records)
    half = end / 2.0
    if half <= 0.0:
        return None
    due = sum(half < record.scheduled for record in records)
    taken_up = sum(
        record.first_token is not None and half < record.first_token <= end for record in records
    )
    return Admission(due / half, taken_up / half)


def queue_grows(pace: Admission, n_requests: int) -> bool:
    """Return whether clearly fewer requests were taken up than came.

    Args:
        pace: As ``admission`` found it.
        n_requests: Of the whole load.
    """
    least = max(LEAST_SHARE, CHANCE / math.sqrt(n_requests / 2.0))
    return pace.admission_rate < (1.0 - least) * pace.arrival_rate
