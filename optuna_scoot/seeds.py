"""Seeds, the same in every process whatever its hash seed is."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(seed: int | None, purpose: str, number: int | str) -> int:
    """Return the seed of one purpose, derived from a sampler's."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def entropy() -> int:
    """Return a seed that nobody has had."""
    return int(np.random.SeedSequence().generate_state(1)[0])
