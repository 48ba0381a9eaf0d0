"""Prompts of exact token length, made with the tokenizer of the model that is tuned.

A prompt is a string of words, each of which is one token wherever it stands, so that words can be
counted instead of tokens; the count is then verified by encoding the prompt as the server does,
special tokens such as a beginning-of-text included. Requests with the same ``prefix_id`` begin
with the same words. All others differ from their first words on: a prompt's own part opens with
its number in the workload written in words, so that no prefix cache finds anything that the trace
does not declare as shared.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from objectives.traces import Trace
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


MAX_WORDS = 2048  # vocabulary of the prompts
MIN_WORDS = 64
_REPAIR_ATTEMPTS = 32


class PromptError(ValueError):
    """Prompts cannot be made with this tokenizer; the message says why."""


def load_tokenizer(model: str | Path) -> Tokenizer:
    """Load the tokenizer of a model.

    Args:
        model: A folder that holds ``tokenizer.json``, that file itself, or a name on the hub.

    Raises:
        PromptError: When there is no such tokenizer.
    """
    path = Path(model)
    if path.is_dir():
        path = path / "tokenizer.json"
        if not path.is_file():
            raise PromptError(
                f"{path.parent} holds no tokenizer.json: save the model's fast tokenizer there"
            )
    try:
        if path.is_file():
            return Tokenizer.from_file(str(path))
        return Tokenizer.from_pretrained(str(model))
    except Exception as error:  # the library raises bare Exception, the hub many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise PromptError(f"no tokenizer for model {str(model)!r}: {reason}") from error


def count_tokens(trace: Trace, tokenizer: Tokenizer) -> Trace:
    """Fill in ``prompt_tokens`` of the requests that hold text without a count."""
    return Trace(
        trace.name,
        tuple(
            replace(request, prompt_tokens=_length(request.prompt, tokenizer))
            if request.prompt is not None and request.prompt_tokens == 0
            else request
            for request in trace.requests
        ),
    )


def build_prompts(workload: Workload, tokenizer: Tokenizer, seed: int = 0) -> tuple[str, ...]:
    """Make the prompt of every request of a workload.

    Args:
        workload: The requests; their lengths include the special tokens that the tokenizer adds.
        tokenizer: The model's tokenizer.
        seed: Another seed gives other words.

    Returns:
        One prompt a request, in the workload's order. Each encodes to its ``prompt_tokens``
        tokens. A request with text of its own keeps it, cut at the end when it is longer than
        its ``prompt_tokens``, as a clipped request's is.

    Raises:
        PromptError: When the tokenizer allows no prompt of some length.
    """
    writer = PromptWriter(tokenizer, seed)
    return tuple(writer.write(scheduled) for scheduled in workload.requests)


class PromptWriter:
    """Writes prompts for one tokenizer and one seed.

    Args:
        tokenizer: The model's tokenizer.
        seed: Seed of the words.

    Raises:
        PromptError: When the tokenizer has too few words that are always one token.
    """

    def __init__(self, tokenizer: Tokenizer, seed: int = 0) -> None:
        self._tokenizer = tokenizer
        self._seed = seed
        self._words = stable_words(tokenizer)
        order = np.random.default_rng(seed).permutation(len(self._words))
        self._words = [self._words[i] for i in order]
        one = _length(self._words[0], tokenizer)
        self._overhead = one - 1  # special tokens, and what the first word costs more
        self._streams: dict[str, list[str]] = {}

    def write(self, scheduled: ScheduledRequest) -> str:
        """Return the prompt of one request."""
        request = scheduled.request
        if request.prompt is not None:
            return self._cut(request)
        n_words = request.prompt_tokens - self._overhead
        if n_words < 1:
            raise PromptError(
                f"request {scheduled.index}: no prompt has {request.prompt_tokens} tokens, the "
                f"tokenizer itself adds {self._overhead}"
            )
        n_shared = max(0, request.prefix_tokens - self._overhead)
        shared = self._shared_words(request.prefix_id, n_shared)
        own = self._own_words(scheduled.index, n_words - n_shared)
        return self._exact(shared, own, request.prompt_tokens, scheduled.index)

    def _shared_words(self, prefix_id: str | None, n_words: int) -> list[str]:
        """Return the first words of the text that a prefix id stands for."""
        if prefix_id is None or n_words == 0:
            return []
        stream = self._streams.setdefault(prefix_id, [])
        if len(stream) < n_words:
            rng = np.random.default_rng([self._seed, 1, zlib.crc32(prefix_id.encode())])
            # Drawing again from the start makes the longer text begin with the shorter.
            stream[:] = [self._words[i] for i in rng.integers(len(self._words), size=n_words)]
        return stream[:n_words]

    def _own_words(self, index: int, n_words: int) -> list[str]:
        """Return the words of one request alone: its number in words, then random ones."""
        rng = np.random.default_rng([self._seed, 2, index])
        base = len(self._words)
        digits = [index % base]  # the lowest digit first: neighbours differ at once
        while index >= base:
            index //= base
            digits.append(index % base)
        picks = [*digits, *rng.integers(base, size=n_words)]
        return [self._words[i] for i in picks[:n_words]]

    def _exact(self, shared: list[str], own: list[str], n_tokens: int, index: int) -> str:
        """Join the words; where some merge or fall apart, exchange the last until it fits."""
        rng = np.random.default_rng([self._seed, 3, index])
        words = [*shared, *own]
        for _ in range(_REPAIR_ATTEMPTS):
            text = "".join(words)
            surplus = _length(text, self._tokenizer) - n_tokens
            if surplus == 0:
                return text
            keep = max(len(shared), len(words) - max(surplus, 0) - 1)
            n_new = max(0, len(words) - surplus - keep)
            new = rng.integers(len(self._words), size=n_new)
            words = [*words[:keep], *(self._words[i] for i in new)]
        raise PromptError(f"request {index}: found no prompt of exactly {n_tokens} tokens")

    def _cut(self, request: TraceRequest) -> str:
        """Cut a request's own text at its end to the length that was clipped to."""
        assert request.prompt is not None
        encoding = self._tokenizer.encode(request.prompt)
        if len(encoding.ids) <= request.prompt_tokens:
            return request.prompt
        for n_tokens in range(request.prompt_tokens, 0, -1):
            text = request.prompt[: max(end for _, end in encoding.offsets[:n_tokens])]
            if text and _length(text, self._tokenizer) <= request.prompt_tokens:
                return text
        raise PromptError(f"text cannot be cut to {request.prompt_tokens} tokens")


