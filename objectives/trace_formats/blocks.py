"""Blocks of prompts: how many tokens one stands for, and which prompts begin alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable
from collections.abc import Sequence
from itertools import pairwise

from objectives.trace_formats.formats import PublicTraceError


def block_size(lengths: Sequence[int], n_blocks: Sequence[int]) -> int:
    """Return the tokens of a block, of which each prompt fills all but, perhaps, its last.

    Args:
        lengths: Tokens of each prompt.
        n_blocks: How many blocks each has; prompts without any are ignored.

    Returns:
        The one size, or the one power of two, with which all prompts have their number of blocks.
        Where none has more than one, any size serves and the longest prompt's is returned.

    Raises:
        PublicTraceError: There is no such size, or more than one.
    """
    low, high = 1, math.inf
    for length, n in zip(lengths, n_blocks, strict=True):
        if n > 0:
            low = max(low, -(-length // n))
        if n > 1:
            high = min(high, (length - 1) // (n - 1))
    if high == math.inf:
        return low
    powers = [2**k for k in range(int(high).bit_length() + 1) if low <= 2**k <= high]
    if low > high:
        raise PublicTraceError(
            "the numbers of hash_ids fit no one size of blocks: leave hash_ids out"
        )
    if low == high or len(powers) == 1:
        return int(high) if low == high else powers[0]
    raise PublicTraceError(
        f"hash_ids may stand for blocks of {low} to {high} tokens, and nothing tells which: "
        "leave hash_ids out"
    )


def shared_prefixes(block_lists: Sequence[Sequence[Hashable]]) -> list[tuple[str | None, int]]:
    """Find for each prompt the shared text that it begins with.

    The blocks of all prompts form a tree with the beginning of the prompt as its root. A prompt's
    shared prefix reaches to the last of its leading blocks that another prompt has too. From there
    the branch that most prompts take is followed to where sharing ends; where it ends names the
    prefix. So the turns of one chat, each a continuation of the one before, share one prefix at
    several lengths. Branches that separate count as different: what two of them share is lost,
    because a request has one prefix.

    Args:
        block_lists: For each prompt the ids or texts of its blocks in order.

    Returns:
        For each prompt the name of its prefix and the number of shared blocks; (None, 0) when it
        shares none.
    """
    nodes: dict[tuple[int, Hashable], int] = {}  # (parent, block id) -> node; the root is -1
    paths: list[list[int]] = []
    for blocks in block_lists:
        path = [-1]
        for block in blocks:
            path.append(nodes.setdefault((path[-1], block), len(nodes)))
        paths.append(path[1:])
    visits = Counter(node for path in paths for node in path)
    branch: dict[int, int] = {}  # node -> its most visited child that is shared
    for path in paths:
        for node, child in pairwise(path):
            if visits[child] > max(1, visits[branch[node]] if node in branch else 0):
                branch[node] = child
    found: list[tuple[str | None, int]] = []
    for path in paths:
        n_shared = sum(visits[node] > 1 for node in path)  # visits never rise along a path
        end = path[n_shared - 1] if n_shared else -1
        while end in branch:
            end = branch[end]
        found.append((f"branch-{end}", n_shared) if n_shared else (None, 0))
    return found
