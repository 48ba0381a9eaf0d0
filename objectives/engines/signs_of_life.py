"""Whether an engine under load still shows that it lives: a token, output, an answer.

An engine that is merely slow does one of these: as long as its server runs, it answers when asked
for its health, whatever it computes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path


LONGEST_LOOK_SECONDS = 1.0  # what a look counts at most: this process, too, may have been stopped


class SignsOfLife:
    """Counts the seconds for which an engine has shown no sign of life.

    Args:
        log: What it prints goes there.
        answers: Asks it and returns whether it answered; may take seconds.
        timeout: So many seconds without a sign are too many. A quarter of them pass before it is
            asked, so that nothing disturbs one that is seen to work.
    """

    def __init__(self, log: Path, answers: Callable[[], bool], timeout: float) -> None:
        self._log = log
        self._answers = answers
        self._timeout = timeout
        self._silent = 0.0
        self._looked = time.monotonic()
        self._seen: tuple[float, int] | None = None
        self._answered = threading.Event()
        self._asking = threading.Lock()

    def are_missing(self, token_at: float) -> bool:
        """Look, a few times a second, and return whether it has been silent for too long.

        Never waits: it may be called in an event loop.

        Args:
            token_at: When the latest token came, on any clock.
        """
        now = time.monotonic()
        self._silent += min(now - self._looked, LONGEST_LOOK_SECONDS)
        self._looked = now
        seen = (token_at, self._log_changed())
        if seen != self._seen or self._answered.is_set():
            self._answered.clear()
            self._seen, self._silent = seen, 0.0
        elif self._silent > self._timeout / 4 and self._asking.acquire(blocking=False):
            threading.Thread(target=self._ask, daemon=True).start()
        return self._silent > self._timeout

    def _ask(self) -> None:
        try:
            if self._answers():
                self._answered.set()
            time.sleep(self._timeout / 60)
        finally:
            self._asking.release()

    def _log_changed(self) -> int:
        try:
            return self._log.stat().st_mtime_ns
        except OSError:
            return 0
