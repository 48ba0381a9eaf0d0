"""Server-sent events: bytes as they come from the network to the payloads of events.

Splits fall anywhere: inside a line end, inside a character of several bytes, between events. Lines
are therefore cut out of the bytes first and decoded whole. Format: the HTML standard, section
"Server-sent events".
"""

from __future__ import annotations


class SSEDecoder:
    """A decoder that collects bytes and returns the payload of each event once it is complete.

    Example:
        >>> decoder = SSEDecoder()
        >>> decoder.feed(b'data: {"a"')
        []
        >>> decoder.feed(b": 1}" + bytes([10, 10]))
        ['{"a": 1}']
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        """Take bytes and return the payloads of the events that they complete.

        Args:
            chunk: Any part of the stream.

        Returns:
            The ``data`` of each complete event; several data lines are joined by line feeds.
            Comments and fields other than ``data`` are skipped.

        Raises:
            UnicodeDecodeError: When a complete line is not UTF-8.
        """
        self._pending += chunk
        *lines, rest = self._pending.split(b"\n")
        self._pending = bytearray(rest)
        payloads = []
        for raw in lines:
            line = raw.removesuffix(b"\r").decode("utf-8")
            if not line:
                if self._data:
                    payloads.append("\n".join(self._data))
                    self._data = []
            elif line.startswith("data:"):
                self._data.append(line.removeprefix("data:").removeprefix(" "))
        return payloads
