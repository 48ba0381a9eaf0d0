"""How long one iteration of the engine takes: a roofline with coefficients that can be fitted.

Symbols: T tokens in the iteration, n of them decodes, C tokens of context in the KV cache of the
decoding sequences, p GPUs in tensor parallel, L layers, h hidden width, W bytes of weights.

    t = t_cpu + max(t_linear + t_attention + t_all_reduce, t_launch)
    t_linear     = max(T * W / (p * peak * e_gemm), W / (p * bandwidth * e_weights))
    t_attention  = C * kv_bytes / (p * bandwidth * e_kv * e_block)            decodes
                 + 4 L h * sum(c (f q + c / 2)) / (p * peak * e_attention)    chunks of c tokens
                                                                              after q earlier ones
    t_all_reduce = 2 L * (latency + 2 (p - 1) / p * 2 T h / bus)
    t_cpu        = step + sequences + prompt tokens + block table entries, one coefficient each

Two operations a weight and token, and two bytes a weight, make ``T * W`` the operations of the
linear layers. Tensor parallelism has two all-reduces a layer (Shoeybi et al. 2019, arXiv
1909.08053). The processor and the GPU do not overlap in vLLM 0.4; the vLLM project measured the
GPU busy for 38 % of the time for an 8B model on an H100 (blog of 2024-09-05, "vLLM v0.6.0"), which
is the size of the coefficients of the processor here.
"""

from __future__ import annotations

from dataclasses import dataclass

from objectives.engines.simulated.config import EngineConfig
from objectives.engines.simulated.hardware import GPU
from objectives.engines.simulated.hardware import ModelShape


CUSTOM_ALL_REDUCE_MAX_BYTES = 8 * 2**20  # vLLM's limit for its own kernel
CUDA_GRAPH_MAX_SEQS = 256  # vLLM captures no graph for larger batches


@dataclass(frozen=True, slots=True)
class StepCoefficients:
    """What the hardware numbers do not give. Shares are in (0, 1], times in seconds.

    Attributes:
        gemm_efficiency: Share of the peak operations that matrix products reach.
        weight_bandwidth_efficiency: Share of the bandwidth at which weights are read.
        kv_bandwidth_efficiency: Share of the bandwidth at which paged attention reads.
        attention_efficiency: Share of the peak operations of attention over a prompt.
        past_attention_factor: Cost of attending from a chunk to earlier tokens through the block
            table, in units of attention within the chunk.
        link_efficiency: Share of the link's bandwidth that NCCL reaches.
        block_overhead_tokens: Cost of following one entry of the block table, in tokens read:
            e_block = 1 / (1 + this / block_size).
        cpu_step_s: Scheduling and preparing one iteration.
        cpu_sequence_s: The same for each sequence in it, its detokenisation included.
        cpu_prompt_token_s: The same for each prompt token.
        cpu_block_s: The same for each entry of the block tables.
        cpu_parallel_s: Sending the iteration to the other workers in tensor parallel.
        cpu_prefix_s: Hashing the blocks of a sequence for the prefix cache.
        v2_sequence_factor: ``cpu_sequence_s`` under the second block manager, relative.
        v2_prefix_factor: ``cpu_prefix_s`` under the second block manager, relative.
        frontend_s: Receiving and tokenising a request before the engine sees it.
    """

    gemm_efficiency: float = 0.55
    weight_bandwidth_efficiency: float = 0.80
    kv_bandwidth_efficiency: float = 0.55
    attention_efficiency: float = 0.35
    past_attention_factor: float = 2.0
    link_efficiency: float = 0.55
    block_overhead_tokens: float = 1.2
    cpu_step_s: float = 2.5e-3
    cpu_sequence_s: float = 5.0e-5
    cpu_prompt_token_s: float = 1.0e-6
    cpu_block_s: float = 1.5e-7
    cpu_parallel_s: float = 1.2e-3
    cpu_prefix_s: float = 1.2e-5
    v2_sequence_factor: float = 1.08
    v2_prefix_factor: float = 0.4
    frontend_s: float = 4.0e-3


