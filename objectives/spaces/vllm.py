"""What is tuned of an installed vLLM, version 0.4 to 0.33."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from objectives.lengths import stated_length
from objectives.spaces.changes import change
from objectives.spaces.paper import BOOLEAN
from objectives.spaces.paper import holds_longest
from objectives.spaces.paper import paper_space
from objectives.spaces.server import check_known
from objectives.spaces.space import EngineSpace
from objectives.spaces.space import Parameter
from objectives.spaces.space import holds
from objectives.spaces.tensor_parallel import least_tensor_parallel
from objectives.spaces.tensor_parallel import sizes_of


if TYPE_CHECKING:
    from objectives.engines.capabilities import EngineCapabilities


# Largest step of the scheduler that is tried; beyond it, a model of longer context is always
# served in chunks.
MOST_BATCHED_TOKENS = 32768
# Powers of two, so that the step divides the range evenly.
THRESHOLD_STEP = 256
LONGEST_THRESHOLD = 4096
# Ranges are made for it where the longest sequence of the model is unknown.
USUAL_LENGTH = 4096
LARGEST_GRAPH = 1024

TUNABLE = frozenset(
    {
        "async_scheduling",
        "block_size",
        "disable_custom_all_reduce",
        "enable_chunked_prefill",
        "enable_prefix_caching",
        "long_prefill_token_threshold",
        "max_num_batched_tokens",
        "max_num_seqs",
        "scheduler_delay_factor",
        "tensor_parallel_size",
        "use_v2_block_manager",
    }
)
"""Every parameter that some vLLM's space has."""


def vllm_space(
    capabilities: EngineCapabilities,
    *,
    n_gpus: int | None = None,
    max_model_len: int | None = None,
    fixed: Mapping[str, Any] | None = None,
    params: Mapping[str, BaseDistribution | None] | None = None,
) -> EngineSpace:
    """Return the intent of Table I for the installed vLLM: what it takes, with its own defaults.

    Left out on purpose, though the engine has them: ``stream_interval``, which holds tokens back,
    so that the measured latencies improve and the user's do not; ``max_num_active_seqs``, which
    does what ``max_num_seqs`` does; and everything that changes the model's answers.

    Args:
        capabilities: What the installed engine said of itself.
        n_gpus: GPUs of the service; by default those that the engine sees.
        max_model_len: Longest sequence in tokens; by default what the engine resolved, else what
            ``fixed`` says. Where neither is known, there is no known constraint on it.
        fixed: The user's own arguments for the engine; what they set is not tuned.
        params: Parameters that the user wants tuned, with their values; None: with those that
            are offered.

    Returns:
        A space whose default configuration is the engine's own.

    Raises:
        SpaceError: When nothing is left to tune, or the engine has no such parameter.
        LengthError: ``fixed`` holds a length that is not a number of tokens.
    """
    fixed, params = fixed or {}, params or {}
    check_known("vLLM", capabilities, params, fixed)
    n_gpus = capabilities.n_devices if n_gpus is None else n_gpus
    known_length = max_model_len or capabilities.max_model_len or stated_length(fixed)
    length = known_length or USUAL_LENGTH
    if _is_legacy(capabilities):
        space = _legacy_space(capabilities, max(n_gpus, 1), length)
    else:
        space = _current_space(capabilities, n_gpus, length)
    if known_length is None:
        guess = holds_longest(length)
        kept = tuple(c for c in space.known_constraints if c != guess)
        space = replace(space, known_constraints=kept)
    untuned = {n: v for n, v in space.default.items() if not capabilities.accepts(n)}
    if length > MOST_BATCHED_TOKENS and not _is_legacy(capabilities):
        untuned["enable_chunked_prefill"] = True  # without it, nothing could start
    space = replace(space, offered=_offered(capabilities))
    untuned = {name: value for name, value in untuned.items() if name not in params}
    defaults = {name: value for name, value in capabilities.defaults.items() if value is not None}
    space = change(space, params, defaults)
    return space.fix({**untuned, **fixed})


def _is_legacy(capabilities: EngineCapabilities) -> bool:
    """Return whether this is an engine of Table I: later schedulers have no delay factor.

    From 0.8 on the engine is another one by default (V1), which gives way to the old one where it
    is asked for a delay.
    """
    return capabilities.accepts("scheduler_delay_factor") and not _is_since(capabilities, 0, 8)


def _is_since(capabilities: EngineCapabilities, *version: int) -> bool:
    """Return whether an engine says that it is of this version or a later one."""
    told = re.findall(r"\d+", (capabilities.version or "").partition("+")[0])
    return tuple(map(int, told[:3])) >= version


def _legacy_space(capabilities: EngineCapabilities, n_gpus: int, length: int) -> EngineSpace:
    """Return Table I with the engine's own defaults: from 0.6 on they are other ones."""
    least = least_tensor_parallel(capabilities, n_gpus)
    space = paper_space(n_gpus, length, least_tensor_parallel=least)
    if "tensor_parallel_size" in space.parameters:
        sizes = CategoricalDistribution(sizes_of(capabilities, n_gpus))
        parameters = {**space.parameters, "tensor_parallel_size": sizes}
        space = replace(space, parameters=parameters)
    told = {
        name: value
        for name, value in capabilities.defaults.items()
        if name in space.parameters and value is not None and name != "tensor_parallel_size"
    }
    space = space.starting_from(told)
    if _is_since(capabilities, 0, 6, 1):  # vllm-project/vllm, pull request 8120
        kept = tuple(c for c in space.known_constraints if not c.startswith("not (enable_"))
        space = replace(space, known_constraints=kept)
    return space


