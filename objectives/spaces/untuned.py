"""Why the rest of an engine's options is not tuned; of vLLM by the groups of its own help."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence

from objectives.engines.command import RESERVED
from objectives.engines.command import SECRET_VARIABLES
from objectives.engines.command import UNSUPPORTED
from objectives.engines.command import option
from objectives.engines.command import spelt


ANSWERS = "would change what the model answers, or which model answers"
FRONT = "of the API server: what it accepts, shows and allows"
OWN = "set for every trial, or not measured (TLS, secrets)"
START = "how weights are loaded: seconds of the start, not of serving"
WATCHING = "logs and metrics: they cost time and improve nothing"
DEVICES = "on which machines and devices the engine runs: --fix or --engine-arg holds one choice"
KERNELS = "kernels: another rounding, and mostly chosen well by the engine for the device"
LORA = "of adapters, which the service has or has not"
TRAFFIC = "which requests wait or are turned away: fewer served is not faster"
MEMORY = "what is kept where: the engine has no use for another choice without a need"
OTHER = "not known to leave the answers as they are, or to change the speed"

_BY_GROUP = {
    "Frontend": FRONT,
    "options": FRONT,
    "ModelConfig": ANSWERS,
    "StructuredOutputsConfig": ANSWERS,
    "MultiModalConfig": ANSWERS,
    "LoadConfig": START,
    "LoRAConfig": LORA,
    "LoggingConfig": WATCHING,
    "ObservabilityConfig": WATCHING,
    "ParallelConfig": DEVICES,
    "AttentionConfig": KERNELS,
    "MambaConfig": KERNELS,
    "CompilationConfig": KERNELS,
    "KernelConfig": KERNELS,
    "CacheConfig": MEMORY,
    "OffloadConfig": MEMORY,
    "SchedulerConfig": TRAFFIC,
}
_BY_NAME = {
    "stream_interval": "holds tokens back: what is measured improves, what a user sees does not",
    "max_num_active_seqs": "does what max-num-seqs does",
    "kv_cache_dtype": ANSWERS,
    "speculative_config": ANSWERS + " (a draft model)",
    "enforce_eager": "optimization-level 0 is the same, and can be added",
}
_ON_CPU = {
    "async_scheduling": "the engine switches it off on a CPU",
    "gpu_memory_utilization": "on a CPU, VLLM_CPU_KVCACHE_SPACE decides",
    "max_cudagraph_capture_size": "there are no CUDA graphs on a CPU",
    "cudagraph_capture_sizes": "there are no CUDA graphs on a CPU",
}


def untuned(
    groups: Mapping[str, Sequence[str]],
    flags: Collection[str],
    kept: Collection[str],
    device: str | None = None,
) -> dict[str, list[str]]:
    """Return the options that are not tuned by the reason why.

    Args:
        groups: Options by the groups of the engine's help; may be empty.
        flags: All options that it has.
        kept: Names of the parameters that are tuned, offered, or held by the user.
        device: "cuda", "cpu", ...; None: not known.
    """
    leave = {spelt(name, flags) for name in kept}
    group_of = {flag: title for title, members in groups.items() for flag in members}
    if group_of:  # the first spelling of each stands for all
        flags = group_of.keys()
    reserved = (*RESERVED, *UNSUPPORTED, *SECRET_VARIABLES, "model_path")
    own = {option(name) for name in reserved}
    special = {**_BY_NAME, **(_ON_CPU if device == "cpu" else {})}
    by_name = {option(name): why for name, why in special.items()}
    reasons: dict[str, list[str]] = {}
    for flag in sorted(flags):
        if flag in leave or flag in ("-h", "--help") or flag.startswith("--no-"):
            continue
        why = OWN if flag in own else by_name.get(flag)
        why = why or _BY_GROUP.get(group_of.get(flag, ""), OTHER)
        reasons.setdefault(why, []).append(flag)
    return dict(sorted(reasons.items(), key=lambda entry: -len(entry[1])))
