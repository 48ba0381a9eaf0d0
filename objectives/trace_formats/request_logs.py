"""Logs of an OpenAI-compatible server or gateway: a request a row, with the usage it reported.

The usage stands at the top of a row, or within its ``response`` (as in the results of the batch
interface, in its ``body``). Where the messages of the request are there too, they say what
prompts share: each message counts as a block, so that equal first messages are a shared prefix.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from objectives.trace_formats.blocks import shared_prefixes
from objectives.trace_formats.formats import CREATED
from objectives.trace_formats.rows import Row
from objectives.trace_formats.rows import TraceFile
from objectives.trace_formats.rows import whole_number


_WITHIN = ("response", "request", "body")
_TIMES = (CREATED, "timestamp", "created_at")
_USAGE = {
    "prompt_tokens": ("prompt_tokens", "input_tokens"),
    "completion_tokens": ("completion_tokens", "output_tokens"),
}


def flat_logs(file: TraceFile) -> TraceFile:
    """Return a file of logs with the columns of OpenAI's usage; any other as it is.

    Rows without usage, as of failed requests, have no tokens then, and are left out further on.
    """
    found = [(line, list(_objects(row))) for line, row in file.rows]
    if not any("usage" in each for _, objects in found for each in objects):
        return file
    messages = [_first(objects, ("messages",)) for _, objects in found]
    flat = [_flat(objects) for _, objects in found]
    _add_prefixes(flat, messages)
    return TraceFile((), [(line, row) for (line, _), row in zip(found, flat, strict=True)])


def _objects(row: Row) -> Iterator[Row]:
    """Yield a row, and the requests and responses in it."""
    yield row
    for name in _WITHIN:
        if isinstance(inner := row.get(name), Mapping):
            yield from _objects(inner)


def _first(objects: Sequence[Row], names: Sequence[str]) -> Any:
    return next((o[n] for n in names for o in objects if o.get(n) is not None), None)


def _flat(objects: Sequence[Row]) -> dict[str, Any]:
    usage = _first(objects, ("usage",))
    usage = usage if isinstance(usage, Mapping) else {}
    flat: dict[str, Any] = {
        name: next((usage[key] for key in keys if key in usage), 0)
        for name, keys in _USAGE.items()
    }
    if (time := _first(objects, _TIMES)) is not None:
        flat[CREATED] = time
    prompt = _first(objects, ("prompt",))
    if isinstance(prompt, str):
        flat["prompt"] = prompt
    return flat


def _add_prefixes(rows: Sequence[dict[str, Any]], messages: Sequence[Any]) -> None:
    """Add to each row the prefix that its messages share with another's.

    A message takes the share of the prompt's tokens that it has of its characters.
    """
    texts = [
        [json.dumps(message, sort_keys=True) for message in each]
        if isinstance(each, list) and "prompt" not in row
        else []
        for row, each in zip(rows, messages, strict=True)
    ]
    for row, each, (name, n) in zip(rows, texts, shared_prefixes(texts), strict=True):
        tokens = whole_number(row["prompt_tokens"])
        if name is None or not tokens:
            continue
        shared, whole = sum(map(len, each[:n])), sum(map(len, each))
        row |= {"prefix_id": name, "prefix_tokens": max(1, tokens * shared // whole)}
