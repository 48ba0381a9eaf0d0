from __future__ import annotations

import numpy as np
import pytest

from objectives.engines.simulated.kv_cache import BlockPool


def resident(pool: BlockPool) -> int:
    return sum(prefix.resident for prefix in pool.prefixes.values())


def test_blocks_are_rounded_up() -> None:
    pool = BlockPool(10, block_size=16)
    assert [pool.blocks(tokens) for tokens in (1, 16, 17, 32)] == [1, 1, 2, 2]


def test_admission_leaves_the_watermark_free() -> None:
    pool = BlockPool(10, block_size=16, watermark=2)
    assert pool.admit(16 * 9, None, 0) is None
    assert pool.free == 10
    assert pool.admit(16 * 8, None, 0) == 0
    assert pool.free == 2


def test_a_prefix_is_held_once_and_computed_once() -> None:
    pool = BlockPool(100, block_size=16, share_prefixes=True)
    # 40 tokens of prefix are two full blocks; 50 tokens are four blocks.
    assert pool.admit(50, "p", 40) == 0
    assert pool.free == 96
    # The second sequence comes before the first is computed: blocks are shared, work is not.
    assert pool.admit(50, "p", 40) == 0
    assert pool.free == 94
    pool.mark_computed("p", 2)
    assert pool.admit(50, "p", 40) == 32
    assert pool.free == 92
    for _ in range(3):
        pool.retire(50, "p", 2)
    assert pool.free == 98
    assert pool.available == 100


def test_the_last_token_of_a_prompt_is_never_taken_from_the_cache() -> None:
    pool = BlockPool(100, block_size=16, share_prefixes=True)
    assert pool.shared_blocks(32, prefix_tokens=32) == 1
    assert pool.shared_blocks(33, prefix_tokens=32) == 2


def test_without_sharing_prefixes_cost_nothing_and_give_nothing() -> None:
    pool = BlockPool(100, block_size=16)
    assert pool.admit(50, "p", 40) == 0
    assert pool.admit(50, "p", 40) == 0
    assert pool.free == 92


def test_the_prefix_unused_for_longest_gives_its_blocks_first_from_its_end() -> None:
    pool = BlockPool(10, block_size=16, share_prefixes=True)
    for name in ("old", "new"):
        pool.admit(65, name, 64)  # five blocks, four of them shared
        pool.mark_computed(name, 4)
        pool.retire(65, name, 4)
    assert (pool.free, pool.available) == (2, 10)
    pool.take(3)
    assert pool.prefixes["old"].resident == 3
    assert pool.prefixes["new"].resident == 4
    assert pool.admit(65, "old", 64) == 48


def test_blocks_of_a_prefix_in_use_are_never_evicted() -> None:
    pool = BlockPool(10, block_size=16, share_prefixes=True)
    pool.admit(65, "used", 64)
    assert pool.available == 5
    assert pool.admit(16 * 6, None, 0) is None


def test_a_sequence_may_push_out_the_end_of_its_own_prefix() -> None:
    pool = BlockPool(10, block_size=16, share_prefixes=True)
    pool.admit(129, "p", 128)  # nine blocks, eight of them shared
    pool.mark_computed("p", 8)
    pool.retire(129, "p", 8)
    # Four shared blocks, all ten blocks needed: the other four of the prefix have to go.
    assert pool.admit(160, "p", 64) == 64
    assert (pool.free, resident(pool)) == (0, 4)


@pytest.mark.parametrize("seed", range(5))
def test_blocks_are_conserved_under_random_use(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = BlockPool(60, block_size=8, watermark=1, share_prefixes=True)
    held: list[tuple[int, str | None, int]] = []
    for _ in range(2000):
        if held and rng.random() < 0.5:
            tokens, name, shared = held.pop(int(rng.integers(len(held))))
            if name is not None and shared and rng.random() < 0.8:
                pool.mark_computed(name, shared)
            pool.retire(tokens, name, shared)
        else:
            tokens = int(rng.integers(1, 200))
            name = None if rng.random() < 0.3 else f"p{rng.integers(4)}"
            prefix = int(rng.integers(0, tokens + 1))
            if pool.admit(tokens, name, prefix) is not None:
                shared = pool.shared_blocks(tokens, prefix) if name else 0
                held.append((tokens, name, shared))
        private = sum(pool.blocks(tokens) - shared for tokens, _, shared in held)
        assert pool.free + private + resident(pool) == pool.total
        assert 0 <= pool.free <= pool.available <= pool.total
