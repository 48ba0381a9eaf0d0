"""The connections that a load may need, and limits that really hold, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from objectives.loadgen.open_files import most_connections
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


def workload(times: list[float]) -> Workload:
    requests = tuple(ScheduledRequest(i, t, TraceRequest(7, 4)) for i, t in enumerate(times))
    return Workload(requests, "test", duration=max(times) + 1)


@pytest.mark.parametrize(
    ("times", "timeout", "most"),
    [
        ([0.0], 300.0, 1),
        ([0.0, 0.0, 0.0], 1.0, 3),
        ([0.0, 1000.0, 2000.0], 300.0, 1),
        ([0.0, 100.0, 299.0, 303.0, 305.0], 300.0, 4),  # a connection is kept for 4 s more
        ([10.0 * i for i in range(1000)], 300.0, 31),
        ([10.0 * i for i in range(1000)], float("inf"), 1000),
        ([0.0] * 5 + [1000.0] * 7 + [2000.0] * 3, 300.0, 7),
    ],
)
def test_as_many_connections_as_requests_can_be_under_way(
    times: list[float], timeout: float, most: int
) -> None:
    assert most_connections(workload(times), timeout) == most


CHECK = """
import os, resource, sys
from objectives.loadgen import check_limits
from tests.objectives.loadgen.test_open_files import workload
soft, hard, held, times = (eval(word) for word in sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
files = [os.dup(0) for _ in range(held)]
check_limits(workload(times), 300.0)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def with_limits(soft: int, hard: int, times: str, held: int = 0) -> str:
    """Return the limits after the check of a load, or the last line of what it said."""
    words = [str(soft), str(hard), str(held), times]
    done = subprocess.run([sys.executable, "-c", CHECK, *words], capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[-1]


def test_the_soft_limit_is_raised_where_it_helps() -> None:
    assert with_limits(5000, 6000, "[0.0] * 100") == "(5000, 6000)"
    assert with_limits(200, 400, "[0.0] * 100") == "(400, 400)"  # the engine needs some too
    soft, hard = eval(with_limits(200, 9000, "[0.0] * 1000"))
    assert 2000 < soft < hard == 9000


def test_a_load_that_can_need_more_than_the_hard_limit_is_refused() -> None:
    refused = "but it may open 200 files at most: raise its hard limit (ulimit -Hn)"
    assert refused in with_limits(200, 200, "[0.0] * 150")
    assert with_limits(200, 200, "[0.0] * 100") == "(200, 200)"
    assert refused in with_limits(200, 200, "[0.0] * 100", held=60)  # by files open already
    assert "1000 connections" in with_limits(200, 200, "[0.3 * i for i in range(1000)]")


def test_a_long_load_needs_no_connection_for_each_request() -> None:
    assert with_limits(4096, 4096, "[0.2 * i for i in range(20_000)]") == "(4096, 4096)"
