"""Prompts of exact token length, made with the tokenizer of the model that is tuned.

A prompt is a string of words of one token each, so that words can be counted instead of tokens;
the count is then verified by encoding the prompt as the server does, special tokens such as a
beginning-of-text included, and mended where words merge. Requests with the same ``prefix_id``
begin with the same words. All others differ from their first words on: a prompt's own part opens
with its number in the workload written in words, so that no prefix cache finds anything that the
trace does not declare as shared.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from objectives.redaction import fits_header
from objectives.traces import Trace
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


MAX_WORDS = 2048  # vocabulary of the prompts
MIN_WORDS = 64
_REPAIR_ATTEMPTS = 32


class PromptError(ValueError):
    """Prompts cannot be made with this tokenizer; the message says why."""


def load_tokenizer(
    model: str | Path, *, revision: str | None = None, token: str | None = None
) -> Tokenizer:
    """Load the tokenizer of a model.

    Args:
        model: A folder that holds ``tokenizer.json``, that file itself, or a name on the hub.
        revision: Branch, tag or commit on the hub; its main branch by default.
        token: For the hub; by default that of ``HF_TOKEN`` or of its own login.

    Raises:
        PromptError: When there is no such tokenizer.
    """
    if token is not None and not fits_header(token):
        raise PromptError("the hub's token cannot be sent: it has to be visible ASCII characters")
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
        return Tokenizer.from_pretrained(str(model), revision=revision or "main", token=token)
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
    drafts = [writer.draft(scheduled) for scheduled in workload.requests]
    encodings = tokenizer.encode_batch(drafts)
    prompts = []
    for scheduled, draft, encoding in zip(workload.requests, drafts, encodings, strict=True):
        request = scheduled.request
        right = request.prompt is not None or len(encoding.ids) == request.prompt_tokens
        prompts.append(draft if right else writer.repair(scheduled))
    return tuple(prompts)


class PromptWriter:
    """Writes prompts for one tokenizer and one seed.

    Args:
        tokenizer: The model's tokenizer.
        seed: Seed of the words.
    """

    def __init__(self, tokenizer: Tokenizer, seed: int = 0) -> None:
        self._tokenizer = tokenizer
        self._seed = seed
        self._streams: dict[str, list[str]] = {}

    @cached_property
    def _words(self) -> list[str]:
        words = stable_words(self._tokenizer)
        return [words[i] for i in np.random.default_rng(self._seed).permutation(len(words))]

    @cached_property
    def _overhead(self) -> int:
        """Special tokens, and what the first word of a text costs more than the others."""
        return _length(self._words[0], self._tokenizer) - 1

    def draft(self, scheduled: ScheduledRequest) -> str:
        """Return the prompt of a request, of the right length unless words merge."""
        if scheduled.request.prompt is not None:
            return self._cut(scheduled.request)
        shared, own = self._shared_and_own(scheduled)
        return "".join([*shared, *own])

    def repair(self, scheduled: ScheduledRequest) -> str:
        """Return the prompt of a request whose draft had another length than it should.

        Some tokenizers merge over the end of a word. Words at the end are exchanged until the
        length is right.
        """
        shared, own = self._shared_and_own(scheduled)
        rng = np.random.default_rng([self._seed, 3, scheduled.index])
        n_tokens = scheduled.request.prompt_tokens
        for _ in range(_REPAIR_ATTEMPTS):
            text = "".join([*shared, *own])
            surplus = _length(text, self._tokenizer) - n_tokens
            if surplus == 0:
                return text
            keep = max(0, len(own) - max(surplus, 0) - 1)
            n_new = max(0, len(own) - surplus - keep)
            own = [*own[:keep], *self._draw(rng, n_new)]
        raise PromptError(f"request {scheduled.index}: found no prompt of {n_tokens} tokens")

    def _shared_and_own(self, scheduled: ScheduledRequest) -> tuple[list[str], list[str]]:
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
        stream = self._streams.setdefault(prefix_id, [])
        if len(stream) < n_words:
            # Drawn again from the start, so that the longer text begins with the shorter.
            rng = np.random.default_rng([self._seed, 1, zlib.crc32(prefix_id.encode())])
            stream[:] = self._draw(rng, n_words)
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
        return [*digits, *self._draw(rng, n_words)][:n_words]

    def _draw(self, rng: np.random.Generator, n_words: int) -> list[str]:
        return [self._words[i] for i in rng.integers(len(self._words), size=n_words).tolist()]

    def _cut(self, request: TraceRequest) -> str:
        """Cut a request's own text at its end to the length that it was clipped to."""
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
    """Find words, with the space before them, that are one token each one after another.

    A tokenizer that splits a text into words before it merges keeps them single beside any other
    word; for one that does not, prompts are repaired.

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
    # Stable: each repetition adds one token, and the first costs what most words cost.
    once = [len(encoding.ids) for encoding in tokenizer.encode_batch(candidates)]
    thrice = [len(e.ids) for e in tokenizer.encode_batch([word * 3 for word in candidates])]
    costs = {
        word: one
        for word, one, three in zip(candidates, once, thrice, strict=True)
        if three == one + 2
    }
    usual = Counter(costs.values()).most_common(1)
    words = [word for word, cost in costs.items() if cost == usual[0][0]]
    if len(words) < MIN_WORDS:
        raise PromptError(
            f"the tokenizer has {len(words)} words of one token, too few to write prompts with: "
            "give the prompts as text in the trace"
        )
    return _spread(words, MAX_WORDS)


def _spread(words: list[str], n: int) -> list[str]:
    """Take at most n of the words, evenly over the list."""
    return words if len(words) <= n else [words[i * len(words) // n] for i in range(n)]


def _length(text: str, tokenizer: Tokenizer) -> int:
    """Count tokens as the server does, special tokens included."""
    return len(tokenizer.encode(text, add_special_tokens=True).ids)
