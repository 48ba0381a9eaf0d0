"""The paged KV cache: blocks, and prefixes that sequences share.

Blocks are counted, not numbered: which block holds what has no influence on time. A sequence of c
tokens holds ceil(c / block_size) blocks, of which those that lie wholly within its shared prefix
belong to the prefix. A prefix that nobody uses stays until its blocks are needed; the prefix that
was used longest ago gives its blocks back first, from its end.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Prefix:
    """The blocks of one shared prefix.

    Attributes:
        resident: Blocks held.
        computed: Blocks whose keys and values have been computed, at most ``resident``.
        users: Sequences that hold the prefix now.
        last_used: A counter that orders prefixes by their last use.
    """

    resident: int = 0
    computed: int = 0
    users: int = 0
    last_used: int = 0


class BlockPool:
    """The blocks of one replica.

    Invariant: ``free`` + blocks of sequences + resident blocks of prefixes = ``total``.

    Args:
        total: Number of blocks.
        block_size: Tokens a block.
        watermark: Blocks that admitting a sequence must leave available.
        share_prefixes: Whether prefixes are shared at all.
    """

    def __init__(
        self, total: int, block_size: int, watermark: int = 0, *, share_prefixes: bool = False
    ) -> None:
        self.total = total
        self.block_size = block_size
        self.watermark = watermark
        self.share_prefixes = share_prefixes
        self.free = total
        self.prefixes: dict[str, Prefix] = {}
        self._clock = 0
        self._unused = 0  # resident blocks of prefixes without users

    @property
    def available(self) -> int:
        """Return how many blocks are free or held by a prefix that nobody uses."""
        return self.free + self._unused

    def blocks(self, tokens: int) -> int:
        """Return the blocks of a sequence of ``tokens``."""
        return -(-tokens // self.block_size)

    def shared_blocks(self, tokens: int, prefix_tokens: int) -> int:
        """Return how many blocks of a sequence may be its prefix's: the last token is never."""
        if not self.share_prefixes:
            return 0
        return min(prefix_tokens, tokens - 1) // self.block_size

    def admit(self, tokens: int, prefix_id: str | None, prefix_tokens: int) -> int | None:
        """Take the blocks of a new sequence.

        Args:
            tokens: Tokens to hold.
            prefix_id: Name of its shared prefix, if any.
            prefix_tokens: Length of that prefix.

        Returns:
            The tokens at its beginning that need no computation, or None where too few blocks
            are available; then nothing has been taken.
        """
        shared = 0 if prefix_id is None else self.shared_blocks(tokens, prefix_tokens)
        if shared == 0:
            needed = self.blocks(tokens)
            if self.available - needed < self.watermark:
                return None
            self.take(needed)
            return 0
        assert prefix_id is not None
        prefix = self.prefixes.setdefault(prefix_id, Prefix())
        held = min(shared, prefix.resident)
        needed = self.blocks(tokens) - held
        idle = prefix.users == 0
        if self.available - (held if idle else 0) - needed < self.watermark:
            return None
        prefix.users += 1
        if idle:
            self._unused -= prefix.resident
            if needed > self.available:  # its own tail has to make room
                self._trim(prefix, held)
        self.take(needed)
        prefix.resident += shared - held
        return min(shared, prefix.computed) * self.block_size

    def take(self, count: int) -> None:
        """Take blocks, evicting unused prefixes where needed; the caller knows that they exist."""
        if count > self.free:
            self._evict(count - self.free)
        self.free -= count

    def mark_computed(self, prefix_id: str, shared: int) -> None:
        """Record that the first ``shared`` blocks of a prefix have been computed."""
        prefix = self.prefixes[prefix_id]
        prefix.computed = max(prefix.computed, shared)

    def retire(self, tokens: int, prefix_id: str | None, shared: int) -> None:
        """Give back the blocks of a sequence that held ``tokens``, ``shared`` blocks in common."""
        self.free += self.blocks(tokens) - shared
        if shared and prefix_id is not None:
            prefix = self.prefixes[prefix_id]
            prefix.users -= 1
            self._clock += 1
            prefix.last_used = self._clock
            if prefix.users == 0:
                self._trim(prefix, prefix.computed)  # what was never computed is worth nothing
                self._unused += prefix.resident

    def _trim(self, prefix: Prefix, keep: int) -> None:
        self.free += prefix.resident - keep
        prefix.resident = keep
        prefix.computed = min(prefix.computed, keep)

    def _evict(self, count: int) -> None:
        unused = [p for p in self.prefixes.values() if p.users == 0 and p.resident]
        for prefix in sorted(unused, key=lambda p: p.last_used):
            given = min(count, prefix.resident)
            self._trim(prefix, prefix.resident - given)
            self._unused -= given
            count -= given
            if count == 0:
                return
        raise AssertionError("evicted more blocks than were available")
