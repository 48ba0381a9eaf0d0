"""GPU memory: what is left for the KV cache at start-up, and when an iteration runs out of it.

The engine loads its share of the weights, runs one iteration as large as its limits allow, and
gives what remains of ``gpu_memory_utilization`` (0.9) to the KV cache (vLLM 0.4, worker.py).
Outside that share live the CUDA context and the CUDA graphs. Large ``max_num_seqs`` cost memory
through the sampler, which sorts the logits of every sequence in single precision; large
``max_num_batched_tokens`` through the activations of the feed-forward layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.simulated.config import EngineConfig
from objectives.engines.simulated.hardware import GPU
from objectives.engines.simulated.hardware import MIB
from objectives.engines.simulated.hardware import ModelShape
from objectives.engines.simulated.step_time import CUDA_GRAPH_MAX_SEQS


UTILIZATION = 0.9
WATERMARK = 0.01  # share of the blocks that admitting a prompt leaves free (vLLM 0.4)
CONTEXT_BYTES = 450 * MIB
COMMUNICATION_BYTES = 300 * MIB  # NCCL's buffers, for tensor parallelism
GRAPH_BYTES_PER_LAYER = 0.8 * MIB  # a captured batch size; 1 to 3 GiB in all, as vLLM warns
SAMPLER_BYTES_PER_LOGIT = 32.0  # logits, sorted, 8-byte indices, cumulated, two softmaxes
FRAGMENTATION = 0.25  # share of an iteration's activations that the allocator loses to holes


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """How one GPU's memory is divided.

    Attributes:
        blocks: Blocks of the KV cache.
        watermark: Blocks that admission leaves free.
        bytes_per_token: Activations of one token in an iteration.
        bytes_per_sequence: The sampler's memory for one sequence in an iteration.
        iteration_bytes: What an iteration may use at most.
    """

    blocks: int
    watermark: int
    bytes_per_token: float
    bytes_per_sequence: float
    iteration_bytes: float

    def check_iteration(self, tokens: int, sequences: int) -> None:
        """Refuse an iteration of a size that does not fit.

        Raises:
            EngineCrash: With the reason ``out_of_memory``.
        """
        used = tokens * self.bytes_per_token + sequences * self.bytes_per_sequence
        if used * (1.0 + FRAGMENTATION) > self.iteration_bytes:
            raise EngineCrash(
                CrashReason.OUT_OF_MEMORY,
                f"an iteration of {tokens} tokens and {sequences} sequences ran out of GPU memory",
            )


def minimum_gpus(gpu: GPU, model: ModelShape) -> int:
    """Return the smallest power of two of GPUs that hold the weights and one longest sequence."""
    needed = model.weight_bytes + model.max_model_len * model.kv_bytes_per_token
    count = max(1, math.ceil(needed / (UTILIZATION * gpu.memory_bytes)))
    return 1 << (count - 1).bit_length()


def plan_memory(gpu: GPU, model: ModelShape, config: EngineConfig) -> MemoryPlan:
    """Divide the memory of one GPU as the engine does when it starts.

    Raises:
        EngineCrash: ``out_of_memory`` where the weights, the trial iteration or the CUDA graphs
            do not fit; ``startup_failed`` where the KV cache cannot hold one longest sequence.
    """
    p = config.tensor_parallel_size
    per_token = 2.0 * (4.0 * model.hidden + 3.0 * model.intermediate / p)
    per_sequence = SAMPLER_BYTES_PER_LOGIT * model.vocabulary
    peak = config.max_num_batched_tokens * per_token + config.max_num_seqs * per_sequence
    left = UTILIZATION * gpu.memory_bytes - model.weight_bytes / p - peak
    reserve = (1.0 - UTILIZATION) * gpu.memory_bytes - CONTEXT_BYTES
    reserve -= _graph_bytes(model, config)
    if p > 1:
        reserve -= COMMUNICATION_BYTES
    if left <= 0.0:
        raise EngineCrash(
            CrashReason.OUT_OF_MEMORY,
            f"no memory is left for the KV cache: weights take {model.weight_bytes / p / 1e9:.1f} "
            f"GB and the largest iteration {peak / 1e9:.1f} GB of {gpu.memory_bytes / 1e9:.1f} GB",
        )
    if reserve < 0.0:
        raise EngineCrash(CrashReason.OUT_OF_MEMORY, "out of memory while capturing CUDA graphs")
    blocks, watermark = _cache_blocks(p * left, model, config)
    return MemoryPlan(blocks, watermark, per_token, per_sequence, peak + reserve)


def plan_cache(cache_bytes: float, model: ModelShape, config: EngineConfig) -> MemoryPlan:
    """Plan a KV cache of a given size; nothing else runs out of memory.

    Raises:
        EngineCrash: ``startup_failed`` where it cannot hold one longest sequence.
    """
    blocks, watermark = _cache_blocks(cache_bytes, model, config)
    return MemoryPlan(blocks, watermark, 0.0, 0.0, math.inf)


def _cache_blocks(cache_bytes: float, model: ModelShape, config: EngineConfig) -> tuple[int, int]:
    """Return the number of blocks and the watermark of a KV cache."""
    blocks = int(cache_bytes / (config.block_size * model.kv_bytes_per_token))
    watermark = int(WATERMARK * blocks)
    if (blocks - watermark) * config.block_size < model.max_model_len:
        raise EngineCrash(
            CrashReason.STARTUP_FAILED,
            f"the longest sequence ({model.max_model_len} tokens) is larger than the KV cache "
            f"({blocks * config.block_size} tokens)",
        )
    return blocks, watermark


def _graph_bytes(model: ModelShape, config: EngineConfig) -> float:
    largest = min(config.max_num_seqs, CUDA_GRAPH_MAX_SEQS)
    captured = 3 + largest // 8  # batch sizes 1, 2, 4 and the multiples of 8
    return captured * model.layers * GRAPH_BYTES_PER_LAYER
