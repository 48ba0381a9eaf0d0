"""Whether a queue grows, against a queue of one server that is worked off by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from objectives.metrics import RequestRecord
from objectives.metrics import queue_grows
from objectives.metrics import summarize
from objectives.metrics.admission import LEAST_REQUESTS
from objectives.metrics.admission import admission


def one_server(
    rate: float, service_rate: float, duration: float, seed: int
) -> list[RequestRecord]:
    """Poisson arrivals, each served for as long as the others, one at a time."""
    rng = np.random.default_rng(seed)
    due = np.sort(rng.uniform(0.0, duration, rng.poisson(rate * duration)))
    free, records = 0.0, []
    for i, at in enumerate(due):
        begins = max(free, at)
        free = begins + 1.0 / service_rate
        records.append(RequestRecord(i, at, at, begins, free, 10, 2, (1.0 / service_rate,)))
    return records


@pytest.mark.parametrize("seed", range(20))
def test_a_server_that_keeps_up_has_no_growing_queue(seed: int) -> None:
    records = one_server(5.0, 7.0, 60.0, seed)
    pace = admission(records)
    assert pace is not None
    assert not queue_grows(pace, len(records))


@pytest.mark.parametrize("seed", range(20))
def test_a_server_that_is_overloaded_takes_up_what_it_can(seed: int) -> None:
    records = one_server(10.0, 6.0, 60.0, seed)
    pace = admission(records)
    assert pace is not None
    assert pace.admission_rate == pytest.approx(6.0, abs=0.1)
    assert queue_grows(pace, len(records))


def test_requests_that_never_got_a_token_were_not_taken_up() -> None:
    records = [RequestRecord(i, i / 10, i / 10, i / 10, i / 10, 1, 1) for i in range(101)]
    lost = {"first_token": None, "last_token": None, "error": "timeout: 60 s"}
    records[1::2] = [replace(record, **lost) for record in records[1::2]]
    pace = admission(records)
    assert pace is not None
    assert pace.arrival_rate == pytest.approx(10.0)
    assert pace.admission_rate == pytest.approx(5.0)
    found = summarize(records, duration=12.0)
    assert (found.arrival_rate, found.admission_rate) == pace
    assert found.optimised["admission_rate"] == pace.admission_rate


def test_few_requests_and_all_at_once_show_no_trend() -> None:
    assert admission(one_server(5.0, 6.0, 60.0, 0)[: LEAST_REQUESTS - 1]) is None
    assert admission([RequestRecord(i, 0.0, 0.0, 1.0, 2.0, 1, 2) for i in range(99)]) is None
