"""Text that engines and people have written, within Markdown."""

from __future__ import annotations

import re


_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def escaped(text: str) -> str:
    """Return a text as one line that Markdown shows as it is, marks and tags included.

    Args:
        text: Anything.
    """
    return _PUNCTUATION.sub(r"\\\1", " ".join(_CONTROLS.sub("", text).split()))


def fenced(text: str, language: str = "text") -> str:
    """Return lines as a block of code, whatever they hold.

    Args:
        text: Anything.
        language: Whose colours it gets.
    """
    runs = re.findall(r"`+", text)
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    return f"{fence}{language}\n{_CONTROLS.sub('', text)}\n{fence}"
