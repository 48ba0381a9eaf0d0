"""Make a small Llama with random weights and a tokenizer on the spot, with nothing downloaded.

    python examples/make_random_llama.py DIR [--size 77m]

The folder is a model that ``vllm serve DIR`` serves. Its answers mean nothing, but the speed of a
model does not depend on the values of its weights, so it will do to try an engine, to tune one on
a machine without a GPU, and to test. It needs ``transformers``, ``tokenizers`` and ``torch``,
which an environment with vLLM has: run it with the engine's own interpreter.

The tokenizer is a byte-level BPE trained on the sources of Python's standard library.
"""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path


# Name: (hidden size, size of the MLP, layers, attention heads). With a vocabulary of 4096 tokens
# and separate input and output embeddings these have 5 and 77 million weights.
SIZES = {
    "5m": (256, 688, 4, 8),
    "77m": (768, 2304, 10, 12),
}
VOCABULARY = 4096
POSITIONS = 4096
TRAINING_TEXT_BYTES = 4_000_000


def main() -> None:
    """Parse the command line and write the model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, help="folder to write; made when missing")
    parser.add_argument("--size", choices=sorted(SIZES), default="77m", help="weights (77m)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (0)")
    arguments = parser.parse_args()
    if is_made(arguments.directory):
        print(f"{arguments.directory} holds a model already")
        return
    make(arguments.directory, arguments.size, arguments.seed)
    print(f"a random Llama of {arguments.size} weights is in {arguments.directory}")


def is_made(directory: Path) -> bool:
    """Return whether the folder holds a whole model: its configuration is written last."""
    return (directory / "config.json").is_file()


def make(directory: Path, size: str, seed: int = 0) -> None:
    """Write weights, tokenizer and configuration into ``directory``."""
    # The import takes seconds and asks a model hub nothing when it is told that it is offline.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    directory.mkdir(parents=True, exist_ok=True)
    _write_tokenizer(directory)
    _write_model(directory, size, seed)


def _write_tokenizer(directory: Path) -> None:
    """Train and save the byte-level BPE; token 0 ends a text and token 1 pads it."""
    import tokenizers
    from tokenizers import decoders
    from tokenizers import models
    from tokenizers import pre_tokenizers
    from tokenizers import trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|end|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_standard_library_sources(), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        model_max_length=POSITIONS,
    )
    fast.save_pretrained(directory)


def _standard_library_sources() -> Iterator[str]:
    """Yield Python's own modules in the order of their names, up to the training text's size."""
    left = TRAINING_TEXT_BYTES
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="ignore")
        yield text
        left -= len(text)
        if left <= 0:
            return


def _write_model(directory: Path, size: str, seed: int) -> None:
    """Save a Llama with weights drawn from the usual initial distribution."""
    import torch
    from transformers import LlamaConfig
    from transformers import LlamaForCausalLM

    hidden, intermediate, layers, heads = SIZES[size]
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=POSITIONS,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(directory)
    print(f"{sum(p.numel() for p in model.parameters()):,} weights", file=sys.stderr)


if __name__ == "__main__":
    main()
