"""One request inside the engine, and when its tokens came.

A D-iteration is one with decodes; see ``objectives.engines.simulated.scheduler``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from dataclasses import field
from typing import NamedTuple

import numpy as np


class Span(NamedTuple):
    """Tokens that a sequence produced in one stay: one by its prompt, then one a D-iteration.

    Attributes:
        first: Time of the token that ended the prompt (or its recomputation).
        begin: First D-iteration of the stay.
        end: D-iteration after the last of the stay.
    """

    first: float
    begin: int
    end: int


@dataclass(slots=True, eq=False)
class Sequence:
    """One request inside the engine.

    Attributes:
        index: Position in the workload.
        arrival: When it came to the engine, in seconds.
        prompt: Tokens of the prompt.
        output: Tokens to produce, at least 1.
        prefix_id: Name of the prefix that it shares, if any.
        prefix_tokens: Length of that prefix.
        produced: Tokens produced up to its last change of state.
        deadline: When waiting on becomes a time-out.
        shared: Blocks that belong to its prefix.
        computed: Tokens of the prompt whose keys and values exist, while it is being prefilled.
        target: Tokens of the prompt to compute, those to recompute included.
        begin: D when it began to decode.
        end: D when it will be finished.
        spans: Its stays so far.
        timed_out: Whether its client gave up.
    """

    index: int
    arrival: float
    prompt: int
    output: int
    prefix_id: str | None = None
    prefix_tokens: int = 0
    produced: int = 0
    deadline: float = math.inf
    shared: int = 0
    computed: int = 0
    target: int = 0
    begin: int = 0
    end: int = 0
    spans: list[Span] = field(default_factory=list)
    timed_out: bool = False


def token_times(sequence: Sequence, decode_times: np.ndarray) -> np.ndarray:
    """Return when a sequence's tokens were produced.

    Args:
        sequence: A finished sequence.
        decode_times: End of each D-iteration of its replica, shape (iterations,).

    Returns:
        Seconds, shape (output tokens,), increasing.
    """
    times = np.empty(sum(1 + span.end - span.begin for span in sequence.spans))
    position = 0
    for first, begin, end in sequence.spans:
        times[position] = first
        times[position + 1 : position + 1 + end - begin] = decode_times[begin:end]
        position += 1 + end - begin
    return times
