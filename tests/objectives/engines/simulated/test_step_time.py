from __future__ import annotations

import dataclasses

import pytest

from objectives.engines.simulated.config import EngineConfig
from objectives.engines.simulated.hardware import A10
from objectives.engines.simulated.hardware import A100
from objectives.engines.simulated.hardware import GPU
from objectives.engines.simulated.hardware import LLAMA2_7B
from objectives.engines.simulated.hardware import LLAMA2_13B
from objectives.engines.simulated.step_time import StepCoefficients
from objectives.engines.simulated.step_time import StepTime


IDEAL = StepCoefficients(
    gemm_efficiency=1.0,
    weight_bandwidth_efficiency=1.0,
    kv_bandwidth_efficiency=1.0,
    attention_efficiency=1.0,
    past_attention_factor=1.0,
    link_efficiency=1.0,
    block_overhead_tokens=0.0,
    cpu_step_s=0.0,
    cpu_sequence_s=0.0,
    cpu_prompt_token_s=0.0,
    cpu_block_s=0.0,
    cpu_parallel_s=0.0,
    cpu_prefix_s=0.0,
)


def ideal(gpu: GPU = A100, **params: object) -> StepTime:
    return StepTime(gpu, LLAMA2_13B, EngineConfig().updated(params), IDEAL)


def test_one_decode_reads_every_weight_once() -> None:
    # 13.016e9 weights of 2 bytes at 2039 GB/s.
    assert ideal().decode_step(1, 0) == pytest.approx(26.032e9 / 2039e9)


def test_decodes_read_the_keys_and_values_of_their_context() -> None:
    # A token of LLaMA2-13B has 2 * 2 bytes * 40 layers * 5120 = 819,200 bytes.
    assert LLAMA2_13B.kv_bytes_per_token == 819_200
    more = ideal().decode_step(1, 10_000) - ideal().decode_step(1, 0)
    assert more == pytest.approx(10_000 * 819_200 / 2039e9)


def test_a_long_prompt_is_bound_by_operations() -> None:
    # Two operations a weight and token; attention 4 L h n^2 / 2.
    operations = 2 * 13.016e9 * 4096 + 4 * 40 * 5120 * 4096**2 / 2
    assert ideal().prompt_step([(4096, 0)], 0, 0) == pytest.approx(operations / 312e12, rel=1e-3)


def test_chunks_attend_to_the_same_pairs_as_the_whole_prompt() -> None:
    step = ideal(enable_chunked_prefill=True)
    ridge = 312e12 / 2039e9  # tokens above which the linear layers are bound by operations
    chunks = [(1024, 0), (1024, 1024), (1024, 2048), (1024, 3072)]
    assert ridge < 1024
    parts = sum(step.prompt_step([chunk], 0, 0) for chunk in chunks)
    reread = (1024 + 2048 + 3072) * 819_200 / 2039e9
    assert parts - reread == pytest.approx(step.prompt_step([(4096, 0)], 0, 0), rel=1e-3)


def test_all_reduce_of_two_gpus_moves_the_message_once() -> None:
    step = ideal(tensor_parallel_size=2, disable_custom_all_reduce=True)
    message = 2 * 100 * 5120
    assert step.all_reduce(100) == pytest.approx(80 * (20e-6 + message / 300e9))
    assert ideal().all_reduce(100) == 0.0


def test_custom_all_reduce_needs_a_small_message_and_a_direct_link() -> None:
    def gain(gpu: GPU, gpus: int, tokens: int) -> float:
        slow = ideal(gpu, tensor_parallel_size=gpus, disable_custom_all_reduce=True)
        return slow.all_reduce(tokens) - ideal(gpu, tensor_parallel_size=gpus).all_reduce(tokens)

    assert gain(A100, 4, 64) > 0
    assert gain(A100, 4, 8192) == 0  # 84 MB are beyond its 8 MiB
    assert gain(A10, 2, 8) > 0
    assert gain(A10, 2, 800) < 0  # over PCIe its bandwidth is worse than NCCL's
    assert gain(A10, 4, 8) == 0  # and on four GPUs it is not used


def test_a_larger_block_is_read_faster_and_has_fewer_table_entries() -> None:
    times = [
        StepTime(A10, LLAMA2_7B, EngineConfig(block_size=size), StepCoefficients()).decode_step(
            32, 9999
        )
        for size in (8, 16, 32)
    ]
    assert times[0] > times[1] > times[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [("enable_prefix_caching", True), ("use_v2_block_manager", True)],
)
def test_bookkeeping_costs_time_for_every_sequence(name: str, value: bool) -> None:
    def slope(**params: bool) -> float:
        step = StepTime(A100, LLAMA2_7B, EngineConfig().updated(params), StepCoefficients())
        return step.decode_terms(40)[0] - step.decode_terms(20)[0]

    assert slope(**{name: value}) > slope()


def test_large_batches_are_launched_without_graphs() -> None:
    step = ideal(dataclasses.replace(A100, bandwidth=1e18, peak_flops=1e21))
    assert step.decode_step(256, 0) < 1e-6
    assert step.decode_step(257, 0) == pytest.approx(40 * 2.5e-4)
