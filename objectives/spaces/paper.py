"""The nine parameters of the paper's Table I, which do not change what the model answers."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from objectives.spaces.space import EngineSpace
from objectives.spaces.space import SpaceError
from objectives.spaces.tensor_parallel import powers_of_two


BOOLEAN = CategoricalDistribution([False, True])
TABLE_1 = "as in Table I of the paper"


def paper_space(
    n_gpus: int, max_model_len: int = 4096, *, least_tensor_parallel: int = 1
) -> EngineSpace:
    """Return Table I of the paper: vLLM 0.5 and before.

    Args:
        n_gpus: GPUs of the service; tensor parallelism takes powers of two up to it.
        max_model_len: Longest sequence of the model in tokens.
        least_tensor_parallel: Fewest GPUs on which the model fits, the default configuration's.

    Returns:
        The nine parameters, eight when there is one GPU, and the three known constraints of
        section II-C2.

    Raises:
        SpaceError: When a number is out of range.
    """
    if n_gpus < 1 or not 1 <= least_tensor_parallel <= n_gpus:
        raise SpaceError(f"a model cannot run on {least_tensor_parallel} of {n_gpus} GPUs")
    most_tokens = max(8192, max_model_len)
    parameters: dict[str, BaseDistribution] = {
        "tensor_parallel_size": CategoricalDistribution(powers_of_two(n_gpus)),
        "max_num_seqs": IntDistribution(64, 8192, log=True),
        "max_num_batched_tokens": IntDistribution(64, most_tokens, log=True),
        "block_size": CategoricalDistribution([8, 16, 32]),
        "scheduler_delay_factor": FloatDistribution(0.0, 2.0, step=0.2),
        "enable_chunked_prefill": BOOLEAN,
        "enable_prefix_caching": BOOLEAN,
        "disable_custom_all_reduce": BOOLEAN,
        "use_v2_block_manager": BOOLEAN,
    }
    default: dict[str, Any] = {
        "tensor_parallel_size": least_tensor_parallel,
        "max_num_seqs": 256,
        "max_num_batched_tokens": max(2048, max_model_len),
        "block_size": 16,
        "scheduler_delay_factor": 0.0,
        "enable_chunked_prefill": False,
        "enable_prefix_caching": False,
        "disable_custom_all_reduce": False,
        "use_v2_block_manager": False,
    }
    constraints = (
        "max_num_seqs <= max_num_batched_tokens",
        holds_longest(max_model_len),
        "not (enable_chunked_prefill and enable_prefix_caching)",
    )
    why = {
        **dict.fromkeys(parameters, TABLE_1),
        "tensor_parallel_size": f"powers of two up to the {n_gpus} GPUs",
        "max_num_batched_tokens": f"{TABLE_1}, and up to the model's {max_model_len} tokens",
    }
    space = EngineSpace(parameters, constraints, default, why)
    return space.fix({"tensor_parallel_size": 1}) if n_gpus == 1 else space


def holds_longest(length: int) -> str:
    """Return the known constraint that an iteration holds the longest prompt, if not cut up."""
    return f"enable_chunked_prefill or max_num_batched_tokens >= {length}"
