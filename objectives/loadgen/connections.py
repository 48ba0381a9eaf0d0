"""HTTP/1.1 connections that carry one request at a time and hand over the answer as it comes.

The answer is parsed by llhttp, through ``httptools``, in the moment in which its bytes are read:
nothing waits for a task to be woken. A general client costs several times as much a request, which
is the client's share of every latency that it measures.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import deque
from typing import Protocol
from urllib.parse import urlsplit

import httptools

from objectives.loadgen.open_files import KEEP_ALIVE_S
from objectives.loadgen.options import LoadError


_READ_BYTES = 65536  # at once


class Receiver(Protocol):
    """Takes an answer; what its methods raise ends the exchange."""

    def take_status(self, status: int) -> None:
        """Take the status, once."""
        ...

    def take_body(self, data: bytes, now: float) -> None:
        """Take a part of the body, read at a time of ``time.perf_counter``."""
        ...


class BrokenOff(Exception):
    """A connection ended before the answer did, or brought something that is not HTTP.

    Args:
        words: What happened.
        begun: Whether the answer had begun.
    """

    def __init__(self, words: str, begun: bool) -> None:
        super().__init__(words)
        self.begun = begun


class Connection(asyncio.BufferedProtocol):
    """One connection.

    Args:
        buffer: Where what comes is read to, to be parsed at once: connections may share it.
    """

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._receiver: Receiver | None = None
        self._over: asyncio.Future[None] | None = None
        self._now = 0.0
        self._begun = False
        self._has_length = False
        self.idle_since = 0.0

    @property
    def is_open(self) -> bool:
        """Return whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes, receiver: Receiver) -> None:
        """Send a request and wait until its answer is over; the connection is closed on errors.

        Raises:
            BrokenOff: The connection ended before.
            Exception: Whatever the receiver raised.
        """
        if self._transport is None:
            raise BrokenOff("the server closed the connection", begun=False)
        self._receiver = receiver
        self._begun = self._has_length = False
        self._over = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            await self._over
        except BaseException:
            self.close()
            raise
        finally:
            self._receiver = self._over = None

    def close(self) -> None:
        """Close the connection, at once."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to. A new object each time is what most of a read would cost."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what came, noting when."""
        self._now = time.perf_counter()
        if self._over is None or self._parser is None:  # nothing was asked
            self.close()
            return
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except httptools.HttpParserCallbackError as error:
            self._end(error.__context__ or error)
        except httptools.HttpParserError as error:
            self._end(BrokenOff(f"not HTTP: {error}", begun=True))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is under way, unless its end was what ends the answer."""
        self._transport = self._parser = None  # which also frees the parser at once
        if self._begun and not self._has_length and exc is None:
            self._end(None)
        else:
            self._end(BrokenOff(str(exc or "the server closed the connection"), self._begun))

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        """See whether the answer says where it ends."""
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._has_length = True

    def on_headers_complete(self) -> None:
        """Hand over the status."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status >= 200 and self._receiver is not None:
            self._begun = True
            self._receiver.take_status(status)

    def on_body(self, body: bytes) -> None:
        """Hand over a part of the body."""
        if self._receiver is not None:
            self._receiver.take_body(body, self._now)

    def on_message_complete(self) -> None:
        """End the exchange, unless the answer only says that there will be one."""
        if not self._begun:
            self._has_length = False
            return
        if self._parser is None or not self._parser.should_keep_alive():
            self.close()
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        if self._over is None or self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)


class ConnectionPool:
    """The connections to one server: as many as there are requests under way, and some idle.

    Args:
        endpoint: Address of the server, as ``http://127.0.0.1:8000``.

    Raises:
        LoadError: The endpoint is not such an address.
    """

    def __init__(self, endpoint: str) -> None:
        problem = f"the endpoint must begin with http:// or https://: {endpoint!r}"
        try:
            parts = urlsplit(endpoint)
            port = parts.port
        except ValueError:
            raise LoadError(problem) from None
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise LoadError(problem)
        self.host = parts.netloc.rpartition("@")[2]
        self.path = parts.path.rstrip("/")
        self._name = parts.hostname
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = port or (443 if self._ssl else 80)
        self._addresses: list[str] = []
        self._idle: deque[Connection] = deque()
        self._buffer = memoryview(bytearray(_READ_BYTES))

    def take(self) -> Connection | None:
        """Return an idle connection; None where there is none."""
        self._close_unused()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def open(self) -> Connection:
        """Open a new connection.

        Raises:
            OSError: The server cannot be reached.
        """
        loop = asyncio.get_running_loop()
        if not self._addresses:
            infos = await loop.getaddrinfo(self._name, self._port, type=socket.SOCK_STREAM)
            self._addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
        name = None if self._ssl is None else self._name
        for address in list(self._addresses):
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(self._buffer),
                    address,
                    self._port,
                    ssl=self._ssl,
                    server_hostname=name,
                )
            except OSError as error:
                failure = error
            else:
                self._addresses = [address]
                return connection
        raise failure

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for another request, if it can carry one."""
        if connection.is_open:
            connection.idle_since = time.perf_counter()
            self._idle.append(connection)

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _close_unused(self) -> None:
        limit = time.perf_counter() - KEEP_ALIVE_S
        while self._idle and (self._idle[0].idle_since < limit or not self._idle[0].is_open):
            self._idle.popleft().close()
