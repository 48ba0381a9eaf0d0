"""Whatever is typed, handed in or sent: one clear error of its own kind, or something usable.

Hypothesis makes the cases, the same in every run. Most are near what is right: words of the right
kinds in any order, or what is right with a piece cut out, doubled or exchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from objectives.goals import Goal
from objectives.goals import GoalError
from objectives.goals import Limit
from objectives.loadgen.connections import BrokenOff
from objectives.loadgen.connections import Connection
from objectives.loadgen.exchange import Exchange
from objectives.loadgen.exchange import RequestFailed
from objectives.loadgen.exchange import RunClock
from objectives.loadgen.loop_watch import WatchedSelector
from objectives.traces import TraceError
from objectives.traces import TraceRequest
from objectives.traces import load_trace
from objectives.workload import ScheduledRequest
from optuna_scoot.cli.main import run
from optuna_scoot.constraints.known import ConstraintError
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.tuning.baseline import read_baseline
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.storage import check_storage
from optuna_scoot.tuning.storage_urls import mask_url


EXAMPLES = 400
SELECTOR = WatchedSelector()
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

PARAMETERS: dict[str, Any] = {
    "max_num_seqs": IntDistribution(1, 1024, log=True),
    "share": FloatDistribution(0.0, 1.0),
    "block_size": CategoricalDistribution([8, 16, 32]),
    "prefix-caching": CategoricalDistribution([True, False]),
}


def check_line(text: str, begins: str = "") -> None:
    """What a user is shown is one line, and says something."""
    assert text
    assert "\n" not in text
    assert re.match(begins, text)


def words(*parts: str, most: int = 12) -> st.SearchStrategy[str]:
    """Any of these one after the other, some with other text between."""
    part = st.one_of(st.sampled_from(parts), st.sampled_from(parts), st.text(max_size=3))
    return st.lists(part, max_size=most).map("".join)


@st.composite
def spoilt(draw: st.DrawFn, *right: str) -> str:
    """Something right with pieces cut out, doubled or exchanged."""
    text = draw(st.sampled_from(right))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        piece = draw(st.one_of(st.just(""), st.just(2 * text[start:end]), st.text(max_size=4)))
        text = text[:start] + piece + text[end:]
    return text


JSONL = (
    '{"prompt_tokens": 10, "output_tokens": 5}\n{"prompt_tokens": 7, "output_tokens": 1}\n',
    '{"timestamp": 0, "input_length": 9, "output_length": 3, "hash_ids": [1, 2]}\n',
    '{"prompt_tokens": 10, "output_tokens": 5, "arrival_s": 0.5, "prefix_id": "a",'
    ' "prefix_tokens": 4}\n',
)
CSV = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,4808,10\n",
    "prompt_tokens,output_tokens,arrival_s\n10,5,0.25\n3,1,1e3\n",
    "Timestamp,Model,Request tokens,Response tokens\n5,GPT-4,472,18\n",
)


JSON = (
    '[{"id": "x", "conversations": [{"from": "human", "value": "hi"},'
    ' {"from": "gpt", "value": "yo"}]}]',
    '{"created": 1715299200, "request": {"messages": [{"role": "user", "content": "hi"}]},'
    ' "response": {"usage": {"prompt_tokens": 9, "completion_tokens": 4}}}',
)


@pytest.mark.parametrize(("suffix", "right"), [(".jsonl", JSONL), (".csv", CSV), (".json", JSON)])
def test_a_trace_is_read_whole_or_refused(
    tmp_path: Path, suffix: str, right: tuple[str, ...]
) -> None:
    path = tmp_path / f"trace{suffix}"

    @fuzzed
    @given(st.one_of(spoilt(*right).map(str.encode), st.binary(max_size=60)))
    def look(content: bytes) -> None:
        path.write_bytes(content)
        try:
            trace = load_trace(path)
        except TraceError as error:
            check_line(str(error))
            return
        assert trace.requests
        for request in trace.requests:
            assert request.prompt_tokens >= 1 or request.prompt
            assert request.output_tokens >= 1 or request.answer
            assert request.arrival_time is None or request.arrival_time >= 0.0

    look()


CONSTRAINT = words(
    *PARAMETERS, "(", ")", " and ", " or ", "not ", " in ", "<=", "==", "<", "+", "*", "**", "//",
    "%", "-", "/", "0", "1e400", "64", "True", "None", "'a'", "[8, 16]", ",", "min(", "abs(",
    ".__class__", "lambda x: x", "x", " if ", " else ", "10**10**10",
)  # fmt: skip


@fuzzed
@given(CONSTRAINT, st.integers(1, 1024), st.floats(0, 1), st.sampled_from([8, 16, 32]))
def test_a_constraint_holds_or_not_or_is_refused(
    text: str, seqs: int, share: float, block: int
) -> None:
    params = {"max_num_seqs": seqs, "share": share, "block_size": block, "prefix-caching": True}
    try:
        known = KnownConstraints([text], names=PARAMETERS)
        known.check_names(PARAMETERS)
        holds = known.satisfied(params)
    except ConstraintError:
        return
    assert holds in (True, False)
    assert bool(known.violated(params)) != holds


GOAL = words(
    "p99", "p50", "p99.9", "mean", " ", "ttft", "tpot", "itl", "e2el", "throughput", "goodput",
    "rate", "<=", ">=", "=", "500", "1e9999", "-1", "0", ".5", "ms", "s", "requests/s", "nan", "p",
    "p100", "p0",
)  # fmt: skip


@fuzzed
@given(GOAL, st.sampled_from(["minimize", "maximize"]))
def test_a_goal_is_understood_or_refused(text: str, direction: str) -> None:
    try:
        goal = Goal.parse(text, direction)
    except GoalError as error:
        check_line(str(error))
        return
    assert Goal.parse(str(goal.metric), direction) == goal


@fuzzed
@given(st.one_of(GOAL, spoilt("p99 ttft <= 500 ms", "goodput >= 2 requests/s", "mean tpot<=1s")))
def test_a_limit_is_understood_or_refused(text: str) -> None:
    try:
        limit = Limit.parse(text)
    except GoalError as error:
        check_line(str(error))
        return
    assert Limit.parse(str(limit)) == limit
    assert math.isfinite(limit.excess(1.0))


URLS = (
    "sqlite:///scoot.db",
    "postgresql+psycopg://me:PaSsWoRd@host:5432/db?sslmode=require&password=PaSsWoRd",
    "mysql+pymysql://me:PaSsWoRd@host/db",
    "journal:scoot.log",
    "grpc://host:13000",
)


@fuzzed
@given(st.one_of(spoilt(*URLS), st.text(max_size=40)))
def test_a_storage_url_is_taken_or_refused(url: str) -> None:
    with contextlib.suppress(InputError):
        check_storage(url)


@fuzzed
@given(
    st.sampled_from(["postgresql", "mysql+pymysql", "sqlite", "grpc", "journal", "nonsense", ""]),
    st.text("abcXYZ019@:/?#%&= ", min_size=6, max_size=20),
    st.sampled_from(["host/db", "host:5432/db?a=b", "host:port/db", "/db", "h@x/db", ""]),
)
def test_no_password_is_shown(scheme: str, noise: str, rest: str) -> None:
    shown = mask_url(f"{scheme}://me:hush-{noise}-hush@{rest}")
    assert "hush" not in shown


@fuzzed
@given(
    st.one_of(
        spoilt("max-num-seqs: 128\nenable-prefix-caching: true\nblock-size: 16\n"),
        words(
            "a", ":", " ", "\n", "- ", "[", "{", "}", "&x", "*x", "!!python/object:os.system", "|"
        ),
        st.text(max_size=30),
    )
)
def test_a_baseline_is_flags_or_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "flags.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        flags = read_baseline(path)
    except InputError as error:
        check_line(str(error))
        return
    assert all(isinstance(name, str) for name in flags)


EVENTS = (
    'data: {"choices": [{"text": "a"}]}\n\n',
    'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n',
    "data: [DONE]\n\n",
)


@fuzzed
@given(
    st.lists(
        st.one_of(spoilt(*EVENTS).map(str.encode), st.sampled_from(EVENTS).map(str.encode)),
        max_size=6,
    ),
    st.one_of(st.binary(max_size=40), st.sampled_from([b"data: " + b"[" * 99_999 + b"\n\n"])),
    st.integers(1, 7),
)
def test_a_stream_becomes_a_record_or_fails_its_request(
    parts: list[bytes], noise: bytes, size: int
) -> None:
    sent = b"".join(parts) + noise + b"\n\n"
    request = ScheduledRequest(index=0, time=0.0, request=TraceRequest(3, 2))
    exchange = Exchange(request, RunClock(SELECTOR, start=0.0), sent=0.0)
    exchange.take_status(200)
    chunks = [sent[i : i + size] for i in range(0, min(len(sent), 500), size)] + [sent[500:]]
    try:
        for now, chunk in enumerate(chunks):
            exchange.take_body(chunk, float(now))
        exchange.check_complete()
    except UnicodeDecodeError:  # which the load generator takes for a broken stream
        return
    except RequestFailed as error:
        check_line(str(error), r"[a-z ]+: ")
        return
    record = exchange.record(None)
    assert record.first_token is not None
    json.dumps(record.output_tokens)


HTTP = [
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 503 Busy\r\n",
    "HTTP/1.1 100 Continue\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 9\r\n",
    "Connection: close\r\n",
    "\r\n",
    "5\r\ndata:\r\n",
    "0\r\n\r\n",
    "data: {}\n\n",
]


class Bodies:
    """Takes an answer, and what it is made of does not matter."""

    def take_status(self, status: int) -> None:
        assert status >= 200

    def take_body(self, data: bytes, now: float) -> None:
        assert data


@fuzzed
@given(st.lists(st.one_of(st.sampled_from(HTTP), spoilt(*HTTP)), max_size=8), st.booleans())
def test_whatever_a_server_sends_its_answer_ends_or_is_broken_off(
    parts: list[str], at_once: bool
) -> None:
    async def talk() -> None:
        near, far = socket.socketpair()
        with far:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(
                lambda: Connection(memoryview(bytearray(4096))), sock=near
            )
            exchange = asyncio.create_task(connection.exchange(b"POST", Bodies()))
            await asyncio.sleep(0)
            pieces = ["".join(parts)] if at_once else parts
            for piece in pieces:
                with contextlib.suppress(OSError):  # it has closed already
                    far.send(piece.encode())
                await asyncio.sleep(0)
        try:
            await asyncio.wait_for(exchange, 10)
        except BrokenOff as error:
            check_line(str(error))
        connection.close()

    asyncio.run(talk())


NUMBER = st.one_of(
    st.sampled_from(["0", "-1", "1e400", "nan", "inf", "", "1,5", "0x10", "1_000", "٣"]),
    st.text(max_size=6),
)
OPTIONS = {
    "--duration": NUMBER,
    "--rate": NUMBER,
    "--burstiness": NUMBER,
    "--trials": NUMBER,
    "--seed": NUMBER,
    "--max-hours": NUMBER,
    "--verify": NUMBER,
    "--finalists": NUMBER,
    "--service": st.one_of(spoilt("sql-2xa10-7b", "bot-4xa100-13b"), st.text(max_size=8)),
    "--minimize": GOAL,
    "--maximize": GOAL,
    "--slo": GOAL,
    "--constraint": CONSTRAINT,
    "--enqueue": words("max_num_seqs", "block_size", "=", "64", ",", "true", "16", "-"),
    "--baseline": words("max_num_seqs", "block-size", "=", "64", ",", "false", "/", "."),
    "--study": st.one_of(st.text(max_size=12), words("..", "/", "\\", "a")),
    "--output": st.text("ab .\u00e9\\~", max_size=12),
    "--trace": st.text(max_size=8),
    "--objective": st.text(max_size=8),
    "--sampler": st.text(max_size=8),
    "--storage": st.one_of(spoilt(*URLS[1:]), st.text(max_size=20)),
    "--port": NUMBER,
    "--engine-arg": words("max-model-len", "=", "1", "api-key"),
}


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """`tune` on a simulated service with one to three options that may be anything."""
    names = draw(st.lists(st.sampled_from(sorted(OPTIONS)), min_size=1, max_size=3, unique=True))
    line = ["tune", "--engine", "simulated"]
    if "--service" not in names:
        line += ["--service", "sql-2xa10-7b"]
    if "--duration" not in names:
        line += ["--duration", "1"]
    if "--trials" not in names:
        line += ["--trials", "1"]
    return line + [f"{name}={draw(OPTIONS[name])}" for name in names]


def test_options_are_taken_or_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "work"
    home.mkdir()
    monkeypatch.chdir(home)

    @settings(parent=fuzzed, max_examples=EXAMPLES // 2)
    @given(command_lines())
    def look(line: list[str]) -> None:
        code = run(line)
        err = capsys.readouterr().err
        assert code in (0, 2, 4)
        assert "Traceback" not in err
        assert err.replace("\n", "").isprintable()
        if code == 2:
            assert len(err.splitlines()) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["work"]  # nothing beside it

    look()
