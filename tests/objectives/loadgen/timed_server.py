"""A completions server in a process of its own that writes down when it really sent each event.

    python timed_server.py FIRST GAP EVENTS TOKENS

It answers every request with EVENTS events of TOKENS tokens, the first after FIRST seconds and the
next every GAP seconds, and prints its port. Its timers are late as all timers are, more so on a
busy machine. So it notes the moment of every send: what a client should have seen is known
exactly, whatever the delays were. When its input ends it prints the moments of each request, by
its prompt, as JSON.

It does as little as a server can: what it costs is taken from what is measured.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
END = b"0\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """How every request is answered.

    Attributes:
        first: Seconds until the first event.
        gap: Seconds between events.
        events: Token events of an answer, at least 1.
        tokens: Tokens of each event.
    """

    first: float
    gap: float = 0.0
    events: int = 1
    tokens: int = 1

    @property
    def output_tokens(self) -> int:
        return self.events * self.tokens


@dataclass(frozen=True)
class Moments:
    """When the server saw a request and sent its events, in seconds of its own clock."""

    received: float
    sent: list[float]

    @property
    def ttft(self) -> float:
        return self.sent[0] - self.received

    @property
    def latency(self) -> float:
        return self.sent[-1] - self.received

    @property
    def gaps(self) -> list[float]:
        return [after - before for before, after in zip(self.sent, self.sent[1:], strict=False)]


class TimedServer:
    """The server in a process of its own, as a context manager.

    Args:
        answer: How every request is answered.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        words = [answer.first, answer.gap, answer.events, answer.tokens]
        self._process = subprocess.Popen(
            [sys.executable, __file__, *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __enter__(self) -> Self:
        return self

    def moments(self) -> dict[str, Moments]:
        """End the server and return the moments of each request by its prompt."""
        told, _ = self._process.communicate()
        return {prompt: Moments(*times) for prompt, times in json.loads(told).items()}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class _Connection(asyncio.Protocol):
    """One connection of a client that sends one request at a time."""

    def __init__(self, answer: Answer, moments: dict[str, tuple[float, list[float]]]) -> None:
        self.answer = answer
        self.moments = moments
        self.pending = b""
        self.loop = asyncio.get_running_loop()
        text = "x" * (4 * answer.tokens)
        event = json.dumps({"id": "cmpl-1", "choices": [{"index": 0, "text": text}]})
        self.event = _framed(f"data: {event}\n\n".encode())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.max_size = 16384  # type: ignore[attr-defined]  # cheaper to allocate
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.pending += data
        head, found, body = self.pending.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) < length:
            return
        self.pending = b""
        prompt = json.loads(body)["prompt"]
        sent: list[float] = []
        self.moments[prompt] = (now, sent)
        self.loop.call_at(self.loop.time() + self.answer.first, self._send, prompt, sent, HEAD)

    def _send(self, prompt: str, sent: list[float], opening: bytes = b"") -> None:
        last = len(sent) + 1 == self.answer.events
        data = opening + self.event
        if last:
            words = len(prompt.split())
            usage = {"prompt_tokens": words, "completion_tokens": self.answer.output_tokens}
            count = json.dumps({"choices": [], "usage": usage})
            data += _framed(f"data: {count}\n\n".encode() + DONE) + END
        sent.append(time.perf_counter())
        self.transport.write(data)
        if not last:
            self.loop.call_at(self.loop.time() + self.answer.gap, self._send, prompt, sent)


async def _serve(answer: Answer) -> None:
    loop = asyncio.get_running_loop()
    moments: dict[str, tuple[float, list[float]]] = {}
    server = await loop.create_server(
        lambda: _Connection(answer, moments), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    json.dump(moments, sys.stdout)


if __name__ == "__main__":
    import gc
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()
    first, gap = map(float, sys.argv[1:3])
    asyncio.run(_serve(Answer(first, gap, *map(int, sys.argv[3:5]))))
