"""What a load needs of memory: not the texts of its requests."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

from objectives.loadgen import run
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload
from tests.objectives.loadgen.timed_server import Answer
from tests.objectives.loadgen.timed_server import TimedServer


N = 300
LENGTH = 20_000  # bytes of a prompt


class Long(Sequence[str]):
    """Prompts that are made when they are asked for."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        if index >= N:
            raise IndexError(index)
        return f"{index} " + "x" * LENGTH


def test_a_run_does_not_keep_what_it_sends() -> None:
    answer = Answer(first=0.01, gap=0.001, events=4)
    request = TraceRequest(prompt_tokens=2, output_tokens=answer.output_tokens)
    scheduled = tuple(ScheduledRequest(i, 0.004 * i, request) for i in range(N))
    with TimedServer(answer) as server:
        tracemalloc.start()
        result = run(server.url, "m", Workload(scheduled, "long", 0.004 * N), Long())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert result.completed == N
    assert peak < 0.4 * N * LENGTH
