"""The texts of prompts as words that are drawn: the same text each time it is asked for."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import overload

import numpy as np

from objectives.workload import ScheduledRequest
from objectives.workload import Workload


_STREAMS = 64  # shared beginnings that are kept


class PromptError(ValueError):
    """Prompts cannot be made with this tokenizer; the message says why."""


class WordDrawer:
    """Draws the words of prompts.

    Args:
        words: Of one token each.
        overhead: Tokens of a text beyond one for each of its words.
        seed: Of the draws.
    """

    def __init__(self, words: Sequence[str], overhead: int, seed: int) -> None:
        self._words = words
        self._overhead = overhead
        self._seed = seed
        self._streams: dict[str, list[str]] = {}

    def text(self, scheduled: ScheduledRequest) -> str:
        """Return the prompt of a request. Raises as ``shared_and_own``."""
        shared, own = self.shared_and_own(scheduled)
        return "".join([*shared, *own])

    def shared_and_own(self, scheduled: ScheduledRequest) -> tuple[list[str], list[str]]:
        """Return the words that a request shares with others, and those of its own.

        Raises:
            PromptError: It is shorter than what the tokenizer itself adds.
        """
        request = scheduled.request
        n_words = request.prompt_tokens - self._overhead
        if n_words < 1:
            raise PromptError(
                f"request {scheduled.index}: no prompt has {request.prompt_tokens} tokens, the "
                f"tokenizer itself adds {self._overhead}"
            )
        n_shared = max(0, request.prefix_tokens - self._overhead)
        shared = [] if request.prefix_id is None else self._shared(request.prefix_id, n_shared)
        return shared, self._own(scheduled.index, n_words - n_shared)

    def _shared(self, prefix_id: str, n_words: int) -> list[str]:
        """Return the first words of the text that a prefix id stands for."""
        if len(self._streams) >= _STREAMS and prefix_id not in self._streams:
            self._streams.clear()
        stream = self._streams.setdefault(prefix_id, [])
        if len(stream) < n_words:
            # Drawn again from the start, so that the longer text begins with the shorter.
            rng = np.random.default_rng([self._seed, 1, zlib.crc32(prefix_id.encode())])
            stream[:] = self.draw(rng, n_words)
        return stream[:n_words]

    def _own(self, index: int, n_words: int) -> list[str]:
        """Return the words of one request alone: its number in words, then random ones."""
        base = len(self._words)
        digits = [self._words[index % base]]  # the lowest digit first: neighbours differ at once
        number = index // base
        while number:
            digits.append(self._words[number % base])
            number //= base
        rng = np.random.default_rng([self._seed, 2, index])
        return [*digits, *self.draw(rng, n_words)][:n_words]

    def draw(self, rng: np.random.Generator, n_words: int) -> list[str]:
        """Return random words."""
        return [self._words[i] for i in rng.integers(len(self._words), size=n_words).tolist()]


class DrawnTexts(Sequence[str]):
    """The texts of a workload, each drawn when it is asked for.

    A text is several times as long as what it is made from, and a long load has many: kept, they
    would be most of what a load needs of memory.

    Args:
        workload: The requests.
        drawer: Draws the texts of requests that have none; None: all have one.
        exceptions: Texts by the index of their request that are neither drawn nor the request's
            own.
    """

    def __init__(
        self, workload: Workload, drawer: WordDrawer | None, exceptions: Mapping[int, str]
    ) -> None:
        self._requests = workload.requests
        self._drawer = drawer
        self._exceptions = exceptions

    def __len__(self) -> int:
        return len(self._requests)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        scheduled = self._requests[index]
        exception = self._exceptions.get(scheduled.index)
        if exception is not None:
            return exception
        if scheduled.request.prompt is not None:
            return scheduled.request.prompt
        assert self._drawer is not None
        return self._drawer.text(scheduled)
