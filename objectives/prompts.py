"""Prompts of exact token length, made with the tokenizer of the model that is tuned.

A prompt is a string of words of one token each, so that words can be counted instead of tokens;
the count is then verified by encoding the prompt as the server does, special tokens such as a
beginning-of-text included, and repaired where words merge. Requests with the same ``prefix_id``
begin with the same words. All others differ from their first words on: a prompt's own part begins
with its number in the workload written in words, so that no prefix cache finds anything that the
trace does not declare as shared.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from objectives.drawn_prompts import DrawnTexts
from objectives.drawn_prompts import PromptError as PromptError
from objectives.drawn_prompts import WordDrawer
from objectives.redaction import fits_header
from objectives.traces import Trace
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


MAX_WORDS = 2048  # vocabulary of the prompts
MIN_WORDS = 64
_REPAIR_ATTEMPTS = 32
_AT_ONCE = 64  # prompts that are encoded together


class NoTokenizer(PromptError):
    """There is no tokenizer that can be read."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of a workload.

    Attributes:
        texts: One a request, in the workload's order; see ``DrawnTexts``.
        lengths: Tokens of each, as the server is meant to count them.
        counted_here: Whether a tokenizer counted them; else the trace did.
    """

    texts: Sequence[str]
    lengths: Sequence[int]
    counted_here: bool = True


def load_tokenizer(
    model: str | Path, *, revision: str | None = None, token: str | None = None
) -> Tokenizer:
    """Load the tokenizer of a model.

    Args:
        model: A folder that holds ``tokenizer.json``, that file itself, or a name on the hub.
        revision: Branch, tag or commit on the hub; its main branch by default.
        token: For the hub; by default that of ``HF_TOKEN`` or of its own login.

    Raises:
        NoTokenizer: When there is no such tokenizer.
    """
    if token is not None and not fits_header(token):
        raise PromptError("the hub's token cannot be sent: it has to be visible ASCII characters")
    path = Path(model)
    if path.is_dir():
        path = path / "tokenizer.json"
        if not path.is_file():
            raise NoTokenizer(
                f"{path.parent} holds no tokenizer.json: save the model's fast tokenizer there"
            )
    try:
        if path.is_file():
            tokenizer = Tokenizer.from_file(str(path))
        else:
            tokenizer = Tokenizer.from_pretrained(
                str(model), revision=revision or "main", token=token
            )
        # The file may keep what somebody once trained or exported with; a server does neither.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
    except Exception as error:  # the library raises bare Exception, the hub many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise NoTokenizer(f"no tokenizer for model {str(model)!r}: {reason}") from error


def count_texts(
    trace: Trace, model: str | Path, *, revision: str | None = None, token: str | None = None
) -> Trace:
    """Count the texts of a trace with a model's tokenizer, where there are any.

    Without a tokenizer the trace's own counts stand, to be compared with the server's.

    Args:
        trace: Any trace.
        model: As for ``load_tokenizer``.
        revision: As for ``load_tokenizer``.
        token: As for ``load_tokenizer``.

    Raises:
        NoTokenizer: There is none, and some texts are not counted.
    """
    if all(r.prompt is None and r.answer is None for r in trace.requests):
        return trace
    try:
        return count_tokens(trace, load_tokenizer(model, revision=revision, token=token))
    except NoTokenizer:
        if not trace.is_counted:
            raise
        return trace


def count_tokens(trace: Trace, tokenizer: Tokenizer) -> Trace:
    """Set the lengths of the requests that hold text to what a tokenizer counts.

    Recorded answers count without the tokens that are added to a prompt, and are not kept.

    A count that the trace gives is that of another model, unless it agrees; how many did not is
    among the notes of the trace.
    """
    texts = [request.prompt for request in trace.requests if request.prompt is not None]
    counts = iter([len(e.ids) for e in tokenizer.encode_batch(texts)])
    requests = tuple(
        request if request.prompt is None else replace(request, prompt_tokens=next(counts))
        for request in _with_counted_answers(trace.requests, tokenizer)
    )
    n_other = sum(
        old.prompt_tokens not in (0, new.prompt_tokens)
        for old, new in zip(trace.requests, requests, strict=True)
    )
    notes = (
        (f"{n_other} of {len(texts)} texts counted again by the model's tokenizer",)
        if n_other
        else ()
    )
    return replace(trace, requests=requests, notes=(*trace.notes, *notes))


def _with_counted_answers(
    requests: Sequence[TraceRequest], tokenizer: Tokenizer
) -> list[TraceRequest]:
    answers = [request.answer for request in requests if request.answer is not None]
    encoded = iter(tokenizer.encode_batch(answers, add_special_tokens=False))
    return [
        request
        if request.answer is None
        else replace(request, output_tokens=max(1, len(next(encoded).ids)), answer=None)
        for request in requests
    ]


def write_prompts(
    workload: Workload,
    model: str | Path,
    added: int = 0,
    *,
    revision: str | None = None,
    token: str | None = None,
) -> Prompts:
    """Make the prompts of a workload with a model's tokenizer.

    Args:
        workload: The requests.
        model: As for ``load_tokenizer``; not needed where every request has its text and its
            count, and none is shortened.
        added: Tokens that the server counts in every prompt beyond the tokenizer's.
        revision: As for ``load_tokenizer``.
        token: As for ``load_tokenizer``.

    Raises:
        NoTokenizer: There is none, and it is needed.
        PromptError: The tokenizer allows no prompts of these lengths.
    """
    try:
        tokenizer = load_tokenizer(model, revision=revision, token=token)
    except NoTokenizer as error:
        texts = [scheduled.request.prompt for scheduled in workload.requests]
        whole = tuple(text for text in texts if text is not None)
        if len(whole) < len(texts):
            raise NoTokenizer(
                f"{error}; or give every request its text and prompt_tokens in the trace"
            ) from error
        if workload.n_clipped:
            raise NoTokenizer(f"{error}; without it no text is shortened") from error
        lengths = tuple(scheduled.request.prompt_tokens for scheduled in workload.requests)
        return Prompts(whole, lengths, counted_here=False)
    return _write(workload, tokenizer, workload.prompt_seed, added)


def build_prompts(
    workload: Workload, tokenizer: Tokenizer, seed: int = 0, added: int = 0
) -> tuple[str, ...]:
    """Make the prompt of every request of a workload.

    Args:
        workload: The requests; their lengths include the special tokens that the tokenizer adds.
        tokenizer: The model's tokenizer.
        seed: Another seed gives other words.
        added: Tokens that the server counts in every prompt beyond the tokenizer's.

    Returns:
        One prompt a request, in the workload's order. Each encodes to its ``prompt_tokens``
        tokens, less those that are added. A request with text of its own keeps it, cut at the end
        when it is longer than its ``prompt_tokens``, as a clipped request's is.

    Raises:
        PromptError: When the tokenizer allows no prompt of some length, or a text has fewer tokens
            than its request says.
    """
    return tuple(_write(workload, tokenizer, seed, added).texts)


def _write(workload: Workload, tokenizer: Tokenizer, seed: int, added: int) -> Prompts:
    writer = PromptWriter(tokenizer, seed, added)
    exceptions: dict[int, str] = {}
    lengths = array("q")
    for begin in range(0, len(workload.requests), _AT_ONCE):
        some = workload.requests[begin : begin + _AT_ONCE]
        drafts = [writer.draft(scheduled) for scheduled in some]
        for scheduled, draft, encoding in zip(
            some, drafts, tokenizer.encode_batch(drafts), strict=True
        ):
            request, length = scheduled.request, len(encoding.ids) + added
            if request.prompt is None and length != request.prompt_tokens:
                length = request.prompt_tokens
                exceptions[scheduled.index] = writer.repair(scheduled)
            elif request.prompt not in (None, draft):
                exceptions[scheduled.index] = draft
            elif (
                request.prompt is not None
                and max(length, len(encoding.ids)) < request.prompt_tokens
            ):
                raise PromptError(
                    f"request {scheduled.index}: its text has {length} tokens and not "
                    f"{request.prompt_tokens}: count it with the model's tokenizer, as "
                    "count_tokens does"
                )
            lengths.append(length)
    all_own = all(scheduled.request.prompt is not None for scheduled in workload.requests)
    drawer = None if all_own else writer.drawer
    return Prompts(DrawnTexts(workload, drawer, exceptions), lengths)


class PromptWriter:
    """A writer of prompts for one tokenizer and one seed.

    Args:
        tokenizer: The model's tokenizer.
        seed: Seed of the words.
        added: Tokens that the server counts in every prompt beyond the tokenizer's.
    """

    def __init__(self, tokenizer: Tokenizer, seed: int = 0, added: int = 0) -> None:
        self._tokenizer = tokenizer
        self._seed = seed
        self._added = added

    @cached_property
    def drawer(self) -> WordDrawer:
        """Return what draws the words of texts that are not the requests' own."""
        words = stable_words(self._tokenizer)
        order = np.random.default_rng(self._seed).permutation(len(words))
        words = [words[i] for i in order]
        # The special tokens, and what a text's first word costs more than the others.
        overhead = _length(words[0], self._tokenizer) - 1 + self._added
        return WordDrawer(words, overhead, self._seed)

    def draft(self, scheduled: ScheduledRequest) -> str:
        """Return the prompt of a request, of the right length unless words merge."""
        if scheduled.request.prompt is not None:
            return self._cut(scheduled.request)
        return self.drawer.text(scheduled)

    def repair(self, scheduled: ScheduledRequest) -> str:
        """Return the prompt of a request whose draft had another length than it should.

        Some tokenizers merge over the end of a word. Words at the end are exchanged until the
        length is right.
        """
        shared, own = self.drawer.shared_and_own(scheduled)
        rng = np.random.default_rng([self._seed, 3, scheduled.index])
        n_tokens = scheduled.request.prompt_tokens
        for _ in range(_REPAIR_ATTEMPTS):
            text = "".join([*shared, *own])
            surplus = _length(text, self._tokenizer) + self._added - n_tokens
            if surplus == 0:
                return text
            keep = max(0, len(own) - max(surplus, 0) - 1)
            n_new = max(0, len(own) - surplus - keep)
            own = [*own[:keep], *self.drawer.draw(rng, n_new)]
        raise PromptError(f"request {scheduled.index}: found no prompt of {n_tokens} tokens")

    def _cut(self, request: TraceRequest) -> str:
        """Cut a request's own text at its end to the length that it was clipped to."""
        assert request.prompt is not None
        encoding = self._tokenizer.encode(request.prompt)
        if len(encoding.ids) <= request.prompt_tokens:
            return request.prompt
        room = request.prompt_tokens - max(self._added, 0)
        for n_tokens in range(room, 0, -1):
            text = request.prompt[: max(end for _, end in encoding.offsets[:n_tokens])]
            if text and _length(text, self._tokenizer) <= room:
                return text
        raise PromptError(f"text cannot be cut to {request.prompt_tokens} tokens")


def stable_words(tokenizer: Tokenizer) -> list[str]:
    """Find words, with the space before them, that are one token each one after another.

    A tokenizer that splits a text into words before it merges keeps them single next to any other
    word; for one that does not, prompts are repaired.

    Args:
        tokenizer: Any tokenizer.

    Returns:
        At most ``MAX_WORDS`` words, spread over the vocabulary, in its order.

    Raises:
        PromptError: When there are fewer than ``MIN_WORDS``.
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
