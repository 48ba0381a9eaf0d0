"""The longest sequence that a model serves: how it is written, and where a user states it.

vLLM takes ``--max-model-len 8192``, and the same as ``8k`` (8000) or ``8K`` (8192). Where the
engine itself can be asked, its own answer counts; of a container's command only the words are
known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any


_DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_OPTION = re.compile(r"--max[-_]model[-_]len[\s=]+['\"]?([^\s'\"]+)")


class LengthError(ValueError):
    """Words are not a number of tokens; the message says what is."""


def parse_tokens(text: str | int) -> int | None:
    """Read a number of tokens as vLLM reads it.

    Args:
        text: A whole number, or one with a suffix: ``k``, ``m``, ``g``, ``t`` are powers of 1000
            and may follow a decimal fraction (``25.6k``), ``K``, ``M``, ``G``, ``T`` are powers of
            1024.

    Returns:
        The number, >= 1; None for ``auto`` and -1, with which the engine chooses.

    Raises:
        LengthError: It is none of these.
    """
    word = str(text).strip()
    if word == "-1" or word.lower() == "auto":
        return None
    match = re.fullmatch(r"([0-9]+)(\.[0-9]+)?([kKmMgGtT]?)", word)
    if match is not None and len(word) < 20:
        whole, fraction, suffix = match.groups()
        if suffix in _DECIMAL:
            number = int(float(whole + (fraction or "")) * _DECIMAL[suffix])
        else:
            number = 0 if fraction else int(whole) * _BINARY.get(suffix, 1)
        if number >= 1:
            return number
    raise LengthError(
        f"{word!r} is not a number of tokens: write 8192, 8k (8000), 8K (8192), or auto"
    )


def stated_length(
    arguments: Mapping[str, Any], command: Sequence[str] | None = None
) -> int | None:
    """Return the longest sequence that the engine's arguments or its command name.

    Args:
        arguments: The user's arguments for the engine, which come after the command.
        command: The words of a command that starts the engine, a container's for instance.

    Returns:
        Tokens of prompt and answer together; None when neither names it, or says ``auto``.

    Raises:
        LengthError: What is named is not a number of tokens.
    """
    if (value := arguments.get("max_model_len")) is not None:
        return _read("max-model-len", value)
    words = _OPTION.findall(" ".join(command or ()))
    return _read("--max-model-len", words[-1]) if words else None


def _read(name: str, value: Any) -> int | None:
    try:
        return parse_tokens(value)
    except LengthError as error:
        raise LengthError(f"{name}: {error}") from None
