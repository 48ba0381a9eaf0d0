"""This project's trace format, and spreading of coarse time stamps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectives.traces import BUNDLED
from objectives.traces import Trace
from objectives.traces import TraceError
from objectives.traces import TraceRequest
from objectives.traces import load_trace
from objectives.traces import spread_arrivals
from objectives.traces import write_trace


def load_lines(folder: Path, *lines: str) -> Trace:
    path = folder / "mine.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return load_trace(path)


def test_rows_become_requests(tmp_path: Path) -> None:
    trace = load_lines(
        tmp_path,
        '{"prompt_tokens": 5, "output_tokens": 2}',
        "",
        '{"prompt_tokens": 9, "output_tokens": 1, "prefix_id": "a", "prefix_tokens": 4}',
        '{"prompt": "Grüße\\u2028!", "output_tokens": 3}',
    )
    assert trace.name == "mine"
    assert trace.requests == (
        TraceRequest(5, 2),
        TraceRequest(9, 1, prefix_id="a", prefix_tokens=4),
        TraceRequest(0, 3, prompt="Grüße\u2028!"),
    )
    assert not trace.has_arrival_times


def test_a_trace_that_is_written_is_read_back(tmp_path: Path) -> None:
    trace = Trace(
        "t",
        (
            TraceRequest(5, 2, arrival_time=0.1),
            TraceRequest(9, 1, arrival_time=1 / 3, prefix_id="a", prefix_tokens=4),
            TraceRequest(0, 3, arrival_time=1.0, prompt='line\n"quoted" \u2028 é'),
            TraceRequest(4, 3, arrival_time=1.0, prompt="counted"),
        ),
    )
    write_trace(trace, tmp_path / "t.jsonl")
    assert load_trace(tmp_path / "t.jsonl") == trace
    assert load_trace(tmp_path / "t.jsonl").has_arrival_times


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_traces_are_found_by_name_and_fit_llama2(name: str) -> None:
    trace = load_trace(name.upper())
    assert trace.name == name
    assert len(trace.requests) == 2000
    assert max(r.prompt_tokens + r.output_tokens for r in trace.requests) <= 4096


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[1, 2]", "line 2: not a JSON object"),
        ('{"prompt_tokens": 5}', "line 2: output_tokens missing"),
        ('{"output_tokens": 5}', "line 2: prompt_tokens missing"),
        ('{"prompt_tokens": 1.5, "output_tokens": 1}', "line 2: prompt_tokens must be a whole"),
        ('{"prompt_tokens": true, "output_tokens": 1}', "line 2: prompt_tokens must be a whole"),
        ('{"prompt_tokens": "5", "output_tokens": 1}', "line 2: prompt_tokens must be a whole"),
        ('{"prompt_tokens": 0, "output_tokens": 1}', "line 2: prompt_tokens must be at least 1"),
        ('{"prompt_tokens": 5, "output_tokens": 0}', "line 2: output_tokens must be at least 1"),
        ('{"prompt_tokens": 5, "output_tokens": 1, "otuput": 1}', "line 2: unknown keys otuput"),
        ('{"prompt_tokens": 5, "output_tokens": 1, "arrival_time": -1}', "line 2: arrival_time"),
        ('{"prompt_tokens": 5, "output_tokens": 1, "arrival_time": NaN}', "line 2: arrival_time"),
        (
            '{"prompt_tokens": 5, "output_tokens": 1, "arrival_time": 1' + "0" * 400 + "}",
            "line 2: arrival_time must be >= 0 seconds and below 1e+15, not 1000",
        ),
        ('{"prompt_tokens": 5, "output_tokens": 1, "prefix_id": "a"}', "line 2: prefix_id and"),
        ('{"prompt_tokens": 5, "output_tokens": 1, "prefix_tokens": 2}', "line 2: prefix_id and"),
        (
            '{"prompt_tokens": 5, "output_tokens": 1, "prefix_id": "a", "prefix_tokens": 6}',
            "line 2: prefix_tokens must be between 0 and prompt_tokens = 5",
        ),
        (
            '{"prompt": "x", "prompt_tokens": 5, "output_tokens": 1, "prefix_id": "a", '
            '"prefix_tokens": 2}',
            "line 2: a request with its own text",
        ),
        ('{"prompt": "", "output_tokens": 1}', "line 2: prompt_tokens must be at least 1"),
        ('{"prompt_tokens": 5, "output_tokens": 1, "arrival_time": 3}', "1 of 2 requests have an"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(TraceError) as caught:
        load_lines(tmp_path, '{"prompt_tokens": 5, "output_tokens": 2}', line)
    assert message in str(caught.value)
    assert "mine.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_times_that_decrease_are_refused(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt_tokens": 5, "output_tokens": 2, "arrival_time": t} for t in (0.0, 2.0, 1.0)
    ]
    with pytest.raises(TraceError, match="must not decrease"):
        load_lines(tmp_path, *map(json.dumps, rows))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jsonl", b"\n", "holds no request"),
        ("latin.jsonl", b'{"prompt": "\xe9", "output_tokens": 1}', "utf-8"),
        ("trace.txt", b"x", "a trace is a .jsonl, .json or .csv file"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TraceError, match=message):
        load_trace(tmp_path / name)


def test_an_unknown_trace_is_refused_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="'chat': give one of sql, bot, cls, rec, or the path"):
        load_trace("chat")
    with pytest.raises(TraceError, match="no trace"):
        load_trace(tmp_path)


def test_spreading_fills_the_time_to_the_next_stamp() -> None:
    stamps = [0.0] * 30 + [3.0] * 50 + [9.0] * 20
    trace = Trace("t", tuple(TraceRequest(i + 1, 1, arrival_time=s) for i, s in enumerate(stamps)))
    spread = spread_arrivals(trace, seed=3)
    times = np.array([r.arrival_time for r in spread.requests])
    assert np.all(np.diff(times) >= 0)
    steps = np.repeat([3.0, 6.0, 4.5], [30, 50, 20])  # the last step is the median of the others
    assert np.all(times >= stamps)
    assert np.all(times < np.array(stamps) + steps)
    assert len(set(times)) == len(times)
    assert [r.prompt_tokens for r in spread.requests] == list(range(1, 101))
    # Each third of the first step holds about a third of its requests.
    counts, _ = np.histogram(times[:30], bins=[0, 1, 2, 3])
    assert counts.min() >= 4
    assert spread_arrivals(trace, seed=3) == spread
    assert spread_arrivals(trace, seed=4) != spread


@pytest.mark.parametrize(
    ("times", "message"), [((None, None), "no arrival times"), ((2.0, 2.0), "single time stamp")]
)
def test_what_cannot_be_spread_is_refused(times: tuple[float | None, ...], message: str) -> None:
    trace = Trace("t", tuple(TraceRequest(1, 1, arrival_time=t) for t in times))
    with pytest.raises(TraceError, match=message):
        spread_arrivals(trace)
