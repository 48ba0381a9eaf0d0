"""Public trace formats, turned into rows of this project's JSONL (``docs/traces.md``).

* CSV of the Azure LLM inference traces (Splitwise, Patel et al., ISCA 2024): ``TIMESTAMP``
  (2023-11-16 18:15:46.6805900, seven decimals), ``ContextTokens``, ``GeneratedTokens``.
* CSV of lengths only: ``num_prefill_tokens``, ``num_decode_tokens``.
* JSONL of the Mooncake traces (Qin et al., FAST 2025): ``timestamp`` (whole milliseconds),
  ``input_length``, ``output_length``, and ``hash_ids``, one id a block of 512 tokens, where equal
  leading ids mean an equal beginning of the prompts.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any


BLOCK_TOKENS = 512  # tokens that one of Mooncake's hash ids stands for

Row = Mapping[str, Any]
NumberedRow = tuple[int, Row]  # the line of the file, from 1, and the row


class PublicTraceError(ValueError):
    """A file in a public trace format is not as it should be."""


def rows_of_csv(text: str) -> list[NumberedRow]:
    """Read a CSV of the Azure traces or of lengths only; the header tells which.

    Args:
        text: The file, header first.

    Returns:
        Rows with ``prompt_tokens`` and ``output_tokens``; Azure's also with ``arrival_time`` in
        seconds from the earliest stamp, sorted by it.

    Raises:
        PublicTraceError: When the header is neither, or a cell cannot be read.
    """
    reader = csv.DictReader(text.splitlines())
    columns = set(reader.fieldnames or ())
    rows = list(enumerate(reader, start=2))
    if {"TIMESTAMP", "ContextTokens", "GeneratedTokens"} <= columns:
        return _rows_of_azure(rows)
    if {"num_prefill_tokens", "num_decode_tokens"} <= columns:
        names = ("num_prefill_tokens", "num_decode_tokens")
        return [(line, _lengths(line, row, *names)) for line, row in rows]
    raise PublicTraceError(
        "a CSV trace has the columns TIMESTAMP, ContextTokens, GeneratedTokens (Azure) or "
        f"num_prefill_tokens, num_decode_tokens (lengths), not {', '.join(sorted(columns))}"
    )


def _rows_of_azure(rows: Sequence[NumberedRow]) -> list[NumberedRow]:
    seconds = [_azure_seconds(line, row["TIMESTAMP"]) for line, row in rows]
    start = min(seconds, default=0)
    requests = [
        (line, _lengths(line, row, "ContextTokens", "GeneratedTokens"), (ticks - start) / 1e7)
        for (line, row), ticks in zip(rows, seconds, strict=True)
    ]
    requests.sort(key=lambda request: request[2])  # stable: equal stamps keep their order
    return [(line, {**lengths, "arrival_time": time}) for line, lengths, time in requests]


def _azure_seconds(line: int, stamp: str | None) -> int:
    """Return a stamp in ticks of 100 ns, of which a datetime, with its 6 decimals, loses one."""
    whole, _, rest = (stamp or "").strip().partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :]  # the traces of 2024 end in +00:00
    try:
        moment = datetime.fromisoformat(whole + (zone or ("" if "+" in whole else "+00:00")))
    except ValueError as error:
        raise PublicTraceError(f"line {line}: TIMESTAMP {stamp!r} is not a time") from error
    return round(moment.timestamp()) * 10_000_000 + int(digits[:7].ljust(7, "0"))


def _lengths(line: int, row: Row, prompt_column: str, output_column: str) -> dict[str, int]:
    lengths = {}
    for name, column in (("prompt_tokens", prompt_column), ("output_tokens", output_column)):
        try:
            lengths[name] = int(row[column])
        except (TypeError, ValueError) as error:
            raise PublicTraceError(
                f"line {line}: {column} must be a whole number, not {row[column]!r}"
            ) from error
    return lengths


def is_mooncake(row: Row) -> bool:
    """Tell whether a JSON row is one of a Mooncake trace."""
    return {"timestamp", "input_length", "output_length"} <= row.keys()


def rows_of_mooncake(rows: Sequence[NumberedRow]) -> list[NumberedRow]:
    """Turn Mooncake's rows into this project's.

    A request shares the blocks that :func:`shared_prefixes` finds. The stamps are as recorded; for
    a trace stamped in coarse steps, ``objectives.traces.spread_arrivals`` spreads them.

    Raises:
        PublicTraceError: When a row lacks a key or holds another type.
    """
    for line, row in rows:
        times_and_lengths = [row.get(k) for k in ("timestamp", "input_length", "output_length")]
        if not all(type(value) in (int, float) for value in times_and_lengths):
            raise PublicTraceError(
                f"line {line}: timestamp, input_length and output_length must be numbers"
            )
        if not isinstance(row.get("hash_ids", []), list):
            raise PublicTraceError(f"line {line}: hash_ids must be a list")
    prefixes = shared_prefixes([row.get("hash_ids", []) for _, row in rows])
    converted: list[NumberedRow] = []
    for (line, row), (prefix_id, n_blocks) in zip(rows, prefixes, strict=True):
        request: dict[str, Any] = {
            "prompt_tokens": row["input_length"],
            "output_tokens": row["output_length"],
            "arrival_time": row["timestamp"] / 1000,
        }
        if prefix_id is not None:
            tokens = min(n_blocks * BLOCK_TOKENS, row["input_length"])
            request |= {"prefix_id": prefix_id, "prefix_tokens": tokens}
        converted.append((line, request))
    return converted


def shared_prefixes(block_lists: Sequence[Sequence[int]]) -> list[tuple[str | None, int]]:
    """Find for each prompt the shared text that it begins with.

    The blocks of all prompts form a tree with the beginning of the prompt as its root. A prompt's
    shared prefix reaches to the last of its leading blocks that another prompt has too. From there
    the branch that most prompts take is followed to where sharing ends; where it ends names the
    prefix. So the turns of one chat, each a continuation of the one before, share one prefix at
    several lengths. Branches that part are told apart: what two of them have in common is lost,
    because a request has one prefix.

    Args:
        block_lists: For each prompt the ids of its blocks in order.

    Returns:
        For each prompt the name of its prefix and the number of shared blocks; (None, 0) when it
        shares none.
    """
    nodes: dict[tuple[int, int], int] = {}  # (parent, block id) -> node; the root is -1
    paths: list[list[int]] = []
    for blocks in block_lists:
        path = [-1]
        for block in blocks:
            path.append(nodes.setdefault((path[-1], block), len(nodes)))
        paths.append(path[1:])
    visits = Counter(node for path in paths for node in path)
    branch: dict[int, int] = {}  # node -> its most visited child that is shared
    for path in paths:
        for node, child in pairwise(path):
            if visits[child] > max(1, visits[branch[node]] if node in branch else 0):
                branch[node] = child
    found: list[tuple[str | None, int]] = []
    for path in paths:
        n_shared = sum(visits[node] > 1 for node in path)  # visits never rise along a path
        end = path[n_shared - 1] if n_shared else -1
        while end in branch:
            end = branch[end]
        found.append((f"branch-{end}", n_shared) if n_shared else (None, 0))
    return found
