"""Parts of traces, other paces, traces without their texts."""

from __future__ import annotations

import pytest

from objectives.trace_tools.edits import anonymise
from objectives.trace_tools.edits import cut
from objectives.trace_tools.edits import scale_rate
from objectives.traces import Trace
from objectives.traces import TraceError
from objectives.traces import TraceRequest


TIMED = Trace("t", tuple(TraceRequest(10 + i, 5, arrival_time=100.0 + i) for i in range(10)))
BARE = Trace("bare", (TraceRequest(10, 5), TraceRequest(11, 5)))


def lengths(trace: Trace) -> list[int]:
    return [request.prompt_tokens for request in trace.requests]


def times(trace: Trace) -> list[float | None]:
    return [request.arrival_time for request in trace.requests]


def test_a_part_begins_at_zero_and_leaves_its_end_out() -> None:
    part = cut(TIMED, 2.5, 6.0)
    assert lengths(part) == [13, 14, 15]
    assert times(part) == [0.5, 1.5, 2.5]


def test_the_first_requests_of_a_part() -> None:
    assert lengths(cut(TIMED, 2.0, most=2)) == [12, 13]
    assert cut(BARE, most=1).requests == BARE.requests[:1]


def test_a_rate_is_that_of_the_gaps() -> None:
    scaled = scale_rate(TIMED, 4.0)
    assert times(scaled) == [i / 4 for i in range(10)]
    assert lengths(scaled) == lengths(TIMED)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cut(BARE, 1.0), "'bare' has no arrival times to be cut at"),
        (lambda: cut(TIMED, 50.0), "'t' has no request from 50 to inf s"),
        (lambda: scale_rate(BARE, 1.0), "no arrival times to be scaled: tune --rate sets"),
        (lambda: scale_rate(cut(TIMED, most=1), 1.0), "come at once: they have no rate"),
    ],
)
def test_what_a_trace_lacks_is_said(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(TraceError, match=message):
        make()


def test_anonymous_texts_keep_their_lengths_and_what_they_share() -> None:
    system = "You answer questions about the tables of a shop. " * 4  # 196 characters
    prompts = [system + "How many orders?", system + "Which customers?", "Something else" * 9]
    requests = tuple(TraceRequest(100, 7, 3.0 + i, prompt=p) for i, p in enumerate(prompts))
    found = anonymise(Trace("secret", requests)).requests
    assert [r.prompt for r in found] == [None] * 3
    assert [(r.prompt_tokens, r.output_tokens) for r in found] == [(100, 7)] * 3
    assert [r.arrival_time for r in found] == [0.0, 1.0, 2.0]
    assert [r.prefix_id for r in found] == ["prefix-1", "prefix-1", None]
    # 192 characters in whole parts of 32, of the 212 that each prompt has.
    assert [r.prefix_tokens for r in found] == [100 * 192 // 212] * 2 + [0]


def test_names_of_prefixes_become_numbers() -> None:
    requests = tuple(
        TraceRequest(50, 5, prefix_id=name, prefix_tokens=20) for name in ("alice", "bob", "alice")
    )
    found = anonymise(Trace("t", requests)).requests
    assert [r.prefix_id for r in found] == ["prefix-1", "prefix-2", "prefix-1"]
    assert [r.prefix_tokens for r in found] == [20] * 3
