"""Over how many GPUs a model is split, next to the divisions that vLLM makes."""

from __future__ import annotations

import pytest

from objectives.spaces import tensor_parallel_sizes


def splits(n: int, heads: int, kv: int, width: int, vocabulary: int) -> bool:
    """Divide as the layers of vLLM 0.32 do, with ``divide`` of vllm/distributed/utils.py."""

    def divide(numerator: int, denominator: int) -> int:
        assert numerator % denominator == 0
        return numerator // denominator

    try:
        divide(heads, n)
        divide(n, kv) if n >= kv else divide(kv, n)
        divide(width, n)
        divide(((vocabulary + 64 - 1) // 64) * 64, n)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("heads", "kv", "width", "vocabulary"),
    [
        (32, 8, 14336, 128256),  # Llama 3.1 8B
        (28, 4, 18944, 152064),  # Qwen2.5 7B
        (14, 2, 4864, 151936),  # Qwen2.5 0.5B
        (32, 4, 768, 151936),  # Qwen3 30B A3B, the width of an expert
        (64, 8, 2880, 201088),  # gpt-oss 120B
        (48, 3, 12288, 49152),  # a third of the heads hold keys
        (64, 64, 4100, 50000),  # a width of 4 times an odd number
        (71, 1, 18176, 65024),  # Falcon 7B
    ],
)
def test_sizes_are_those_that_the_layers_take(
    heads: int, kv: int, width: int, vocabulary: int
) -> None:
    sizes = tensor_parallel_sizes(
        64, heads, n_kv_heads=kv, intermediate_size=width, vocabulary=vocabulary
    )
    expected = [n for n in (1, 2, 4, 8, 16, 32, 64) if splits(n, heads, kv, width, vocabulary)]
    assert sizes == expected


def test_what_is_not_known_forbids_nothing() -> None:
    assert tensor_parallel_sizes(8, None) == [1, 2, 4, 8]
    assert tensor_parallel_sizes(8, 32, n_kv_heads=None) == [1, 2, 4, 8]