def stable_words(tokenizer: Tokenizer) -> list[str]:
    """Find words with a leading space that are one token wherever they stand.

    Args:
        tokenizer: Any tokenizer.

    Returns:
        At most :data:`MAX_WORDS` words, spread over the vocabulary, in its order.

    Raises:
        PromptError: When there are fewer than :data:`MIN_WORDS`.
    """
    decoded = (
        tokenizer.decode([token_id]).strip()
        for token_id in range(tokenizer.get_vocab_size(with_added_tokens=False))
    )
    plain = {word: None for word in decoded if len(word) > 1 and word.isascii() and word.isalpha()}
    candidates = _spread([f" {word}" for word in plain], 4 * MAX_WORDS)
    # A word is stable when it costs no more than the cheapest, and one token each time again.
    once = [len(encoding.ids) for encoding in tokenizer.encode_batch(candidates)]
    thrice = [len(e.ids) for e in tokenizer.encode_batch([word * 3 for word in candidates])]
    cheapest = min(once, default=0)
    words = [
        word
        for word, one, three in zip(candidates, once, thrice, strict=True)
        if one == cheapest and three == one + 2
    ]
    if len(words) < MIN_WORDS:
        raise PromptError(
            f"the tokenizer has {len(words)} words of one token, too few to write prompts with; "
            "give the prompts as text in the trace"
        )
    return _spread(words, MAX_WORDS)


def _spread(words: list[str], n: int) -> list[str]:
    """Take at most n of the words, evenly over the list."""
    return words if len(words) <= n else [words[i * len(words) // n] for i in range(n)]


def _length(text: str, tokenizer: Tokenizer) -> int:
    """Count tokens as the server does, special tokens included."""
    return len(tokenizer.encode(text, add_special_tokens=True).ids)
