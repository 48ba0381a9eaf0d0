"""A completions server over real HTTP whose every delay and fault is known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from aiohttp import web

from tests.objectives.server_in_thread import ServerInThread


@dataclass
class Answer:
    """How one request is answered.

    Attributes:
        status: Status; other than 200 sends ``text`` as the body.
        text: Body of an error.
        chunks: (seconds to wait before it, tokens in it) of each streamed chunk.
        letter: What the text of a token is.
        usage: Whether the last event counts the tokens.
        prompt_tokens: What ``usage`` says of the prompt.
        raw: Bytes sent after the chunks as they are.
        end: "done" ends properly, "disconnect" cuts the connection, "hang" never ends.
        byte_by_byte: Send every byte on its own.
    """

    status: int = 200
    text: str = ""
    chunks: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 1)])
    letter: str = "é"
    usage: bool = True
    prompt_tokens: int = 7
    raw: bytes = b""
    end: str = "done"
    byte_by_byte: bool = False


class CompletionsServer(ServerInThread):
    """Serves /v1/completions in a thread of its own, as a context manager.

    Args:
        answer: Called with the number of the request in the order of arrival and its body.
        wait_for: Answers nothing until this many requests have arrived.
    """

    def __init__(self, answer: Callable[[int, dict[str, Any]], Answer], wait_for: int = 0) -> None:
        super().__init__()
        self._answer = answer
        self._wait_for = wait_for
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    async def _serve(self) -> None:
        self._gate = asyncio.Event()
        app = web.Application()
        app.router.add_post("/v1/completions", self._complete)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        await self._until_stopped(runner.addresses[0][1])
        await runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        number = len(self.bodies)
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        if len(self.bodies) >= self._wait_for:
            self._gate.set()
        await self._gate.wait()
        answer = self._answer(number, self.bodies[number])
        if answer.status != 200:
            return web.Response(status=answer.status, text=answer.text)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for delay, n_tokens in answer.chunks:
            await asyncio.sleep(delay)
            await self._send(response, {"choices": [{"text": answer.letter * n_tokens}]}, answer)
        if answer.raw:
            await response.write(answer.raw)
        if answer.end == "hang":
            await asyncio.sleep(3600)
        if answer.end == "disconnect":
            assert request.transport is not None
            request.transport.abort()
            return response
        if answer.usage:
            n_output = sum(n for _, n in answer.chunks)
            counts = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": n_output}
            await self._send(response, {"choices": [], "usage": counts}, answer)
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _send(
        self, response: web.StreamResponse, message: dict[str, Any], answer: Answer
    ) -> None:
        event = f"data: {json.dumps(message, ensure_ascii=False)}\n\n".encode()
        if not answer.byte_by_byte:
            await response.write(event)
            return
        for byte in event:
            await response.write(bytes([byte]))
            await asyncio.sleep(0)
