"""The sizes of a model, from its own ``config.json``, where an engine does not tell them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


_WEIGHTS = (".safetensors", ".bin", ".gguf")


def read_shape(folder: Path) -> dict[str, Any]:
    """Return what ``EngineCapabilities`` holds of a model.

    Args:
        folder: Of the model.

    Returns:
        Fields and values; empty where the folder has no ``config.json`` that can be read.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = [f.stat().st_size for f in folder.iterdir() if f.name.endswith(_WEIGHTS)]
    except (OSError, ValueError):
        return {}
    if not isinstance(config, dict):
        return {}
    text = config.get("text_config", config)

    def size(*names: str) -> int | None:
        found = [text.get(name) for name in names]
        return next((value for value in found if type(value) is int), None)

    has_experts = size("num_experts", "num_local_experts", "n_routed_experts") is not None
    widths = ("moe_intermediate_size",) if has_experts else ()
    is_latent = size("kv_lora_rank") is not None
    return {
        "n_attention_heads": size("num_attention_heads"),
        "n_kv_heads": None if is_latent else size("num_key_value_heads"),
        "intermediate_size": size(*widths, "intermediate_size"),
        "vocabulary": size("vocab_size"),
        "max_model_len": size("max_position_embeddings"),
        "weight_bytes": sum(weights) or None,
    }
