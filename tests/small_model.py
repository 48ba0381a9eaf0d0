"""A folder that is a model as far as its tokenizer goes."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from tokenizers import models
from tokenizers import pre_tokenizers


def make_small_model(folder: Path) -> None:
    """Make the folder, with a tokenizer of 180 words that counts one token a word."""
    words = [a + b + c for a in "bcdfgh" for b in "aeiou" for c in "lmnrst"]
    vocabulary = {word: i for i, word in enumerate(["[unk]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[unk]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
