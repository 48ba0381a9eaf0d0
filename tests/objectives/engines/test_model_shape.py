"""A model's sizes from its own folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from objectives.engines.model_shape import read_shape


LLAMA = {
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
EXPERTS = {**LLAMA, "num_experts": 128, "moe_intermediate_size": 768}
LATENT = {**LLAMA, "kv_lora_rank": 512}
PICTURES = {"vision_config": {"num_attention_heads": 16}, "text_config": LLAMA}


@pytest.mark.parametrize(
    ("config", "kv_heads", "width"),
    [
        (LLAMA, 8, 14336),
        (EXPERTS, 8, 768),
        (LATENT, None, 14336),
        (PICTURES, 8, 14336),
    ],
)
def test_sizes_that_tensor_parallelism_divides(
    tmp_path: Path, config: dict, kv_heads: int | None, width: int
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "a.safetensors").write_bytes(b"12345")
    (tmp_path / "b.safetensors").write_bytes(b"123")
    assert read_shape(tmp_path) == {
        "n_attention_heads": 32,
        "n_kv_heads": kv_heads,
        "intermediate_size": width,
        "vocabulary": 128256,
        "max_model_len": 131072,
        "weight_bytes": 8,
    }


@pytest.mark.parametrize("text", [None, "no JSON", "[]"])
def test_a_folder_that_tells_nothing_is_no_error(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    assert read_shape(tmp_path) == {}
    assert read_shape(tmp_path / "none") == {}
