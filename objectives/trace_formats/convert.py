"""Rows of public trace formats, turned into rows of this project's JSONL (``docs/traces.md``).

What a format leaves open follows from the file, or the user has to say it:

* The Mooncake traces (Qin et al., FAST 2025) count whole milliseconds, with one hash id for each
  block of 512 tokens; equal leading ids mean an equal beginning of the prompts. Others write the
  same keys in other units, with other blocks, or without ids.
* AIPerf's own files of that kind, with a text in each row, count milliseconds.
* The size of the blocks follows from the lengths of the prompts and the numbers of their ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from objectives.trace_formats.blocks import block_size
from objectives.trace_formats.blocks import shared_prefixes
from objectives.trace_formats.formats import AIPERF_TEXT
from objectives.trace_formats.formats import BAILIAN
from objectives.trace_formats.formats import BAILIAN_BLOCK
from objectives.trace_formats.formats import INDEX
from objectives.trace_formats.formats import MOONCAKE
from objectives.trace_formats.formats import MOONCAKE_BLOCK
from objectives.trace_formats.formats import OPENAI
from objectives.trace_formats.formats import TEXTS
from objectives.trace_formats.formats import PublicTraceError
from objectives.trace_formats.formats import TraceFormat
from objectives.trace_formats.formats import names_of
from objectives.trace_formats.rows import NumberedRow
from objectives.trace_formats.rows import TraceFile
from objectives.trace_formats.rows import as_words
from objectives.trace_formats.rows import shown
from objectives.trace_formats.rows import whole_number
from objectives.trace_formats.stamps import TimeUnit
from objectives.trace_formats.stamps import to_seconds


# Milliseconds a request, on average, below which stamps may as well be seconds: 50 requests/s.
LEAST_GAP_MS = 20


def convert(
    file: TraceFile, trace_format: TraceFormat, time_unit: TimeUnit | None = None
) -> tuple[list[NumberedRow], tuple[str, ...]]:
    """Turn the rows of a public format into this project's.

    Args:
        file: The rows.
        trace_format: Their format.
        time_unit: What numbers in the time's column count, as the user says; None: as the format
            or the file says.

    Returns:
        The rows, in the order of their times where they have any. Rows without a token of prompt
        or of answer, as of failed requests, are left out. Then what a user should know: how many
        were left out, and which columns were not used.

    Raises:
        PublicTraceError: A row is invalid.
        StampError: A time is not one, or its unit is unknown.
    """
    table = _Table(file, trace_format)
    lengths = [table.lengths(line, row) for line, row in file.rows]
    rows = [row for row, request in zip(file.rows, lengths, strict=True) if request is not None]
    requests = [request for request in lengths if request is not None]
    blocks = table.blocks(rows)
    if blocks is not None:
        requests = _with_shared_tokens(requests, blocks, table)
    if table.has_time and rows:
        seconds = table.seconds(rows, requests, blocks, time_unit)
        order = sorted(range(len(rows)), key=seconds.__getitem__)  # stable
        rows = [rows[i] for i in order]
        requests = [{**requests[i], "arrival_time": seconds[i]} for i in order]
    lines = [line for line, _ in rows]
    return list(zip(lines, requests, strict=True)), tuple(_notes(file, len(rows), table))


def _notes(file: TraceFile, n_kept: int, table: _Table) -> Iterator[str]:
    n_left_out = len(file.rows) - n_kept
    if n_left_out:
        yield f"{n_left_out} of {len(file.rows)} rows left out, without prompt or answer"
    if unused := table.unused():
        yield f"not used: {', '.join(unused)}"


class _Table:
    """A file in a format, whose cells are read by the format's names."""

    def __init__(self, file: TraceFile, trace_format: TraceFormat) -> None:
        self._format = trace_format
        self._names = names_of(file)
        self._text = next((t for t in TEXTS if t in self._names), None)
        self._columns = {
            "prompt_tokens": self._names.get(trace_format.prompt, trace_format.prompt),
            "output_tokens": self._names.get(trace_format.output, trace_format.output),
        }
        self.has_time = trace_format.time in self._names

    def unused(self) -> list[str]:
        """Return columns that were not used, though nobody knows that they do not matter."""
        f = self._format
        used = {f.prompt, f.output, f.time, f.blocks, self._text} | f.known | INDEX
        return [as_words(name) for lower, name in self._names.items() if lower not in used]

    def lengths(self, line: int, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return lengths and text of a request; None when it has no prompt or no answer.

        Raises:
            PublicTraceError: A length is missing or not a whole number.
        """
        self._check_turns(line, row)
        request: dict[str, Any] = {}
        text = None if self._text is None else self._cell(row, self._text)
        if isinstance(text, str) and text.strip():
            request["prompt"] = text
        for name, column in self._columns.items():
            cell = row.get(column)
            if name == "prompt_tokens" and "prompt" in request and cell in (None, ""):
                continue
            number = whole_number(cell)
            if number is None:
                raise PublicTraceError(
                    f"line {line}: {column} must be a whole number, not {shown(cell)}"
                )
            if number < 0:
                raise PublicTraceError(f"line {line}: {name} must be at least 1, not {number}")
            request[name] = number
        if 0 in request.values():
            return None
        if self._format in OPENAI and row.get("prefix_id"):
            request |= {key: row[key] for key in ("prefix_id", "prefix_tokens")}
        return request

    def _check_turns(self, line: int, row: Mapping[str, Any]) -> None:
        waits = self._format is MOONCAKE and "delay" in self._names
        if waits and self._cell(row, "delay") not in (None, ""):
            raise PublicTraceError(
                f"line {line}: delay waits for the answer before, which no open load does: give "
                "every row a timestamp"
            )

    def blocks(self, rows: Sequence[NumberedRow]) -> list[Sequence[int]] | None:
        """Return the hash ids of each row; None when the file has none.

        Raises:
            PublicTraceError: They are not a list.
        """
        if self._format.blocks not in self._names:
            return None
        found = [self._cell(row, self._format.blocks) or [] for _, row in rows]
        for (line, _), blocks in zip(rows, found, strict=True):
            if not isinstance(blocks, list) or not all(type(b) in (int, str) for b in blocks):
                raise PublicTraceError(f"line {line}: hash_ids must be a list of ids")
        return found

    def block_tokens(
        self, requests: Sequence[Mapping[str, Any]], blocks: Sequence[Sequence[int]]
    ) -> int:
        """Return the number of tokens that one hash id stands for.

        Raises:
            PublicTraceError: The file does not determine it.
        """
        lengths = [request.get("prompt_tokens", 0) for request in requests]
        if self._format is BAILIAN:
            for length, ids in zip(lengths, blocks, strict=True):
                if (len(ids) - 1) * BAILIAN_BLOCK >= length > 0:
                    raise PublicTraceError(
                        f"{len(ids)} hash_ids for {length} tokens are no blocks of "
                        f"{BAILIAN_BLOCK}: leave hash_ids out"
                    )
            return BAILIAN_BLOCK
        return block_size(lengths, [len(ids) for ids in blocks])

    def seconds(
        self,
        rows: Sequence[NumberedRow],
        requests: Sequence[Mapping[str, Any]],
        blocks: Sequence[Sequence[int]] | None,
        time_unit: TimeUnit | None,
    ) -> list[float]:
        """Return when each request arrives.

        Raises:
            StampError: A time is not one, or its unit is unknown.
        """
        assert self._format.time is not None
        column = self._names[self._format.time]
        stamps = [(line, row.get(column)) for line, row in rows]
        unit = time_unit or self._format.unit
        if self._text == AIPERF_TEXT:
            unit = unit or "ms"
        if unit is None and self._is_mooncakes_own([s for _, s in stamps], requests, blocks):
            unit = "ms"
        return to_seconds(stamps, column, unit)

    def _is_mooncakes_own(
        self,
        stamps: Sequence[Any],
        requests: Sequence[Mapping[str, Any]],
        blocks: Sequence[Sequence[int]] | None,
    ) -> bool:
        """Return whether a file has all that Mooncake's own have, and so counts milliseconds."""
        if not all(type(stamp) is int for stamp in stamps):
            return False
        if blocks is None or not all(blocks):
            return False
        in_512 = all(
            len(ids) == -(-request.get("prompt_tokens", 0) // MOONCAKE_BLOCK)
            for request, ids in zip(requests, blocks, strict=True)
        )
        return in_512 and max(stamps) - min(stamps) >= LEAST_GAP_MS * (len(stamps) - 1)

    def _cell(self, row: Mapping[str, Any], lower: str | None) -> Any:
        return None if lower is None else row.get(self._names.get(lower, lower))


def _with_shared_tokens(
    requests: Sequence[dict[str, Any]], blocks: Sequence[Sequence[int]], table: _Table
) -> list[dict[str, Any]]:
    """Return the requests with the prefixes that their hash ids say; a text needs none."""
    blocks = [[] if "prompt" in r else ids for r, ids in zip(requests, blocks, strict=True)]
    prefixes = shared_prefixes(blocks)
    if all(prefix_id is None for prefix_id, _ in prefixes):
        return list(requests)
    size = table.block_tokens(requests, blocks)
    shared = []
    for request, (prefix_id, n_blocks) in zip(requests, prefixes, strict=True):
        if prefix_id is not None:
            tokens = min(n_blocks * size, request["prompt_tokens"])
            request = {**request, "prefix_id": prefix_id, "prefix_tokens": tokens}
        shared.append(request)
    return shared