class StepTime:
    """The time of one iteration under a configuration.

    Args:
        gpu: The accelerator.
        model: The model's shape.
        config: The engine's parameters.
        coefficients: What was measured or assumed.
    """

    def __init__(
        self,
        gpu: GPU,
        model: ModelShape,
        config: EngineConfig,
        coefficients: StepCoefficients,
    ) -> None:
        c = coefficients
        p = config.tensor_parallel_size
        self._config = config
        self._gpu = gpu
        self._model = model
        self._c = c
        peak = p * gpu.peak_flops
        bandwidth = p * gpu.bandwidth
        self._linear_per_token = model.weight_bytes / (peak * c.gemm_efficiency)
        self._linear_floor = model.weight_bytes / (bandwidth * c.weight_bandwidth_efficiency)
        self._attention_per_pair = 4.0 * model.layers * model.hidden
        self._attention_per_pair /= peak * c.attention_efficiency
        block_factor = 1.0 + c.block_overhead_tokens / config.block_size
        kv_second = bandwidth * c.kv_bandwidth_efficiency / block_factor
        self._launch = model.layers * gpu.launch_s
        self._cpu_step = c.cpu_step_s + (c.cpu_parallel_s if p > 1 else 0.0)
        v2 = config.use_v2_block_manager
        self._cpu_sequence = c.cpu_sequence_s * (c.v2_sequence_factor if v2 else 1.0)
        if config.enable_prefix_caching:
            self._cpu_sequence += c.cpu_prefix_s * (c.v2_prefix_factor if v2 else 1.0)
        self.gpu_per_context = model.kv_bytes_per_token / kv_second
        self.cpu_per_context = c.cpu_block_s / config.block_size
        self._decode_terms: dict[int, tuple[float, float, float]] = {}

    def all_reduce(self, tokens: int) -> float:
        """Return the seconds that one iteration of ``tokens`` spends in all-reduce."""
        p = self._config.tensor_parallel_size
        if p == 1:
            return 0.0
        link = self._gpu.link
        size = 2.0 * tokens * self._model.hidden
        latency = link.nccl_latency_s
        bus = link.bandwidth * self._c.link_efficiency
        if self._uses_custom_all_reduce(size):
            latency = link.custom_latency_s
            bus *= link.custom_efficiency
        once = latency + 2.0 * (p - 1) / p * size / bus
        return 2.0 * self._model.layers * once

    def _uses_custom_all_reduce(self, size: float) -> bool:
        allowed = self._gpu.link.all_to_all or self._config.tensor_parallel_size == 2
        fits = size <= CUSTOM_ALL_REDUCE_MAX_BYTES
        return allowed and fits and not self._config.disable_custom_all_reduce

    def linear(self, tokens: int) -> float:
        """Return the seconds of the linear layers: the roofline."""
        return max(tokens * self._linear_per_token, self._linear_floor)

    def decode_terms(self, n: int) -> tuple[float, float, float]:
        """Return (processor, GPU, least GPU) seconds of an iteration of n decodes, C apart.

        With these, t = processor + cpu_per_context * C + max(GPU + gpu_per_context * C, least).
        """
        terms = self._decode_terms.get(n)
        if terms is None:
            cpu = self._cpu_step + n * self._cpu_sequence
            gpu = self.linear(n) + self.all_reduce(n)
            terms = (cpu, gpu, self._launch if n > CUDA_GRAPH_MAX_SEQS else 0.0)
            self._decode_terms[n] = terms
        return terms

    def decode_step(self, n: int, context: int) -> float:
        """Return the seconds of an iteration of n decodes over ``context`` tokens in all."""
        cpu, gpu, least = self.decode_terms(n)
        return (
            cpu + self.cpu_per_context * context + max(gpu + self.gpu_per_context * context, least)
        )

    def prompt_step(self, chunks: list[tuple[int, int]], n: int, context: int) -> float:
        """Return the seconds of an iteration with prompt tokens.

        Args:
            chunks: (new tokens, tokens of the same prompt before them) of each prompt.
            n: Decodes in the same iteration.
            context: Tokens in the KV cache of those decodes.
        """
        new = past = 0
        pairs = 0.0
        for size, before in chunks:
            new += size
            past += before
            pairs += size * (self._c.past_attention_factor * before + 0.5 * size)
        tokens = new + n
        gpu = self.linear(tokens) + self.all_reduce(tokens)
        gpu += self._attention_per_pair * pairs
        gpu += self.gpu_per_context * (context + past)
        cpu = self._cpu_step + (n + len(chunks)) * self._cpu_sequence
        cpu += self._c.cpu_prompt_token_s * new
        cpu += self.cpu_per_context * (context + past + new)
        return cpu + max(gpu, self._launch)
