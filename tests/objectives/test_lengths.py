"""Lengths as vLLM's users write them, and where they stand."""

from __future__ import annotations

import pytest

from objectives.lengths import LengthError
from objectives.lengths import parse_tokens
from objectives.lengths import stated_length


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("8192", 8192),
        (8192, 8192),
        (" 4096 ", 4096),
        ("8k", 8000),
        ("8K", 8192),
        ("25.6k", 25600),
        ("1m", 1_000_000),
        ("1M", 1_048_576),
        ("2g", 2_000_000_000),
        ("auto", None),
        ("AUTO", None),
        ("-1", None),
        (-1, None),
    ],
)
def test_lengths_are_read_as_vllm_reads_them(text: str | int, tokens: int | None) -> None:
    assert parse_tokens(text) == tokens


@pytest.mark.parametrize(
    "text",
    ["", "0", "-2", "8kk", "8Ki", "8 k", "1.5K", "1.5", "1e4", "0x10", "٣", "True", "9" * 5000],
)
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(LengthError, match="is not a number of tokens: write 8192, 8k"):
        parse_tokens(text)


@pytest.mark.parametrize(
    ("arguments", "command", "length"),
    [
        ({}, None, None),
        ({}, "vllm serve", None),
        ({"max_model_len": "4k"}, None, 4000),
        ({"max_model_len": 2048}, "vllm serve --max-model-len 4096", 2048),  # the last word counts
        ({"max_model_len": "auto"}, "vllm serve --max-model-len 4096", None),
        ({"dtype": "auto"}, "docker run --rm image --max-model-len 8K --model", 8192),
        ({}, "docker run image --max-model-len=4096 --max_model_len 8192", 8192),
        ({}, "docker run image --max-model-len -1", None),
    ],
)
def test_the_length_is_found_in_arguments_and_commands(
    arguments: dict[str, str | int], command: str | None, length: int | None
) -> None:
    assert stated_length(arguments, None if command is None else command.split()) == length


def test_the_length_is_found_in_a_shells_words() -> None:
    assert stated_length({}, ["sh", "-c", "exec vllm serve --max-model-len='4096'"]) == 4096
    assert stated_length({}, ["sh", "-c", 'vllm serve --max-model-len 4k "$@"', "sh"]) == 4000


def test_a_wrong_length_is_named_with_its_argument() -> None:
    with pytest.raises(LengthError, match="max-model-len: '8x' is not a number"):
        stated_length({"max_model_len": "8x"})
