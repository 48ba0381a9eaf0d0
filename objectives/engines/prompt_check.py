"""Whether the server counts the tokens of a prompt as they were counted when it was written.

It may read another tokenizer than the file that the prompts were written with, or put tokens of
its own in front. Lengths would then differ from the trace's, and nothing would show it.

The server is asked to count some prompts before a load: it only encodes them, so that no cache
knows them. After a load all counts are compared with those in its
answers.
"""

from __future__ import annotations

from collections.abc import Callable

from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.metrics import LoadResult
from objectives.prompts import Prompts


N_ASKED = 4  # prompts of different lengths that the server counts before a load
MOST_ADDED = 2  # tokens of its own: one before a text and one after it


def tokens_added(prompts: Prompts, count: Callable[[str], int | None]) -> int:
    """Return how many tokens the server counts in every prompt beyond the tokenizer's.

    Args:
        prompts: Those of the load.
        count: Returns how many tokens the server counts in a text; None when it does not count.

    Returns:
        0 where both agree or the server does not say, else the number, negative where it counts
        fewer: prompts can be written that many tokens shorter.

    Raises:
        ExternalFailure: It counts otherwise, by more or not always by the same number.
    """
    order = sorted(range(len(prompts.texts)), key=lambda i: (prompts.lengths[i], i))
    asked = [order[k * (len(order) - 1) // (N_ASKED - 1)] for k in range(N_ASKED)]
    pairs = []
    for i in dict.fromkeys(asked):
        counted = count(prompts.texts[i])
        if counted is None:
            return 0
        pairs.append((counted, prompts.lengths[i]))
    differences = {counted - meant for counted, meant in pairs}
    (most, *others) = sorted(differences, key=abs, reverse=True)
    if most == 0 or (not others and abs(most) <= MOST_ADDED and prompts.counted_here):
        return most
    raise _differs(*next(pair for pair in pairs if pair[0] != pair[1]), prompts)


def check_counts(result: LoadResult, prompts: Prompts) -> None:
    """Check that the server counted every prompt as it was meant.

    Raises:
        ExternalFailure: It did not.
    """
    for record in result.records:
        meant = prompts.lengths[record.index]
        if record.completed and record.prompt_tokens != meant:
            raise _differs(record.prompt_tokens, meant, prompts)


def _differs(counted: int, meant: int, prompts: Prompts) -> ExternalFailure:
    if prompts.counted_here:
        words = (
            "tokenizer.json says: it reads another tokenizer, or adds to it; name the right one "
            "with --engine-arg tokenizer=..., or save it as the model's tokenizer.json"
        )
    else:
        words = "the trace says: its prompt_tokens are of another tokenizer; correct them there"
    return ExternalFailure(
        ExternalReason.NO_SUCH_MODEL,
        f"the server counts {counted} tokens in a prompt that has {meant} as {words}",
    )
