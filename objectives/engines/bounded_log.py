"""A program's output in a file of bounded size: its head, and its tail, which moves on.

Standard library only: the guardian of an engine needs it (``objectives.engines.guardian``).
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Callable


HEAD_BYTES = 1_000_000
TAIL_BYTES = 1_000_000  # at least these last bytes are kept, and at most twice as many
GAP = b"\n[... output is left out here ...]\n"
PIPE_BYTES = 1 << 20
CATCH_UP_SECONDS = 1.0  # a program's children may go on writing
FLUSH_SECONDS = 5.0  # a disk may not answer


class BoundedLog:
    """A file that keeps the head and the tail of what is written.

    It holds no more than ``HEAD_BYTES`` and twice ``TAIL_BYTES`` besides a line between them. What
    is added is kept in memory, within the same bounds, until it is flushed: who adds never waits
    for the disk.

    Args:
        file: Descriptor of a regular file, open for appending.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._begin = os.fstat(file).st_size
        self._adding = threading.Lock()
        self._head = bytearray()
        self._tail = bytearray()
        self._n_tail = 0  # bytes that the tail had in all
        self._head_flushed = 0
        self._tail_flushed = 0  # of those in all
        self._tail_in_file = 0

    def add(self, data: bytes) -> None:
        """Take output in."""
        with self._adding:
            room = HEAD_BYTES - len(self._head)
            self._head += data[:room]
            self._tail += data[room:]
            self._n_tail += len(data[room:])
            if len(self._tail) > 2 * TAIL_BYTES:
                del self._tail[:-TAIL_BYTES]

    def flush(self) -> None:
        """Write to the file what it lacks; for one thread alone.

        Raises:
            OSError: It cannot be written.
        """
        with self._adding:
            head = bytes(self._head[self._head_flushed :])
            tail, n_tail = bytes(self._tail), self._n_tail
        self._write(head)
        self._head_flushed += len(head)
        fresh = n_tail - self._tail_flushed
        if fresh <= len(tail) and self._tail_in_file + fresh <= 2 * TAIL_BYTES:
            self._write(tail[len(tail) - fresh :])
            self._tail_in_file += fresh
        else:
            kept = _whole_lines(tail[-TAIL_BYTES:])
            os.ftruncate(self._file, self._begin + HEAD_BYTES)
            self._write(GAP + kept)
            self._tail_in_file = len(kept)
        self._tail_flushed = n_tail

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]


class OutputPump:
    """Takes a program's output from a pipe as fast as it comes, whatever the disk does.

    Args:
        log: Where it goes.
        on_error: Told once, in words, when the log cannot be written. Output is still taken then,
            so that the program never waits.

    Attributes:
        sink: Descriptor of the pipe's end that the program writes to.
    """

    def __init__(self, log: BoundedLog, on_error: Callable[[str], None]) -> None:
        self._log = log
        self._on_error = on_error
        self._failed = False
        self._reading = threading.Lock()
        self._state = threading.Condition()
        self._asked = self._flushed = 0  # flushes
        self._source, self.sink = os.pipe()
        _enlarge(self.sink)

    def start(self) -> None:
        """Begin; the program has ``sink`` by now, which is closed here."""
        os.close(self.sink)
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()

    def catch_up(self) -> None:
        """Have everything in the log that was written until now; wait a bounded time for it."""
        deadline = time.monotonic() + CATCH_UP_SECONDS
        with self._reading:
            while time.monotonic() < deadline and _is_readable(self._source):
                if not self._take():
                    break
        asked = self._ask()
        with self._state:
            self._state.wait_for(lambda: self._flushed >= asked, FLUSH_SECONDS)

    def _read(self) -> None:
        while select.select([self._source], [], []):
            with self._reading:
                # ``catch_up`` may have taken it meanwhile: reading must not wait.
                if _is_readable(self._source) and not self._take():
                    return
            self._ask()

    def _take(self) -> bool:
        """Take what is there; return False when nobody can write any more."""
        data = os.read(self._source, PIPE_BYTES)
        self._log.add(data)
        return bool(data)

    def _ask(self) -> int:
        """Ask for a flush and return its number."""
        with self._state:
            self._asked += 1
            self._state.notify_all()
            return self._asked

    def _write(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._asked > self._flushed)
                asked = self._asked
            self._flush()
            with self._state:
                self._flushed = asked
                self._state.notify_all()

    def _flush(self) -> None:
        if self._failed:
            return
        try:
            self._log.flush()
        except OSError as error:
            self._failed = True
            self._on_error(error.strerror or str(error))


def _is_readable(pipe: int) -> bool:
    return bool(select.select([pipe], [], [], 0)[0])


def _whole_lines(text: bytes) -> bytes:
    """Return a text without the rest of a line at its begin, where it has lines at all."""
    return text[text.find(b"\n") + 1 :]


def _enlarge(pipe: int) -> None:
    """Have the system hold more of what is written faster than it is read."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
