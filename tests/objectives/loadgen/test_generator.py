"""The load generator against a real HTTP server whose delays and faults are known."""

from __future__ import annotations

import asyncio
import math
import resource
import socket
import time
from collections.abc import Sequence
from typing import Any

import pytest

from objectives.loadgen import LoadError
from objectives.loadgen import LoadOptions
from objectives.loadgen import Progress
from objectives.loadgen import run
from objectives.metrics import FailureKind
from objectives.metrics import LoadResult
from objectives.metrics import RequestRecord
from objectives.metrics import summarize
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload
from tests.objectives.completions_server import Answer
from tests.objectives.completions_server import CompletionsServer


CLOCK = 0.002  # seconds by which two clocks and their timers may differ


def workload(times: list[float], output_tokens: int = 4) -> Workload:
    requests = tuple(
        ScheduledRequest(i, t, TraceRequest(prompt_tokens=7, output_tokens=output_tokens))
        for i, t in enumerate(times)
    )
    return Workload(requests, "test", duration=max(times) + 1)


def raise_file_limit(n: int) -> None:
    """Allow this process, which is client and server, so many open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, hard))


def run_one(answer: Answer, **options: Any) -> LoadResult:
    with CompletionsServer(lambda _number, _body: answer) as server:
        return run(server.url, "m", workload([0.0]), ["hello"], LoadOptions(**options))


def test_a_request_asks_for_a_stream_of_the_traces_length_and_its_usage() -> None:
    with CompletionsServer(lambda _n, _b: Answer()) as server:
        options = LoadOptions(extra_body={"priority": 3})
        run(server.url + "/", "the-model", workload([0.0], 17), ["hello"], options)
    assert server.bodies == [
        {
            "model": "the-model",
            "prompt": "hello",
            "max_tokens": 17,
            "ignore_eos": True,
            "temperature": 0.0,
            "stream": True,
            "stream_options": {"include_usage": True},
            "priority": 3,
        }
    ]


def test_times_are_at_least_the_servers_delays_and_add_up() -> None:
    chunks = [(0.12, 1), (0.03, 3), (0.05, 2), (0.02, 2)]
    result = run_one(Answer(chunks=chunks))
    (record,) = result.records
    assert record.completed
    assert record.error is None
    assert record.ttft >= 0.12 - CLOCK
    assert record.latency >= 0.22 - CLOCK
    assert record.output_tokens == 8  # by usage, not the 4 events
    assert record.prompt_tokens == 7
    assert len(record.inter_token_latencies) == 3
    assert record.first_token is not None
    assert record.first_token + sum(record.inter_token_latencies) == pytest.approx(
        record.last_token
    )
    assert record.tpot == pytest.approx((record.latency - record.ttft) / 7)
    assert record.last_token is not None
    assert result.duration >= record.last_token
    assert result.prompt_length_mismatches == 0
    assert result.short_outputs == 0


def test_the_wait_for_the_first_token_is_no_part_of_the_time_per_token() -> None:
    metrics = summarize(run_one(Answer(chunks=[(0.5, 1), (0.0, 1)])).records)
    assert metrics.ttft_ms.mean >= 498
    assert metrics.tpot_ms is not None
    assert metrics.tpot_ms.mean < metrics.ttft_ms.mean


def test_two_thousand_requests_are_in_flight_before_one_is_answered() -> None:
    # The server answers nothing until all have come: a client that waits for it never gets there.
    n = 2000
    raise_file_limit(2 * n + 500)
    with CompletionsServer(lambda _n, _b: Answer(chunks=[(0.0, 4)]), wait_for=n) as server:
        result = run(
            server.url,
            "m",
            workload([0.0005 * i for i in range(n)]),
            ["x"] * n,
            LoadOptions(request_timeout_s=60),
        )
    assert result.completed == n
    assert [record.index for record in result.records] == list(range(n))
    last_sent = max(record.sent for record in result.records)
    first_answer = min(record.first_token or 0.0 for record in result.records)
    assert first_answer > last_sent
    assert summarize(result.records, result.duration).completed == n


def test_no_request_is_sent_before_it_is_due_and_lateness_is_what_the_records_say() -> None:
    times = [0.0, 0.0, 0.05, 0.3, 0.31]
    with CompletionsServer(lambda _n, _b: Answer()) as server:
        result = run(server.url, "m", workload(times), ["x"] * 5)
    lateness = [record.sent - record.scheduled for record in result.records]
    assert [record.scheduled for record in result.records] == times
    assert min(lateness) >= 0
    assert result.max_lateness_s == max(lateness)


@pytest.mark.parametrize(("limit", "too_late"), [(0.05, True), (60.0, False)])
def test_a_generator_that_cannot_keep_the_schedule_says_so(limit: float, too_late: bool) -> None:
    def block_the_loop(_progress: Progress) -> None:
        time.sleep(0.5)

    with CompletionsServer(lambda _n, _b: Answer()) as server:
        result = run(
            server.url,
            "m",
            workload([0.01 * i for i in range(100)]),
            ["x"] * 100,
            LoadOptions(lateness_limit_s=limit),
            on_progress=block_the_loop,
        )
    assert result.max_lateness_s > 0.3
    assert result.p99_lateness_s > 0.3
    assert result.too_late is too_late
    assert result.completed == 100


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Answer(status=500, text="engine\nis dead"), FailureKind.HTTP_STATUS, "500 engine is"),
        (Answer(chunks=[(0, 1)] * 2, end="disconnect"), FailureKind.STREAM, "broken off after 2"),
        (Answer(raw=b'data: {"error": {"message": "oom"}}\n\n'), FailureKind.STREAM, "oom"),
        (Answer(raw=b"data: {nonsense\n\n"), FailureKind.STREAM, "malformed"),
        (Answer(raw=b"data: [1]\n\n"), FailureKind.STREAM, "[1]"),
        (Answer(raw=b"data: \xff\n\n"), FailureKind.STREAM, "UTF-8"),
        (Answer(usage=False), FailureKind.STREAM, "include_usage"),
        (Answer(chunks=[]), FailureKind.STREAM, "no token"),
        (Answer(chunks=[], end="disconnect"), FailureKind.STREAM, "broken off after 0"),
    ],
)
def test_a_fault_of_the_server_is_a_failed_record(
    answer: Answer, kind: FailureKind, words: str
) -> None:
    result = run_one(answer)
    (record,) = result.records
    assert not record.completed
    assert record.failure_kind is kind
    assert record.error is not None
    assert words in record.error
    assert "\n" not in record.error
    assert result.failures() == {kind: 1}


def test_one_fault_leaves_the_other_requests_alone() -> None:
    faults = {1: Answer(status=503), 3: Answer(end="disconnect"), 4: Answer(end="hang")}
    with CompletionsServer(lambda number, _b: faults.get(number, Answer())) as server:
        times = [0.05 * i for i in range(6)]
        options = LoadOptions(request_timeout_s=2.0)
        result = run(server.url, "m", workload(times), ["x"] * 6, options)
    assert (result.completed, result.failed) == (3, 3)
    assert result.failures() == {
        FailureKind.HTTP_STATUS: 1,
        FailureKind.STREAM: 1,
        FailureKind.TIMEOUT: 1,
    }


def test_a_request_that_takes_too_long_times_out_with_the_tokens_it_got() -> None:
    result = run_one(Answer(chunks=[(0.0, 1), (0.0, 1)], end="hang"), request_timeout_s=0.3)
    (record,) = result.records
    assert record.error == "timeout: no complete answer within 0.3 s"
    assert record.requested_tokens == 4
    assert result.longest_s == 0.3
    assert record.first_token is not None
    assert len(record.inter_token_latencies) == 1
    assert result.duration >= 0.3 - CLOCK


def test_the_drain_ends_after_its_time() -> None:
    hang = Answer(end="hang")
    with CompletionsServer(lambda n, _b: hang if n else Answer()) as server:
        options = LoadOptions(drain_timeout_s=1.0)
        result = run(server.url, "m", workload([0.0, 0.2]), ["x"] * 2, options)
    assert result.records[0].completed
    assert result.records[1].failure_kind is FailureKind.DRAIN_TIMEOUT
    assert result.longest_s == 1.2
    assert result.duration >= 1.2 - CLOCK


def test_where_nothing_is_given_up_no_answer_is_the_longest() -> None:
    unlimited = {"request_timeout_s": math.inf, "drain_timeout_s": math.inf}
    assert run_one(Answer(), **unlimited).longest_s is None


def test_a_run_that_is_called_off_ends_and_says_why() -> None:
    # The last request is due in an hour: the run ends because the engine is seen to be dead.
    seen: list[Progress] = []

    def engine_died() -> str | None:
        return "engine died" if (seen[-1].sent, seen[-1].completed) == (2, 1) else None

    with CompletionsServer(lambda n, _b: Answer(end="hang") if n else Answer()) as server:
        result = run(
            server.url,
            "m",
            workload([0.0, 0.2, 3600.0]),
            ["x"] * 3,
            on_progress=seen.append,
            should_abort=engine_died,
        )
    assert [record.completed for record in result.records] == [True, False, False]
    assert result.records[2].error == "aborted: engine died"
    assert result.records[2].sent == 3600.0
    assert result.failures() == {FailureKind.ABORTED: 2}
    assert result.max_lateness_s < 60


def test_a_run_in_which_nothing_comes_for_as_long_as_a_request_may_take_is_called_off() -> None:
    # Requests go on coming for an hour, and the first of them have timed out.
    times = [0.0, *(0.1 * i for i in range(36_000))]
    seen: list[Progress] = []
    silent = Answer(chunks=[], end="hang")
    with CompletionsServer(lambda n, _b: silent if n else Answer()) as server:
        result = run(
            server.url,
            "m",
            workload(times),
            ["x"] * len(times),
            LoadOptions(request_timeout_s=1.0),
            on_progress=seen.append,
        )
    assert result.duration < 600.0
    assert set(result.failures()) == {FailureKind.TIMEOUT}
    assert result.records[-1].error == "timeout: no token of any request came for 1 s"
    assert max(progress.last_token_s for progress in seen) > 0.0


def test_a_run_in_which_nothing_is_asked_for_long_goes_on() -> None:
    with CompletionsServer(lambda _n, _b: Answer()) as server:
        options = LoadOptions(request_timeout_s=0.5)
        result = run(server.url, "m", workload([0.0, 2.0]), ["x"] * 2, options)
    assert result.completed == 2


def test_a_run_in_which_one_request_is_answered_at_a_time_goes_on() -> None:
    # Each waits for less than it may, and something comes all the time.
    answers = [Answer(chunks=[(0.4 * n, 4)]) for n in range(1, 6)]
    with CompletionsServer(lambda n, _b: answers[n]) as server:
        options = LoadOptions(request_timeout_s=3.0)
        result = run(server.url, "m", workload([0.0] * 5), ["x"] * 5, options)
    assert result.completed == 5


def test_nobody_listening_is_a_failed_connection() -> None:
    with socket.socket() as holder:  # bound but not listening: nobody else takes the port
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        result = run(f"http://127.0.0.1:{port}", "m", workload([0.0]), ["x"])
    assert result.failures() == {FailureKind.CONNECTION: 1}


def test_a_stream_that_comes_byte_by_byte_has_the_same_events() -> None:
    answer = Answer(chunks=[(0.0, 2)] * 5, byte_by_byte=True)
    (record,) = run_one(answer).records
    assert record.completed
    assert record.output_tokens == 10
    assert len(record.inter_token_latencies) == 4


def test_unexpected_lengths_are_counted() -> None:
    result = run_one(Answer(chunks=[(0.0, 1)], prompt_tokens=9))
    assert result.short_outputs == 1
    assert result.prompt_length_mismatches == 1
    assert result.records[0].prompt_tokens == 9


def test_the_key_is_sent_and_never_shown() -> None:
    key = "sk-very-secret-100%d"
    options = LoadOptions(api_key=key)
    for unfit in (key + "\n", key + "é", " " + key):
        with pytest.raises(LoadError, match="cannot be sent in an HTTP header") as refused:
            LoadOptions(api_key=unfit)
        assert "secret" not in str(refused.value)
    with CompletionsServer(lambda _n, _b: Answer(status=401, text=f"bad key {key}")) as server:
        result = run(server.url, "m", workload([0.0]), ["x"], options)
    assert server.headers[0]["Authorization"] == f"Bearer {key}"
    assert result.failures() == {FailureKind.HTTP_STATUS: 1}
    assert key not in repr(result)
    assert key not in repr(options)


def test_progress_is_told_and_ends_complete() -> None:
    seen: list[Progress] = []
    with CompletionsServer(lambda n, _b: Answer(status=500 if n == 2 else 200)) as server:
        run(server.url, "m", workload([0.0, 0.3, 0.6]), ["x"] * 3, on_progress=seen.append)
    assert seen[-1].sent == seen[-1].total == 3
    assert (seen[-1].completed, seen[-1].failed) == (2, 1)
    assert [p.elapsed_s for p in seen] == sorted(p.elapsed_s for p in seen)


def test_it_runs_inside_a_running_event_loop() -> None:
    async def notebook_cell(url: str) -> LoadResult:
        return run(url, "m", workload([0.0]), ["x"])

    with CompletionsServer(lambda _n, _b: Answer()) as server:
        assert asyncio.run(notebook_cell(server.url)).completed == 1


def test_an_error_in_a_callback_ends_the_run() -> None:
    def fail(_progress: Progress) -> None:
        raise KeyError("mine")

    with (
        CompletionsServer(lambda _n, _b: Answer(end="hang")) as server,
        pytest.raises(KeyError, match="mine"),
    ):
        run(server.url, "m", workload([0.0]), ["x"], on_progress=fail)


@pytest.mark.parametrize(
    ("endpoint", "prompts", "message"),
    [("127.0.0.1:8000", ["x"], "http://"), ("http://127.0.0.1:1", [], "0 prompts for 1")],
)
def test_what_cannot_be_sent_is_refused(endpoint: str, prompts: list[str], message: str) -> None:
    with pytest.raises(LoadError, match=message):
        run(endpoint, "m", workload([0.0]), prompts)


@pytest.mark.parametrize("name", ["request_timeout_s", "drain_timeout_s", "lateness_limit_s"])
def test_times_of_the_options_are_positive(name: str) -> None:
    with pytest.raises(LoadError, match=name):
        LoadOptions(**{name: 0.0})


def test_a_run_can_be_ended_and_says_what_it_knew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("objectives.loadgen.load_run._ASK_S", 0.0)
    seen: list[list[RequestRecord]] = []

    def should_end(records: Sequence[RequestRecord], now: float) -> str | None:
        seen.append(list(records))
        return "it is hopeless" if len(records) == 3 and records[0].output_tokens else None

    # The first is answered, the second begun, the third broken off, the fourth is far away.
    answers = [Answer(chunks=[(0.0, 4)]), Answer(end="hang"), Answer(status=500, text="no")]
    with CompletionsServer(lambda n, _b: answers[n]) as server:
        load = workload([0.0, 0.01, 0.02, 60.0])
        result = run(server.url, "m", load, ["x"] * 4, should_end=should_end)

    assert result.ended_early == "it is hopeless"
    assert result.duration < 30.0
    assert [record.index for record in seen[-1]] == [0, 1, 2]
    first, second, third = seen[-1]
    assert first.first_token == result.records[0].first_token
    assert first.last_token == result.records[0].last_token
    assert (second.last_token, second.error, second.output_tokens) == (None, None, 0)
    assert third.error is not None
    kinds = [record.failure_kind for record in result.records]
    aborted = FailureKind.ABORTED
    assert kinds == [None, aborted, FailureKind.HTTP_STATUS, aborted]


def test_a_run_that_is_not_ended_says_nothing() -> None:
    with CompletionsServer(lambda _n, _b: Answer()) as server:
        load = workload([0.0])
        result = run(server.url, "m", load, ["x"], should_end=lambda _records, _now: "too late")
    assert result.ended_early is None
    assert result.completed == 1
