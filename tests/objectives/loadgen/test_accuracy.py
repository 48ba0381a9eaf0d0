"""What is measured of a server that says when it really sent each event, on a real socket."""

from __future__ import annotations

import time
from statistics import mean
from statistics import median

import numpy as np
import pytest

from objectives.loadgen import Progress
from objectives.loadgen import run
from objectives.metrics import LoadResult
from objectives.metrics import OwnShare
from objectives.metrics import ServingMetrics
from objectives.metrics import summarize
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload
from tests.objectives.loadgen.timed_server import Answer
from tests.objectives.loadgen.timed_server import Moments
from tests.objectives.loadgen.timed_server import TimedServer


ANSWER = Answer(first=0.2, gap=0.03, events=6, tokens=3)
N = 60


def load(seconds: float) -> tuple[Workload, list[str]]:
    request = TraceRequest(prompt_tokens=2, output_tokens=ANSWER.output_tokens)
    times = [seconds * i / N for i in range(N)]
    scheduled = tuple(ScheduledRequest(i, t, request) for i, t in enumerate(times))
    return Workload(scheduled, "known", seconds), [f"prompt {i}" for i in range(N)]


class Run:
    """A run, and the moments of the server in the order of the requests."""

    def __init__(self, seconds: float, block: float = 0.0) -> None:
        workload, prompts = load(seconds)

        def work(_progress: Progress) -> None:
            time.sleep(block)

        with TimedServer(ANSWER) as server:
            self.result: LoadResult = run(server.url, "m", workload, prompts, on_progress=work)
            moments = server.moments()
        assert self.result.completed == N
        self.moments: list[Moments] = [moments[prompt] for prompt in prompts]
        self.metrics: ServingMetrics = summarize(self.result.records, self.result.duration)
        self.own = OwnShare.of(self.result.records)


@pytest.fixture(scope="module")
def sound() -> Run:
    return Run(seconds=2.0)


@pytest.fixture(scope="module")
def disturbed() -> Run:
    """Return a run whose own event loop stands still for half of the time."""
    return Run(seconds=2.0, block=0.25)


def test_every_latency_is_within_a_millisecond_or_a_hundredth_of_the_servers(sound: Run) -> None:
    n_tokens = ANSWER.output_tokens
    sent = {
        "ttft": [m.ttft for m in sound.moments],
        "e2el": [m.latency for m in sound.moments],
        "tpot": [(m.latency - m.ttft) / (n_tokens - 1) for m in sound.moments],
        "itl": [gap for m in sound.moments for gap in m.gaps],
    }
    for name, seconds in sent.items():
        true_ms = 1000 * median(seconds)
        measured = getattr(sound.metrics, f"{name}_ms").p50
        assert measured == pytest.approx(true_ms, rel=0.01, abs=1.0), name


def test_throughputs_are_within_a_hundredth_of_the_servers(sound: Run) -> None:
    span = max(m.sent[-1] for m in sound.moments) - min(m.received for m in sound.moments)
    assert sound.metrics.request_throughput == pytest.approx(N / span, rel=0.01)
    n_tokens = N * ANSWER.output_tokens
    assert sound.metrics.output_throughput == pytest.approx(n_tokens / span, rel=0.01)


def test_the_own_share_of_a_sound_run_is_told_as_small(sound: Run) -> None:
    assert 0.0 < sound.own.milliseconds("ttft", 50) < 1.0


def test_the_own_share_of_a_run_is_what_it_adds_to_the_servers_latencies(disturbed: Run) -> None:
    done = zip(disturbed.result.records, disturbed.moments, strict=True)
    added = [(r.ttft - m.ttft, r.latency - m.latency) for r, m in done]
    for name, true_s in zip(("ttft", "e2el"), map(mean, zip(*added, strict=True)), strict=True):
        assert true_s > 0.02
        assert disturbed.own.milliseconds(name) == pytest.approx(1000 * true_s, rel=0.25), name


def test_a_gap_between_events_that_are_read_together_is_known_to_be_the_clients(
    disturbed: Run,
) -> None:
    # Events that came while the loop stood still are read at once, after a gap as long as that.
    assert disturbed.metrics.itl_ms is not None
    true = 1000 * np.percentile([gap for m in disturbed.moments for gap in m.gaps], 90)
    added = disturbed.metrics.itl_ms.p90 - true
    assert added > 50
    assert added / 4 < disturbed.own.milliseconds("itl", 90) < 1.25 * added
