"""Parameter spaces of engines: what may be tuned, what is known to be refused, and the default.

The paper tunes the nine parameters of its Table I, which do not change what the model answers:
those of vLLM 0.5 and before (``paper_space``). In a current vLLM two of them are gone, two known
constraints are the same and one is not; ``vllm_space`` asks the installed engine.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from objectives.lengths import LengthError
from objectives.lengths import parse_tokens
from objectives.lengths import stated_length
from objectives.parameter_values import values_of


if TYPE_CHECKING:
    from collections.abc import Mapping

    import optuna

    from objectives.engines.capabilities import EngineCapabilities


BOOLEAN = CategoricalDistribution([False, True])
# Share of a device's memory that weights may take; the rest is for KV cache and activations.
WEIGHTS_SHARE = 0.7
# Largest step of the scheduler that is tried; beyond it, a model of longer context is always
# served in chunks.
MOST_BATCHED_TOKENS = 32768
# Powers of two, so that the step divides the range evenly.
THRESHOLD_STEP = 256
LONGEST_THRESHOLD = 4096
# Ranges are made for it where the longest sequence of the model is unknown.
USUAL_LENGTH = 4096


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
"""Every parameter that some engine's space has."""


class SpaceError(ValueError):
    """A space cannot be built; the message says what to do."""


@dataclass(frozen=True)
class EngineSpace:
    """What an objective tunes.

    Attributes:
        parameters: Name to distribution; the names are those of the engine's options with
            underscores.
        known_constraints: Expressions over the names that hold for every configuration that the
            engine does not refuse at once, as in ``"max_num_seqs <= max_num_batched_tokens"``.
        default: The configuration that the engine has when nothing is set: a value for every
            parameter, within its distribution.

    Raises:
        SpaceError: When there is nothing to tune, or the default does not belong to the space.
    """

    parameters: dict[str, BaseDistribution]
    known_constraints: tuple[str, ...] = ()
    default: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.parameters:
            raise SpaceError("there is nothing to tune: the space has no parameter")
        if set(self.default) != set(self.parameters):
            raise SpaceError("the default configuration needs a value for every parameter")
        for name, value in self.default.items():
            if not _holds(self.parameters[name], value):
                values = values_of(self.parameters[name])
                raise SpaceError(f"the default {name}={value!r} is not {values}")

    def fix(self, values: Mapping[str, Any]) -> EngineSpace:
        """Return the space in which some parameters have one value and are not tuned.

        Args:
            values: Parameters and their values, also ones that the space does not have. In the
                known constraints the names are replaced by the values.
        """
        kept = {n: d for n, d in self.parameters.items() if n not in values}
        constraints = (_substituted(c, values) for c in self.known_constraints)
        return EngineSpace(
            kept,
            tuple(c for c in constraints if any(_names(c, name) for name in kept)),
            {n: v for n, v in self.default.items() if n in kept},
        )

    def starting_from(self, values: Mapping[str, Any]) -> EngineSpace:
        """Return the space whose default configuration has other values.

        Ranges are widened to hold them: what a service runs with now can be tried.

        Args:
            values: Of some of the parameters.

        Raises:
            SpaceError: A parameter is not tuned, or its value is of another kind.
        """
        if unknown := sorted(values.keys() - self.parameters.keys()):
            raise SpaceError(
                f"{', '.join(unknown)}: not tuned here; tuned are {', '.join(self.parameters)}"
            )
        parameters = {
            name: _widened(name, distribution, values[name]) if name in values else distribution
            for name, distribution in self.parameters.items()
        }
        return EngineSpace(parameters, self.known_constraints, {**self.default, **values})


def suggest(trial: optuna.trial.BaseTrial, space: EngineSpace) -> dict[str, Any]:
    """Draw a value for every parameter of the space, in its order.

    Returns:
        Names and values for ``Engine.start``.
    """
    return {name: _suggest_one(trial, name, d) for name, d in space.parameters.items()}


def _suggest_one(trial: optuna.trial.BaseTrial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, step=step, log=log)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
    raise SpaceError(f"parameter {name!r} has a distribution that cannot be drawn: {distribution}")


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
    parameters: dict[str, BaseDistribution] = {
        "tensor_parallel_size": CategoricalDistribution(powers_of_two(n_gpus)),
        "max_num_seqs": IntDistribution(64, 8192, log=True),
        "max_num_batched_tokens": IntDistribution(64, max(8192, max_model_len), log=True),
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
        _holds_longest(max_model_len),
        "not (enable_chunked_prefill and enable_prefix_caching)",
    )
    space = EngineSpace(parameters, constraints, default)
    return space.fix({"tensor_parallel_size": 1}) if n_gpus == 1 else space


