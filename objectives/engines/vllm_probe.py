"""A probe that asks an installed vLLM what it is, which options it takes and its defaults.

This is a program, run by ``objectives.engines.capabilities`` with the engine's own interpreter:

    python vllm_probe.py RESULT_FILE ENGINE_OPTION...

It resolves the configuration that the engine would start with, without loading the model, and
writes one JSON object into RESULT_FILE. An error in the engine ends it as it would end the
engine, with the same message, so that both are classified alike.

It imports nothing of this project and must run on the oldest Python that a vLLM runs on.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


# Where the modules are in one version or another.
PARSERS = (
    "vllm.entrypoints.launchers.cli_args",
    "vllm.entrypoints.openai.cli_args",
)
ARGPARSE = ("vllm.utils.argparse_utils", "vllm.utils")
# Parameters that the engine resolves itself where they are not given.
RESOLVED = (
    "tensor_parallel_size",
    "max_num_seqs",
    "max_num_batched_tokens",
    "block_size",
    "scheduler_delay_factor",
    "enable_chunked_prefill",
    "enable_prefix_caching",
    "disable_custom_all_reduce",
    "use_v2_block_manager",
    "long_prefill_token_threshold",
    "async_scheduling",
    "stream_interval",
    "gpu_memory_utilization",
    "max_cudagraph_capture_size",
    "optimization_level",
)
GROUPS = ("scheduler_config", "cache_config", "parallel_config", "compilation_config")
RENAMED = {"enable_chunked_prefill": "chunked_prefill_enabled"}  # option: resolved field


def main() -> None:
    """Run as the module's docstring says."""
    result_file = sys.argv[1]
    parser, engine_class = _parser_and_engine_class()
    flags = sorted({text for action in parser._actions for text in action.option_strings})
    _write(result_file, {"flags": flags})  # for who is told that an option is none
    engine_args = engine_class.from_cli_args(parser.parse_args(sys.argv[2:]))
    config = _resolve(engine_args)
    _write(
        result_file,
        {
            "version": _first("vllm.version", "vllm").__version__,
            "flags": flags,
            "groups": _groups(parser),
            "choices": _choices(parser),
            "defaults": _defaults(engine_args, config),
            "max_model_len": int(config.model_config.max_model_len),
            **_shape(config),
            "weight_bytes": _weight_bytes(engine_args.model),
            **_device(),
        },
    )


def _write(result_file: str, answer: dict[str, Any]) -> None:
    with open(result_file, "w", encoding="utf-8") as file:
        json.dump(answer, file)


def _groups(parser: Any) -> dict[str, list[str]]:
    """Return the options by the titles of their groups, as ``--help`` has them."""
    return {
        str(group.title): [
            action.option_strings[0] for action in group._group_actions if action.option_strings
        ]
        for group in parser._action_groups
    }


def _choices(parser: Any) -> dict[str, list[Any]]:
    """Return what options take of which the engine lists the values."""
    return {
        action.dest: [choice for choice in action.choices if choice is not None]
        for action in parser._actions
        if action.choices and all(isinstance(c, (str, int, type(None))) for c in action.choices)
    }


def _defaults(engine_args: Any, config: Any) -> dict[str, Any]:
    """Return the plain values that the engine takes for what is not given."""
    given = {name: value for name, value in vars(engine_args).items() if name != "hf_token"}
    values = {name: value for name, value in given.items() if _is_plain(value)}
    return {**values, **{name: _default(name, engine_args, config) for name in RESOLVED}}


def _is_plain(value: Any) -> bool:
    return value is None or type(value) in (bool, int, float, str)


def _parser_and_engine_class() -> tuple[Any, Any]:
    parser_class = _first(*ARGPARSE).FlexibleArgumentParser
    parser = _first(*PARSERS).make_arg_parser(parser_class())
    return parser, importlib.import_module("vllm.engine.arg_utils").AsyncEngineArgs


def _resolve(engine_args: Any) -> Any:
    """Return the configuration of the engine; the API server has defaults of its own."""
    usage = importlib.import_module("vllm.usage.usage_lib").UsageContext.OPENAI_API_SERVER
    try:
        return engine_args.create_engine_config(usage_context=usage)
    except TypeError:  # before version 0.6
        return engine_args.create_engine_config()


def _default(name: str, engine_args: Any, config: Any) -> Any:
    """Return the value that the engine takes when a parameter is not given; None: it has none."""
    value = _plain(getattr(engine_args, name, None))
    if value is not None:
        return value
    for group in GROUPS:
        for field in (name, RENAMED.get(name, name)):
            value = _plain(getattr(getattr(config, group, None), field, None))
            if value is not None:
                return value
    return None


def _plain(value: Any) -> Any:
    """Return a plain value, an integer for a member of an enumeration of them, else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value if _is_plain(value) else None


def _shape(config: Any) -> dict[str, int | None]:
    """Return the sizes of the model that a tensor-parallel size has to divide; None: no such."""
    model = config.model_config
    text = getattr(model, "hf_text_config", model.hf_config)

    def size(*names: str) -> int | None:
        found = [getattr(text, name, None) for name in names]
        return next((int(value) for value in found if isinstance(value, int)), None)

    heads = size("num_attention_heads")
    is_latent = size("kv_lora_rank") is not None  # one head for all, which is not split
    kv_heads = size("num_key_value_heads", "multi_query_group_num", "num_kv_heads")
    experts = size("num_experts", "num_local_experts", "n_routed_experts")
    whole_experts = experts and getattr(config.parallel_config, "enable_expert_parallel", False)
    widths = ("moe_intermediate_size",) if experts else ()
    intermediate = size(*widths, "intermediate_size", "ffn_dim", "n_inner")
    return {
        "n_attention_heads": heads,
        "n_kv_heads": None if is_latent else kv_heads,
        "intermediate_size": None if whole_experts else intermediate,
        "vocabulary": size("vocab_size"),
    }


def _weight_bytes(model: str) -> int | None:
    """Return the size of the weights on disk, None when they are not in a folder."""
    if not os.path.isdir(model):
        return None
    endings = (".safetensors", ".bin", ".gguf")
    files = [entry for entry in os.scandir(model) if entry.name.endswith(endings)]
    return sum(entry.stat().st_size for entry in files) or None


def _device() -> dict[str, Any]:
    """Return kind and number of the devices, and the memory of the first."""
    platform = importlib.import_module("vllm.platforms").current_platform
    kind = str(getattr(platform, "device_type", "cuda"))
    torch = importlib.import_module("torch")
    if kind == "cpu" or not torch.cuda.is_available():
        return {"device": kind, "n_devices": 0, "device_bytes": None}
    memory = int(platform.get_device_total_memory())
    return {"device": kind, "n_devices": torch.cuda.device_count(), "device_bytes": memory}


def _first(*names: str) -> Any:
    """Return the first of several modules that exists."""
    for name in names[:-1]:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # A module that this one needs, rather than itself, is a broken installation.
            if not name.startswith(str(error.name)) or error.name == "vllm":
                raise
    return importlib.import_module(names[-1])


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file must not stand in for the engine's modules
    main()
