"""What is tuned of TensorRT-LLM's ``trtllm-serve``; none of it changes the answers.

Names and defaults are those of TensorRT-LLM 1 (https://github.com/NVIDIA/TensorRT-LLM,
``tensorrt_llm/commands/serve.py``, ``tensorrt_llm/builder.py``); only those that the installed one
has are tuned. Prefix caching (``enable_block_reuse``) is in its YAML file alone, and not tuned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from objectives.spaces.paper import BOOLEAN
from objectives.spaces.paper import holds_longest
from objectives.spaces.server import GPUS_WHY
from objectives.spaces.server import assemble
from objectives.spaces.space import EngineSpace
from objectives.spaces.space import Parameter
from objectives.spaces.tensor_parallel import least_tensor_parallel
from objectives.spaces.tensor_parallel import sizes_of


if TYPE_CHECKING:
    from objectives.engines.capabilities import EngineCapabilities


MOST_SEQUENCES = 2048
MOST_TOKENS = 16384


TUNABLE = frozenset(
    {
        "enable_chunked_prefill",
        "free_gpu_memory_fraction",
        "max_batch_size",
        "max_num_tokens",
        "tensor_parallel_size",
    }
)
"""Every parameter that the space may have without being asked for it."""


def trtllm_space(
    capabilities: EngineCapabilities,
    *,
    n_gpus: int | None = None,
    max_model_len: int | None = None,
    fixed: Mapping[str, Any] | None = None,
    params: Mapping[str, BaseDistribution | None] | None = None,
) -> EngineSpace:
    """Return the space of the installed TensorRT-LLM; arguments as of ``vllm_space``.

    Raises:
        SpaceError: When nothing is left to tune, or the engine has no such parameter.
    """
    n_gpus = capabilities.n_devices if n_gpus is None else n_gpus
    tuned = {
        "max_batch_size": Parameter(
            IntDistribution(8, MOST_SEQUENCES, log=True), 2048, "up to the engine's own"
        ),
        "max_num_tokens": Parameter(
            IntDistribution(256, MOST_TOKENS, log=True), 8192, "up to twice the engine's own"
        ),
        "enable_chunked_prefill": Parameter(
            BOOLEAN, False, "long prompts in pieces between the answers of others, or whole"
        ),
        "free_gpu_memory_fraction": Parameter(
            FloatDistribution(0.7, 0.95, step=0.05), 0.9, "for the cache, of what weights leave"
        ),
    }
    sizes = sizes_of(capabilities, n_gpus)
    if len(sizes) > 1:
        least = least_tensor_parallel(capabilities, n_gpus)
        distribution = CategoricalDistribution(sizes)
        tuned["tensor_parallel_size"] = Parameter(distribution, least, GPUS_WHY)
    offered = {
        "num_postprocess_workers": Parameter(
            IntDistribution(0, 8), 0, "processes that turn tokens into answers"
        ),
    }
    length = max_model_len or capabilities.max_model_len
    # Without chunks a batch holds the longest prompt; a model of long context is served in chunks
    # where the default could not.
    constraints = (
        ()
        if length is None or length > 8192
        else (holds_longest(length).replace("max_num_batched_tokens", "max_num_tokens"),)
    )
    space = assemble("TensorRT-LLM", capabilities, tuned, offered, fixed=fixed, params=params)
    return space.with_constraints(
        tuple(
            c
            for c in constraints
            if {"max_num_tokens", "enable_chunked_prefill"} <= space.parameters.keys()
        )
    )