def vllm_space(
    capabilities: EngineCapabilities,
    *,
    n_gpus: int | None = None,
    max_model_len: int | None = None,
    fixed: Mapping[str, Any] | None = None,
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

    Returns:
        A space whose default configuration is the engine's own.

    Raises:
        SpaceError: When nothing is left to tune.
        LengthError: ``fixed`` holds a length that is not a number of tokens.
    """
    n_gpus = capabilities.n_devices if n_gpus is None else n_gpus
    known_length = max_model_len or capabilities.max_model_len or stated_length(fixed or {})
    length = known_length or USUAL_LENGTH
    if _is_legacy(capabilities):
        least = least_tensor_parallel(capabilities, max(n_gpus, 1))
        space = paper_space(max(n_gpus, 1), length, least_tensor_parallel=least)
    else:
        space = _current_space(capabilities, n_gpus, length)
    if known_length is None:
        guess = _holds_longest(length)
        kept = tuple(c for c in space.known_constraints if c != guess)
        space = replace(space, known_constraints=kept)
    untuned = {n: v for n, v in space.default.items() if not capabilities.accepts(n)}
    if length > MOST_BATCHED_TOKENS and not _is_legacy(capabilities):
        untuned["enable_chunked_prefill"] = True  # without it, nothing could start
    return space.fix({**untuned, **(fixed or {})})


def _holds_longest(length: int) -> str:
    """Return the known constraint that an iteration holds the longest prompt, if not cut up."""
    return f"enable_chunked_prefill or max_num_batched_tokens >= {length}"


def _is_legacy(capabilities: EngineCapabilities) -> bool:
    """Return whether this is an engine of Table I: later schedulers have no delay factor."""
    return capabilities.accepts("scheduler_delay_factor")


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
    if not on_cpu:  # the CPU's engine always switches it off
        parameters["async_scheduling"] = BOOLEAN
    sizes = tensor_parallel_sizes(n_gpus, capabilities.n_attention_heads)
    if len(sizes) > 1:
        parameters["tensor_parallel_size"] = CategoricalDistribution(sizes)
        parameters["disable_custom_all_reduce"] = BOOLEAN
    constraints = (
        "max_num_seqs <= max_num_batched_tokens",
        _holds_longest(length),
    )
    return EngineSpace(parameters, constraints, {name: default[name] for name in parameters})


def least_tensor_parallel(capabilities: EngineCapabilities, n_gpus: int) -> int:
    """Return the fewest GPUs, a power of two, that hold the weights with room for a KV cache.

    1 when the size of the weights or the memory of a GPU is not known.
    """
    sizes = tensor_parallel_sizes(n_gpus, capabilities.n_attention_heads)
    if capabilities.weight_bytes is None or capabilities.device_bytes is None:
        return sizes[0]
    room = WEIGHTS_SHARE * capabilities.device_bytes
    return next((n for n in sizes if capabilities.weight_bytes <= n * room), sizes[-1])


def tensor_parallel_sizes(n_gpus: int, n_attention_heads: int | None) -> list[int]:
    """Return the powers of two up to ``n_gpus`` that divide the model's attention heads."""
    sizes = powers_of_two(max(n_gpus, 1))
    return [n for n in sizes if n_attention_heads is None or n_attention_heads % n == 0]


def powers_of_two(most: int) -> list[int]:
    """Return 1, 2, 4, ... up to ``most`` >= 1."""
    return [2**k for k in range(most.bit_length())]


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a value belongs to a distribution."""
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (TypeError, ValueError):
        return False


def _widened(name: str, distribution: BaseDistribution, value: Any) -> BaseDistribution:
    """Return a distribution that holds a value as well.

    Raises:
        SpaceError: The value is of another kind than the parameter's.
    """
    if _holds(distribution, value):
        return distribution
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match distribution:
        case IntDistribution(low=low, high=high, log=log, step=step) if (
            is_number and value == int(value) and (value > 0 or not log)
        ):
            value = int(value)
            # Off the grid the step becomes one that both are multiples of.
            step = 1 if log else math.gcd(step, abs(value - low))
            return IntDistribution(min(low, value), max(high, value), log=log, step=step)
        case FloatDistribution(low=low, high=high, log=log) if is_number:
            return FloatDistribution(min(low, float(value)), max(high, float(value)), log=log)
        case CategoricalDistribution(choices=choices) if {type(c) for c in choices} == {
            type(value)
        }:
            return CategoricalDistribution([*choices, value])
    raise SpaceError(f"{name}={value!r} is not a value like those of {distribution}")


def _substituted(constraint: str, values: Mapping[str, Any]) -> str:
    """Return an expression with names replaced by values; text is read as a Python literal."""
    for name, value in values.items():
        if _names(constraint, name):
            literal = _literal(value)
            if literal is None:
                return ""  # not a number: nothing is known here, and the engine will decide
            constraint = re.sub(rf"\b{name}\b", repr(literal), constraint)
    return constraint


def _literal(value: Any) -> bool | int | float | None:
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return _tokens(value)
    return value if isinstance(value, (bool, int, float)) else None


def _tokens(text: str) -> int | None:
    """Return a number of tokens as vLLM reads it, as in ``8k``; None when it is not one."""
    try:
        return parse_tokens(text)
    except LengthError:
        return None


def _names(constraint: str, name: str) -> bool:
    """Return whether an expression names a parameter."""
    return re.search(rf"\b{name}\b", constraint) is not None
