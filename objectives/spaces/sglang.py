"""What is tuned of SGLang: counterparts of the paper's parameters, none of which changes answers.

Names, meanings and defaults are those of SGLang 0.5.23
(https://github.com/sgl-project/sglang, ``python/sglang/srt/arg_groups/fields/schedule.py``,
``memory.py``, ``parallel.py``); only those that the installed one has are tuned.
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
from objectives.spaces.server import GPUS_WHY
from objectives.spaces.server import assemble
from objectives.spaces.space import EngineSpace
from objectives.spaces.space import Parameter
from objectives.spaces.tensor_parallel import least_tensor_parallel
from objectives.spaces.tensor_parallel import sizes_of


if TYPE_CHECKING:
    from objectives.engines.capabilities import EngineCapabilities


# The engine chooses by the GPU's memory where nothing is given, which only it can.
OWN = None
SEQUENCES = [OWN, 8, 16, 32, 64, 128, 256, 512]
CHUNKS = [OWN, 1024, 2048, 4096, 8192, 16384]


TUNABLE = frozenset(
    {
        "chunked_prefill_size",
        "disable_custom_all_reduce",
        "disable_radix_cache",
        "enable_mixed_chunk",
        "max_running_requests",
        "num_continuous_decode_steps",
        "schedule_conservativeness",
        "schedule_policy",
        "tensor_parallel_size",
    }
)
"""Every parameter that the space may have without being asked for it."""


def sglang_space(
    capabilities: EngineCapabilities,
    *,
    n_gpus: int | None = None,
    max_model_len: int | None = None,
    fixed: Mapping[str, Any] | None = None,
    params: Mapping[str, BaseDistribution | None] | None = None,
) -> EngineSpace:
    """Return the space of the installed SGLang; arguments as of ``vllm_space``.

    Raises:
        SpaceError: When nothing is left to tune, or the engine has no such parameter.
    """
    n_gpus = capabilities.n_devices if n_gpus is None else n_gpus
    own = "None is the engine's own, by the memory of the GPU"
    tuned = {
        "max_running_requests": Parameter(CategoricalDistribution(SEQUENCES), OWN, own),
        "chunked_prefill_size": Parameter(CategoricalDistribution(CHUNKS), OWN, own),
        "schedule_policy": Parameter(
            CategoricalDistribution(["fcfs", "lpm"]), "fcfs", "first come, or longest prefix first"
        ),
        "schedule_conservativeness": Parameter(
            FloatDistribution(0.3, 1.5, step=0.1), 1.0, "less takes in more requests at once"
        ),
        "num_continuous_decode_steps": Parameter(
            IntDistribution(1, 8), 1, "more spares work between steps, and lets new requests wait"
        ),
        "enable_mixed_chunk": Parameter(BOOLEAN, False, "prompts and answers in one batch"),
        "disable_radix_cache": Parameter(
            BOOLEAN, False, "what prompts share is computed once; costs time where none do"
        ),
    }
    sizes = sizes_of(capabilities, n_gpus)
    if len(sizes) > 1:
        least = least_tensor_parallel(capabilities, n_gpus)
        distribution = CategoricalDistribution(sizes)
        tuned["tensor_parallel_size"] = Parameter(distribution, least, GPUS_WHY)
        tuned["disable_custom_all_reduce"] = Parameter(
            BOOLEAN, False, "SGLang's own exchange between GPUs, or NCCL's"
        )
    offered = {
        "disable_overlap_schedule": Parameter(
            BOOLEAN, False, "the next step is planned while one runs"
        ),
        "max_prefill_tokens": Parameter(
            IntDistribution(2048, 32768, log=True), 16384, "tokens of prompts in one batch"
        ),
        "mem_fraction_static": Parameter(
            CategoricalDistribution([OWN, 0.7, 0.75, 0.8, 0.85, 0.9]),
            OWN,
            "of the GPU's memory for weights and cache; more, until memory runs out",
        ),
    }
    return assemble("SGLang", capabilities, tuned, offered, fixed=fixed, params=params)
