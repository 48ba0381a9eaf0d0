"""Over how many GPUs a model can be split.

The rules are those of vLLM 0.32, and the same back to 0.4:

- ``ModelConfig.verify_with_parallel_config`` (vllm/config/model.py): the attention heads are
  divided evenly;
- ``QKVParallelLinear`` (vllm/model_executor/layers/linear.py): so are the heads of keys and
  values, or, where there are fewer of them than GPUs, each is on the same number of GPUs (models
  with multi-head latent attention have one for all);
- ``MergedColumnParallelLinear`` (the same file), ``FusedMoEConfig``
  (vllm/model_executor/layers/fused_moe/config.py): so are the intermediate sizes, those of experts
  unless they are spread whole (``enable_expert_parallel``);
- ``VocabParallelEmbedding`` (vllm/model_executor/layers/vocab_parallel_embedding.py): so is the
  vocabulary, padded to multiples of 64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from objectives.engines.capabilities import EngineCapabilities


# Share of a device's memory that weights may take; the rest is for KV cache and activations.
WEIGHTS_SHARE = 0.7
VOCABULARY_PADDING = 64


def tensor_parallel_sizes(
    n_gpus: int,
    n_attention_heads: int | None,
    *,
    n_kv_heads: int | None = None,
    intermediate_size: int | None = None,
    vocabulary: int | None = None,
) -> list[int]:
    """Return the powers of two up to ``n_gpus`` over which a model can be split.

    Args:
        n_gpus: Of the service.
        n_attention_heads: Of the model; None, here as below: not known.
        n_kv_heads: Heads of keys and values; None also where they are not split.
        intermediate_size: Of the MLP, or of an expert.
        vocabulary: Number of tokens.
    """
    shape = {
        "attention heads": n_attention_heads,
        "heads of keys and values": n_kv_heads,
        "intermediate size": intermediate_size,
        "padded vocabulary": vocabulary,
    }
    return [n for n in powers_of_two(max(n_gpus, 1)) if obstacle(n, shape) is None]


def obstacle(n: int, shape: Mapping[str, int | None]) -> str | None:
    """Return what of a model cannot be split over ``n`` GPUs, None where all can."""
    for what, size in shape.items():
        if size is None:
            continue
        whole = size
        if what == "padded vocabulary":
            whole = -(-size // VOCABULARY_PADDING) * VOCABULARY_PADDING
        replicated = what == "heads of keys and values" and n > whole and n % whole == 0
        if whole % n and not replicated:
            return f"{whole} {what}"
    return None


def sizes_of(capabilities: EngineCapabilities, n_gpus: int) -> list[int]:
    """Return the sizes that the model of an engine can have on ``n_gpus``."""
    return tensor_parallel_sizes(
        n_gpus,
        capabilities.n_attention_heads,
        n_kv_heads=capabilities.n_kv_heads,
        intermediate_size=capabilities.intermediate_size,
        vocabulary=capabilities.vocabulary,
    )


def least_tensor_parallel(capabilities: EngineCapabilities, n_gpus: int) -> int:
    """Return the fewest GPUs, a power of two, that hold the weights with room for a KV cache.

    1 when the size of the weights or the memory of a GPU is not known.
    """
    sizes = sizes_of(capabilities, n_gpus)
    if capabilities.weight_bytes is None or capabilities.device_bytes is None:
        return sizes[0]
    room = WEIGHTS_SHARE * capabilities.device_bytes
    return next((n for n in sizes if capabilities.weight_bytes <= n * room), sizes[-1])


def powers_of_two(most: int) -> list[int]:
    """Return 1, 2, 4, ... up to ``most`` >= 1."""
    return [2**k for k in range(most.bit_length())]
