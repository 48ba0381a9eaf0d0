"""Answers that are broken on the way: each fails its own request, and the run goes on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from objectives.loadgen import LoadOptions
from objectives.loadgen import run
from objectives.metrics import FailureKind
from objectives.metrics import LoadResult
from objectives.metrics import RequestRecord
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload
from tests.objectives.loadgen.raw_server import CHUNKED
from tests.objectives.loadgen.raw_server import COUNT
from tests.objectives.loadgen.raw_server import DONE
from tests.objectives.loadgen.raw_server import GOOD
from tests.objectives.loadgen.raw_server import TOKEN
from tests.objectives.loadgen.raw_server import Bytes
from tests.objectives.loadgen.raw_server import RawServer
from tests.objectives.loadgen.raw_server import chunk


WHOLE = TOKEN + TOKEN + COUNT + DONE
REQUEST = TraceRequest(prompt_tokens=1, output_tokens=4)


def run_with(server: RawServer, prompts: Sequence[str], times: Sequence[float]) -> LoadResult:
    scheduled = tuple(ScheduledRequest(i, t, REQUEST) for i, t in enumerate(times))
    options = LoadOptions(request_timeout_s=1.0)
    return run(server.url, "m", Workload(scheduled, "raw", 1.0), prompts, options)


FAULTS = {
    "closed before an answer": (Bytes([], "close"), FailureKind.CONNECTION, "closed"),
    "reset before an answer": (Bytes([], "reset"), FailureKind.CONNECTION, "reset"),
    "closed within the head": (
        Bytes([CHUNKED[:20]], "close"),
        FailureKind.CONNECTION,
        "closed the connection",
    ),
    "closed within the stream": (
        Bytes([CHUNKED, chunk(TOKEN)], "close"),
        FailureKind.STREAM,
        "broken off after 1 events",
    ),
    "reset within the stream": (
        Bytes([CHUNKED, chunk(TOKEN), chunk(TOKEN)], "reset"),
        FailureKind.STREAM,
        "broken off after 2 events",
    ),
    "shorter than it says": (
        Bytes([b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + WHOLE], "close"),
        FailureKind.STREAM,
        "broken off after 2 events",
    ),
    "no HTTP": (Bytes([b"SSH-2.0-OpenSSH_9.6\r\n"], "hang"), FailureKind.STREAM, "not HTTP"),
    "a chunk of no length": (
        Bytes([CHUNKED, b"zz\r\n" + TOKEN], "hang"),
        FailureKind.STREAM,
        "not HTTP",
    ),
    "truncated JSON": (
        Bytes([CHUNKED, chunk(TOKEN[:20] + b"\n\n")], "hang"),
        FailureKind.STREAM,
        "malformed event",
    ),
    "no counts": (
        Bytes([CHUNKED, chunk(TOKEN + DONE), chunk(b"")]),
        FailureKind.STREAM,
        "include_usage",
    ),
    "a full queue": (
        Bytes([b"HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\nqueue full"]),
        FailureKind.HTTP_STATUS,
        "503 queue full",
    ),
    "a bad request": (
        Bytes([b"HTTP/1.1 400 Bad\r\nContent-Length: 8\r\n\r\ntoo long"]),
        FailureKind.HTTP_STATUS,
        "400 too long",
    ),
    "sent elsewhere": (
        Bytes([b"HTTP/1.1 307 T\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n"]),
        FailureKind.HTTP_STATUS,
        "307",
    ),
    "an error without end": (
        Bytes([b"HTTP/1.1 500 E\r\n\r\n", b"no " * 3000], "hang"),
        FailureKind.HTTP_STATUS,
        "500 no no",
    ),
    "a slow drip": (
        Bytes([CHUNKED, chunk(TOKEN), *[b"1\r\nd\r\n"] * 60], "hang", pause=0.05),
        FailureKind.TIMEOUT,
        "no complete answer within 1 s",
    ),
}


@pytest.fixture(scope="module")
def faulty() -> dict[str, RequestRecord]:
    """Return the records of a run in which every fault lies between two whole answers."""
    prompts = [prompt for name in FAULTS for prompt in (name, f"after {name}")]
    with RawServer({name: odd for name, (odd, _, _) in FAULTS.items()}) as server:
        result = run_with(server, prompts, [0.02 * i for i in range(len(prompts))])
    return dict(zip(prompts, result.records, strict=True))


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_answer_has_its_class_of_error(
    faulty: dict[str, RequestRecord], name: str
) -> None:
    _, kind, words = FAULTS[name]
    record = faulty[name]
    assert not record.completed
    assert record.failure_kind is kind
    assert record.error is not None
    assert words in record.error


def test_broken_answers_fail_no_other_request(faulty: dict[str, RequestRecord]) -> None:
    assert all(faulty[f"after {name}"].completed for name in FAULTS)


SOUND = {
    "without a length, until the end": (
        Bytes([b"HTTP/1.0 200 OK\r\n\r\n", TOKEN, TOKEN, COUNT + DONE], "close"),
        2,
    ),
    "with a length": (
        Bytes([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(WHOLE) + WHOLE]),
        1,
    ),
    "after a note that it will come": (
        Bytes([b"HTTP/1.1 100 Continue\r\n\r\n", *GOOD.parts]),
        1,
    ),
    "on a connection that is not kept": (
        Bytes([CHUNKED[:-2] + b"Connection: close\r\n\r\n", *GOOD.parts[1:]], "hang"),
        2,
    ),
    "on a connection that is closed later": (Bytes(GOOD.parts, "close"), 2),
    "byte by byte": (Bytes([bytes([b]) for b in b"".join(GOOD.parts)], pause=0.0), 1),
    "all at once": (Bytes([b"".join(GOOD.parts)]), 1),
    "with something behind it": (Bytes([*GOOD.parts, b"HTTP/1.1 200 OK\r\n"]), 2),
}


@pytest.mark.parametrize("name", SOUND)
def test_an_answer_is_whole_however_it_comes(name: str) -> None:
    odd, n_connections = SOUND[name]
    with RawServer({"odd": odd}) as server:
        result = run_with(server, ["odd", "next"], [0.0, 0.3])
    assert [record.error for record in result.records] == [None] * 2
    assert [record.output_tokens for record in result.records] == [4] * 2
    assert [len(record.inter_token_latencies) for record in result.records] == [1] * 2
    assert server.n_connections == n_connections  # one that cannot be kept is not used again


def test_events_of_several_tokens_in_one_read_are_as_many_events_and_tokens() -> None:
    answer = Bytes([b"".join([CHUNKED, *[chunk(TOKEN)] * 3, chunk(COUNT + DONE), chunk(b"")])])
    with RawServer({"odd": answer}) as server:
        (record,) = run_with(server, ["odd"], [0.0]).records
    assert list(record.inter_token_latencies) == [0.0, 0.0]
    assert record.output_tokens == 4
    assert record.tpot == 0.0


def test_an_endpoint_with_a_path_is_asked_below_it() -> None:
    workload = Workload((ScheduledRequest(0, 0.0, REQUEST),), "raw", 1.0)
    with RawServer({}) as server:
        assert run(f"{server.url}/model/", "m", workload, ["x"]).completed == 1
        assert server.targets == ["/model/v1/completions"]
