"""The engine's parameters: defaults, types, and the combinations that it refuses to start with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """The parameters of Table I of the SCOOT paper, with the defaults of vLLM 0.4.

    Attributes:
        tensor_parallel_size: GPUs that share one copy of the model.
        max_num_seqs: Most sequences in one iteration.
        max_num_batched_tokens: Most tokens in one iteration.
        block_size: Tokens of one block of the KV cache.
        scheduler_delay_factor: The next prompt waits this many times the latency of the last.
        enable_chunked_prefill: Whether prompts are cut to fit next to running decodes.
        enable_prefix_caching: Whether the KV blocks of a shared prefix are kept and reused.
        disable_custom_all_reduce: Whether NCCL is used where the engine's own kernel could be.
        use_v2_block_manager: Which block manager keeps the block tables.
    """

    tensor_parallel_size: int = 1
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 4096
    block_size: int = 16
    scheduler_delay_factor: float = 0.0
    enable_chunked_prefill: bool = False
    enable_prefix_caching: bool = False
    disable_custom_all_reduce: bool = False
    use_v2_block_manager: bool = False

    def updated(self, params: Mapping[str, Any]) -> EngineConfig:
        """Return this configuration with a trial's parameters.

        Raises:
            ExternalFailure: A name is unknown, or a value has the wrong type.
        """
        kinds = {field.name: type(field.default) for field in dataclasses.fields(self)}
        unknown = sorted(set(params) - set(kinds))
        if unknown:
            raise ExternalFailure(
                ExternalReason.BAD_ENGINE_ARGUMENT,
                f"the simulated engine has no parameter {', '.join(unknown)}; "
                f"it has {', '.join(kinds)}",
            )
        values = {name: _converted(name, value, kinds[name]) for name, value in params.items()}
        return dataclasses.replace(self, **values)

    def refusal(self, n_gpus: int, max_model_len: int) -> str | None:
        """Return why the engine refuses these parameters (section II-C2), None if it does not."""
        tp = self.tensor_parallel_size
        if not 1 <= tp <= n_gpus:
            return f"tensor_parallel_size {tp} needs as many GPUs, and there are {n_gpus}"
        if tp & (tp - 1):
            return f"tensor_parallel_size {tp} does not divide the number of attention heads"
        if min(self.max_num_seqs, self.max_num_batched_tokens, self.block_size) < 1:
            return "max_num_seqs, max_num_batched_tokens and block_size must be at least 1"
        if self.max_num_batched_tokens < self.max_num_seqs:
            return (
                f"max_num_batched_tokens ({self.max_num_batched_tokens}) must be at least "
                f"max_num_seqs ({self.max_num_seqs})"
            )
        if not self.enable_chunked_prefill and self.max_num_batched_tokens < max_model_len:
            return (
                f"max_num_batched_tokens ({self.max_num_batched_tokens}) is smaller than "
                f"max_model_len ({max_model_len}) without chunked prefill"
            )
        return None

    def check(self, n_gpus: int, max_model_len: int, *, exclusive_caching: bool = True) -> None:
        """Refuse what the engine would refuse to start with.

        Args:
            n_gpus: GPUs of the machine.
            max_model_len: Longest sequence of the model.
            exclusive_caching: Whether chunked prefill and prefix caching exclude each other, as
                they do up to vLLM 0.5.

        Raises:
            EngineCrash: With the reason ``known_constraint``.
        """
        why = self.refusal(n_gpus, max_model_len)
        if exclusive_caching and self.enable_chunked_prefill and self.enable_prefix_caching:
            why = "chunked prefill and prefix caching cannot be enabled together"
        if why is not None:
            raise EngineCrash(CrashReason.KNOWN_CONSTRAINT, why)


def _converted(name: str, value: Any, kind: type) -> Any:
    """Return the value as a plain Python one of this type, if it is such a value.

    Raises:
        ExternalFailure: It is not: 16.5 for an integer, text for a number.
    """
    try:
        converted = kind(value)
    except (TypeError, ValueError):
        converted = None
    if converted is None or converted != value:
        raise ExternalFailure(
            ExternalReason.BAD_ENGINE_ARGUMENT,
            f"{name} must be of type {kind.__name__}, not {value!r}",
        )
    return converted
