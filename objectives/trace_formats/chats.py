"""Recorded chats (ShareGPT, LMSYS-Chat-1M, WildChat): the first question and its answer.

As ``vllm bench serve`` reads ShareGPT, a request is all that stands before the first answer, and
its answer is as long as the recorded one. A model's tokenizer has to count both.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from objectives.trace_formats.formats import PublicTraceError
from objectives.trace_formats.rows import NumberedRow
from objectives.trace_formats.rows import TraceFile


CHATS = ("conversations", "conversation", "messages")
_ANSWERS = ("gpt", "assistant", "chatgpt", "bard", "bing")
"""Who answers: ShareGPT's names, and the role of the others."""


def chat_rows(file: TraceFile, key: str) -> tuple[list[NumberedRow], tuple[str, ...]]:
    """Turn chats into rows of this project's format, with texts that are to be counted.

    Args:
        file: One chat a row.
        key: Where its turns are.

    Returns:
        A row for each chat that has a question and then an answer, and a note of how many have
        not, and of how many turns are left out.

    Raises:
        PublicTraceError: What stands there is no list of turns.
    """
    rows: list[NumberedRow] = []
    n_later = 0
    for line, row in file.rows:
        turns = _turns(line, row.get(key))
        first = next((i for i, (who, _) in enumerate(turns) if who in _ANSWERS), len(turns))
        prompt = "\n".join(text for _, text in turns[:first])
        answer = turns[first][1] if first < len(turns) else ""
        if not (prompt.strip() and answer.strip()):
            continue
        rows.append((line, {"prompt": prompt, "answer": answer}))
        n_later += len(turns) - first - 1
    notes = []
    if n_left_out := len(file.rows) - len(rows):
        notes.append(
            f"{n_left_out} of {len(file.rows)} chats left out, without question or answer"
        )
    if n_later:
        notes.append(f"{n_later} turns after the first answers not used")
    return rows, tuple(notes)


def _turns(line: int, found: Any) -> list[tuple[str, str]]:
    """Return who speaks and what, of each turn."""
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise PublicTraceError(f"line {line}: a chat is a list of turns")
    turns = []
    for turn in found:
        if not isinstance(turn, Mapping):
            raise PublicTraceError(f"line {line}: a turn of a chat is an object")
        who = turn.get("from", turn.get("role"))
        text = turn.get("value", turn.get("content"))
        if isinstance(text, str):  # others hold pictures, or calls of tools
            turns.append((str(who).lower(), text))
    return turns