def _current_space(capabilities: EngineCapabilities, n_gpus: int, length: int) -> EngineSpace:
    on_cpu = capabilities.device == "cpu"
    known = {name: value for name, value in capabilities.defaults.items() if value is not None}
    seqs, tokens = known.get("max_num_seqs", 256), known.get("max_num_batched_tokens", 2048)
    most_tokens = max(8192 if on_cpu else 16384, 2 * tokens, min(length, MOST_BATCHED_TOKENS))
    # The blocks of the CPU's attention kernel are multiples of 32, those of GPU kernels of 16.
    blocks = [32, 64, 128, 256] if on_cpu else [16, 32, 64, 128]
    block = known.get("block_size", blocks[0])
    parameters: dict[str, BaseDistribution] = {
        "max_num_seqs": IntDistribution(2 if on_cpu else 8, max(512, 2 * seqs), log=True),
        "max_num_batched_tokens": IntDistribution(64, most_tokens, log=True),
        "block_size": CategoricalDistribution(sorted({*blocks, block})),
        "enable_chunked_prefill": BOOLEAN,
        "enable_prefix_caching": BOOLEAN,
    }
    why = {
        "max_num_seqs": f"up to 512, or twice the engine's own {seqs}",
        "max_num_batched_tokens": f"up to {8192 if on_cpu else 16384}, twice the engine's own"
        f" {tokens}, or the model's {length} tokens",
        "block_size": f"multiples of {blocks[0]}, as the kernels of a {'CPU' if on_cpu else 'GPU'}"
        " take them",
        "enable_chunked_prefill": "long prompts in pieces between the answers of others, or whole",
        "enable_prefix_caching": "what prompts share is computed once; costs time where none do",
    }
    # Current engines switch on by default what they can, where they did not say otherwise.
    default: dict[str, Any] = {
        "max_num_seqs": seqs,
        "max_num_batched_tokens": tokens,
        "block_size": block,
        "enable_chunked_prefill": known.get("enable_chunked_prefill", True),
        "enable_prefix_caching": known.get("enable_prefix_caching", True),
        "long_prefill_token_threshold": known.get("long_prefill_token_threshold", 0),
        "async_scheduling": known.get("async_scheduling", True),
        "tensor_parallel_size": least_tensor_parallel(capabilities, n_gpus),
        "disable_custom_all_reduce": known.get("disable_custom_all_reduce", False),
    }
    longest = min(length, LONGEST_THRESHOLD) // THRESHOLD_STEP * THRESHOLD_STEP
    if longest > 0:
        threshold = IntDistribution(0, longest, step=THRESHOLD_STEP)
        parameters["long_prefill_token_threshold"] = threshold
        why["long_prefill_token_threshold"] = "0 is none; prompts above it wait for short ones"
    if not on_cpu:  # the CPU's engine always switches it off
        parameters["async_scheduling"] = BOOLEAN
        why["async_scheduling"] = "the next step is planned while one runs"
    sizes = sizes_of(capabilities, n_gpus)
    if len(sizes) > 1:
        parameters["tensor_parallel_size"] = CategoricalDistribution(sizes)
        parameters["disable_custom_all_reduce"] = BOOLEAN
        why["tensor_parallel_size"] = (
            f"powers of two up to {n_gpus} GPUs that divide the model's heads, intermediate size"
            " and vocabulary"
        )
        why["disable_custom_all_reduce"] = "vLLM's own exchange between GPUs, or NCCL's"
    constraints = (
        "max_num_seqs <= max_num_batched_tokens",
        holds_longest(length),
    )
    default = {name: default[name] for name in parameters}
    return EngineSpace(parameters, constraints, default, why)


def _offered(capabilities: EngineCapabilities) -> dict[str, Parameter]:
    """Return what else the engine has that leaves the answers as they are, but for rounding.

    Each costs trials, so that none is tuned unless it is asked for.
    """
    known = {name: value for name, value in capabilities.defaults.items() if value is not None}
    candidates: dict[str, tuple[BaseDistribution, str]] = {}
    if capabilities.device != "cpu":  # there VLLM_CPU_KVCACHE_SPACE decides
        candidates["gpu_memory_utilization"] = (
            FloatDistribution(0.8, 0.96, step=0.02),
            "more is room for more sequences at once, until memory runs out",
        )
    modes = ["balanced", "interactivity", "throughput"]
    candidates["performance_mode"] = (CategoricalDistribution(modes), "the modes of the engine")
    if not known.get("enforce_eager"):
        candidates["optimization_level"] = (
            CategoricalDistribution([0, 1, 2]),
            "less starts sooner, more runs faster; 3 is the same as 2",
        )
        candidates["max_cudagraph_capture_size"] = (
            IntDistribution(8, LARGEST_GRAPH, log=True),
            "batches up to it run as CUDA graphs, which take memory and seconds of the start",
        )
    candidates["scheduler_reserve_full_isl"] = (
        BOOLEAN,
        "whether a prompt begins before the cache has room for all of it",
    )
    return {
        name: Parameter(distribution, known[name], why)
        for name, (distribution, why) in candidates.items()
        if capabilities.accepts(name) and name in known and holds(distribution, known[name])
    }
