"""A server that sends exactly the bytes that it is told to, good HTTP or not."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from tests.objectives.server_in_thread import ServerInThread


@dataclass(frozen=True)
class Bytes:
    """What is sent in answer to a request.

    Attributes:
        parts: Sent one after another, each on its own.
        end: "keep" waits for another request, "close" closes, "reset" resets, "hang" does nothing.
        pause: Seconds before each part.
    """

    parts: Sequence[bytes]
    end: str = "keep"
    pause: float = 0.001


def event(message: object) -> bytes:
    return f"data: {json.dumps(message)}\n\n".encode()


TOKEN = event({"choices": [{"text": "a b"}]})
COUNT = event({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 4}})
DONE = b"data: [DONE]\n\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


GOOD = Bytes([CHUNKED, chunk(TOKEN), chunk(TOKEN), chunk(COUNT + DONE) + chunk(b"")])


class RawServer(ServerInThread):
    """Answers each request by its prompt, in a thread of its own, as a context manager.

    Args:
        answers: What is sent for a prompt; ``GOOD`` for all others.
    """

    def __init__(self, answers: Mapping[str, Bytes]) -> None:
        super().__init__()
        self._answers = answers
        self.n_connections = 0
        self.targets: list[str] = []

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        await self._until_stopped(server.sockets[0].getsockname()[1])
        server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):  # the client has gone
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; return whether to wait for another."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        self.targets.append(head.split()[1].decode())
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        prompt = json.loads(await reader.readexactly(length))["prompt"]
        answer = self._answers.get(prompt, GOOD)
        for part in answer.parts:
            await asyncio.sleep(answer.pause)
            writer.write(part)
            await writer.drain()
        if answer.end == "hang":
            await reader.read()  # until the client closes
        if answer.end == "reset":
            await asyncio.sleep(0.05)  # for what was sent to be read before it is void
            on_close = struct.pack("ii", 1, 0)  # send RST
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, on_close
            )
        return answer.end == "keep"
