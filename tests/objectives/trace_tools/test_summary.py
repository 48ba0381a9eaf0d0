"""The figures of a trace, against the definitions written out and another count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from objectives.trace_tools.summary import summarise
from objectives.traces import Trace
from objectives.traces import TraceError
from objectives.traces import TraceRequest
from objectives.traces import load_trace


def timed(*times: float) -> Trace:
    return Trace("t", tuple(TraceRequest(10, 5, arrival_time=time) for time in times))


def test_lengths_are_numpys_linear_percentiles() -> None:
    trace = Trace("t", tuple(TraceRequest(n, 2 * n) for n in range(1, 101)))
    summary = summarise(trace)
    assert summary.requests == 100
    assert (summary.prompt.p50, summary.prompt.mean) == (50.5, 50.5)
    assert summary.output.p90 == pytest.approx(2 * (1 + 0.9 * 99))
    assert summary.output.longest == 200


def test_gaps_of_one_and_three_seconds_have_a_variation_of_one_half() -> None:
    arrivals = summarise(timed(5.0, 6.0, 9.0, 10.0, 13.0)).arrivals
    assert arrivals is not None
    assert (arrivals.duration, arrivals.rate) == (8.0, 0.5)
    assert arrivals.gap_cv == 0.5  # gaps 1, 3, 1, 3: mean 2, deviation 1
    assert arrivals.burstiness == 4.0
    assert arrivals.same_stamp == 0.0


def test_the_busiest_of_the_whole_minutes() -> None:
    arrivals = summarise(timed(0.0, 61.0, 62.0, 63.0, 125.0, 126.0, 127.0, 128.0)).arrivals
    assert arrivals is not None
    assert arrivals.busiest_minute == 3 / 60  # the third minute is not whole


@pytest.mark.parametrize("trace", [Trace("t", (TraceRequest(1, 1),)), timed(4.0), timed(4.0, 4.0)])
def test_without_two_times_there_is_no_rate(trace: Trace) -> None:
    assert summarise(trace).arrivals is None


def blocks(folder: Path, *ids: list[int]) -> Trace:
    rows = [
        {"timestamp": 1000 * i, "input_length": 512 * len(b), "output_length": 9, "hash_ids": b}
        for i, b in enumerate(ids)
    ]
    path = folder / "blocks.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return load_trace(path)


def test_an_endless_cache_finds_what_counting_blocks_finds(tmp_path: Path) -> None:
    ids = [[1, 2], [1, 2, 3], [7, 8], [1, 2, 3, 4], [7, 9], [5]]
    sharing = summarise(blocks(tmp_path, *ids)).sharing
    seen: set[tuple[int, ...]] = set()
    found = 0
    for each in ids:
        beginnings = {tuple(each[:n]) for n in range(1, len(each) + 1)}
        found += len(beginnings & seen)
        seen |= beginnings
    assert sharing is not None
    assert sharing.found == found / sum(map(len, ids))
    assert (sharing.requests, sharing.prefixes) == (5 / 6, 2)


def test_texts_share_what_they_share_and_have_to_be_counted() -> None:
    counted = Trace("t", (TraceRequest(2, 1, prompt="hi there"),))
    assert summarise(counted).sharing is None
    with pytest.raises(TraceError, match="holds text whose tokens are not counted: add --model"):
        summarise(Trace("t", (TraceRequest(0, 1, prompt="hi there"),)))
