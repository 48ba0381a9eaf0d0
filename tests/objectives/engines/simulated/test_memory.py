from __future__ import annotations

import pytest

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.simulated.config import EngineConfig
from objectives.engines.simulated.hardware import A10
from objectives.engines.simulated.hardware import A100
from objectives.engines.simulated.hardware import LLAMA2_7B
from objectives.engines.simulated.hardware import LLAMA2_13B
from objectives.engines.simulated.memory import MemoryPlan
from objectives.engines.simulated.memory import minimum_gpus
from objectives.engines.simulated.memory import plan_memory


def test_the_least_number_of_gpus_holds_weights_and_one_sequence() -> None:
    assert minimum_gpus(A10, LLAMA2_7B) == 1
    assert minimum_gpus(A10, LLAMA2_13B) == 2
    assert minimum_gpus(A100, LLAMA2_13B) == 1


def test_the_number_of_blocks_is_of_the_size_that_vllm_logs() -> None:
    # vLLM reports about 7450 blocks of 16 tokens for LLaMA2-7B on an A100 of 80 GB.
    plan = plan_memory(A100, LLAMA2_7B, EngineConfig())
    assert plan.blocks == pytest.approx(7450, rel=0.05)


def test_memory_that_is_left_shrinks_with_the_limits_of_an_iteration() -> None:
    base = plan_memory(A10, LLAMA2_7B, EngineConfig()).blocks
    more_sequences = EngineConfig(max_num_seqs=2048)
    more_tokens = EngineConfig(max_num_batched_tokens=8192)
    # 1792 more rows of 32,000 logits at 32 bytes, in blocks of 16 tokens of 524,288 bytes.
    lost = 1792 * 32_000 * 32 / (16 * 524_288)
    assert base - plan_memory(A10, LLAMA2_7B, more_sequences).blocks == pytest.approx(lost, abs=1)
    assert plan_memory(A10, LLAMA2_7B, more_tokens).blocks < base


def test_tensor_parallelism_frees_memory() -> None:
    two = plan_memory(A10, LLAMA2_13B, EngineConfig(tensor_parallel_size=2)).blocks
    four = plan_memory(A10, LLAMA2_13B, EngineConfig(tensor_parallel_size=4)).blocks
    assert four > 2 * two


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (EngineConfig(), CrashReason.OUT_OF_MEMORY),
        (
            EngineConfig(tensor_parallel_size=2, max_num_seqs=7500, max_num_batched_tokens=8192),
            CrashReason.STARTUP_FAILED,
        ),
    ],
)
def test_too_little_memory_is_noticed_at_start(config: EngineConfig, reason: CrashReason) -> None:
    with pytest.raises(EngineCrash) as caught:
        plan_memory(A10, LLAMA2_13B, config)
    assert caught.value.reason is reason


def test_an_iteration_may_run_out_of_memory() -> None:
    plan = MemoryPlan(100, 1, bytes_per_token=1.0, bytes_per_sequence=10.0, iteration_bytes=250.0)
    plan.check_iteration(tokens=100, sequences=10)  # 200 bytes and a quarter for holes
    with pytest.raises(EngineCrash) as caught:
        plan.check_iteration(tokens=101, sequences=10)
    assert caught.value.reason is CrashReason.OUT_OF_MEMORY
