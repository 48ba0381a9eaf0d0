"""Published numbers of the GPUs, their links and the models that the simulated engine knows.

Peak numbers are the vendors' (dense half precision, no sparsity). What a kernel reaches of them is
a coefficient of ``objectives.engines.simulated.step_time``, not a number of this file.

Sources:
    A10: NVIDIA A10 Tensor Core GPU datasheet: 24 GB GDDR6, 600 GB/s, 125 TFLOPS FP16 tensor,
        PCIe Gen4 x16 64 GB/s (both directions together).
    A100: NVIDIA A100 80GB SXM datasheet: 2,039 GB/s, 312 TFLOPS FP16 tensor, NVLink 600 GB/s.
    H100: NVIDIA H100 SXM5 datasheet: 80 GB, 3.35 TB/s, 989 TFLOPS FP16 tensor, NVLink 900 GB/s.
    LLaMA2: Touvron et al. 2023, arXiv 2307.09288, and the configuration files of the release.
"""

from __future__ import annotations

from dataclasses import dataclass


MIB = 2**20


@dataclass(frozen=True, slots=True)
class Link:
    """What joins the GPUs of one machine.

    Attributes:
        name: "NVLink", "PCIe".
        bandwidth: Bytes a second in one direction.
        all_to_all: Whether every GPU reaches every other directly, as over NVLink.
        nccl_latency_s: Seconds of an NCCL all-reduce of a few bytes.
        custom_latency_s: The same with the engine's own all-reduce kernel.
        custom_efficiency: Bandwidth of that kernel as a share of NCCL's.
    """

    name: str
    bandwidth: float
    all_to_all: bool
    nccl_latency_s: float
    custom_latency_s: float
    custom_efficiency: float


# Latencies are of the size that nccl-tests shows for small messages within one machine. The custom
# kernel has no launch of a communication proxy, but over PCIe it reads its peers' memory word by
# word, which is why vLLM does not use it there on more than two GPUs (custom_all_reduce.py).
NVLINK_3 = Link("NVLink", 300e9, True, 20e-6, 8e-6, 1.0)
NVLINK_4 = Link("NVLink", 450e9, True, 18e-6, 7e-6, 1.0)
PCIE_4 = Link("PCIe", 32e9, False, 35e-6, 20e-6, 0.55)


@dataclass(frozen=True, slots=True)
class GPU:
    """One accelerator (or, for calibration on a machine without one, a processor).

    Attributes:
        name: "a10", "a100", "h100".
        memory_bytes: What the driver reports.
        peak_flops: Half-precision operations a second.
        bandwidth: Memory bandwidth in bytes a second.
        link: What joins several of them.
        launch_s: Seconds of one layer's kernel launches where no CUDA graph replays them.
    """

    name: str
    memory_bytes: float
    peak_flops: float
    bandwidth: float
    link: Link
    launch_s: float = 2.5e-4


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The shape of a decoder-only transformer, in half precision.

    Attributes:
        name: "7b", "13b".
        parameters: Number of weights.
        layers: Decoder layers.
        hidden: Width of the residual stream.
        intermediate: Width of the gated feed-forward layer.
        heads: Attention heads.
        kv_heads: Heads of the keys and values.
        vocabulary: Size of the vocabulary.
        max_model_len: Longest sequence in tokens.
    """

    name: str
    parameters: float
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    vocabulary: int
    max_model_len: int

    @property
    def weight_bytes(self) -> float:
        """Return the bytes of all weights."""
        return 2.0 * self.parameters

    @property
    def kv_bytes_per_token(self) -> float:
        """Return the bytes of the keys and values of one token in all layers."""
        head_size = self.hidden / self.heads
        return 2.0 * 2.0 * self.layers * self.kv_heads * head_size


A10 = GPU("a10", 23_028 * MIB, 125e12, 600e9, PCIE_4)
A100 = GPU("a100", 81_920 * MIB, 312e12, 2039e9, NVLINK_3)
H100 = GPU("h100", 81_559 * MIB, 989e12, 3350e9, NVLINK_4)
GPUS = {gpu.name: gpu for gpu in (A10, A100, H100)}

LLAMA2_7B = ModelShape("7b", 6.738e9, 32, 4096, 11008, 32, 32, 32_000, 4096)
LLAMA2_13B = ModelShape("13b", 13.016e9, 40, 5120, 13824, 40, 40, 32_000, 4096)
MODELS = {model.name: model for model in (LLAMA2_7B, LLAMA2_13B)}

# A small server processor. The numbers are nominal: only their products with fitted shares count.
PROCESSOR = GPU("processor", 0.0, 150e9, 20e9, PCIE_4, launch_s=0.0)
