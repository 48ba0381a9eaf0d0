"""Request traces: how long prompts and answers are, when requests come, and what they share.

A trace holds no model's tokens and, as a rule, no text: prompts of the recorded lengths are made
by ``objectives.prompts`` with the tokenizer of the model that is tuned. The format is JSONL,
described in ``docs/traces.md``; ``objectives.public_traces`` turns public formats into it.

The four bundled traces stand for the applications of the paper (section V-A): text-to-SQL, chat,
classification and recommendation. ``objectives.synthetic_traces`` makes them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from objectives import public_traces
from objectives.public_traces import NumberedRow


BUNDLED = ("sql", "bot", "cls", "rec")

_KEYS: Mapping[str, tuple[Any, str]] = {
    "prompt_tokens": (int, "a whole number"),
    "output_tokens": (int, "a whole number"),
    "arrival_time": (int | float, "a number of seconds"),
    "prefix_id": (str, "text"),
    "prefix_tokens": (int, "a whole number"),
    "prompt": (str, "text"),
}


class TraceError(ValueError):
    """A trace cannot be read or used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """One request of a trace.

    Attributes:
        prompt_tokens: Length of the prompt, >= 1; 0 only for a request with text whose tokens are
            not counted yet (``objectives.prompts.count_tokens`` counts them).
        output_tokens: Length of the answer, >= 1.
        arrival_time: Seconds, >= 0; None when the trace tells no times.
        prefix_id: Requests with the same id begin with the same text.
        prefix_tokens: Length of that text in this prompt, <= prompt_tokens. Of two requests with
            the same id, the shorter prefix is the beginning of the longer.
        prompt: The prompt itself, where the trace holds it.

    Raises:
        TraceError: When a value is out of its range.
    """

    prompt_tokens: int
    output_tokens: int
    arrival_time: float | None = None
    prefix_id: str | None = None
    prefix_tokens: int = 0
    prompt: str | None = None

    def __post_init__(self) -> None:
        if self.prompt_tokens < 1 and not (self.prompt_tokens == 0 and self.prompt):
            raise TraceError(f"prompt_tokens must be at least 1, not {self.prompt_tokens}")
        if self.output_tokens < 1:
            raise TraceError(f"output_tokens must be at least 1, not {self.output_tokens}")
        if self.arrival_time is not None and not 0 <= self.arrival_time < math.inf:
            raise TraceError(f"arrival_time must be >= 0 seconds, not {self.arrival_time}")
        if (self.prefix_id is None) != (self.prefix_tokens == 0):
            raise TraceError("prefix_id and a positive prefix_tokens go together")
        if not 0 <= self.prefix_tokens <= self.prompt_tokens:
            raise TraceError(
                f"prefix_tokens must be between 0 and prompt_tokens = {self.prompt_tokens}, "
                f"not {self.prefix_tokens}"
            )
        if self.prompt is not None and self.prefix_id is not None:
            raise TraceError(
                "a request with its own text shares what its text shares: no prefix_id"
            )


@dataclass(frozen=True, slots=True)
class Trace:
    """A named sequence of requests, in the order in which they are sent.

    Raises:
        TraceError: When there is no request, when only some have an arrival time, or when the
            arrival times decrease.
    """

    name: str
    requests: tuple[TraceRequest, ...]

    def __post_init__(self) -> None:
        if not self.requests:
            raise TraceError(f"trace {self.name!r} holds no request")
        times = [r.arrival_time for r in self.requests if r.arrival_time is not None]
        if times and len(times) != len(self.requests):
            raise TraceError(
                f"trace {self.name!r}: {len(times)} of {len(self.requests)} requests have an "
                "arrival_time; give one to all or to none"
            )
        if any(later < earlier for earlier, later in pairwise(times)):
            raise TraceError(f"trace {self.name!r}: arrival times must not decrease")

    @property
    def has_arrival_times(self) -> bool:
        """Whether the trace can be replayed at its own pace."""
        return self.requests[0].arrival_time is not None


def load_trace(name_or_path: str | Path) -> Trace:
    """Load a bundled trace by name, or a file in any format this module knows.

    Args:
        name_or_path: ``sql``, ``bot``, ``cls``, ``rec``, or the path of a ``.jsonl`` or ``.csv``.

    Returns:
        The trace, named after the bundled trace or the file.

    Raises:
        TraceError: When there is no such trace, or the file cannot be understood.
    """
    if str(name_or_path).lower() in BUNDLED:
        name = str(name_or_path).lower()
        path = bundled_folder() / f"{name}.jsonl"
    else:
        path = Path(name_or_path)
        name = path.stem
    if not path.is_file():
        raise TraceError(
            f"no trace {str(name_or_path)!r}: give one of {', '.join(BUNDLED)}, "
            "or the path of a .jsonl or .csv file"
        )
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", ".csv"):
        raise TraceError(f"{path}: a trace is a .jsonl or .csv file")
    try:
        text = path.read_text(encoding="utf-8-sig")
        requests = []
        for number, row in _numbered_rows(text, suffix):
            try:
                requests.append(_request(row))
            except ValueError as error:
                raise TraceError(f"line {number}: {error}") from error
        return Trace(name, tuple(requests))
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or a row that is wrong
        raise TraceError(f"{path}: {error}") from error


def write_trace(trace: Trace, path: str | Path) -> None:
    """Write a trace as JSONL, one request a line, leaving out what has its default value."""
    lines = []
    for request in trace.requests:
        row: dict[str, Any] = {
            "prompt_tokens": request.prompt_tokens,
            "output_tokens": request.output_tokens,
        }
        if request.arrival_time is not None:
            row["arrival_time"] = request.arrival_time
        if request.prefix_id is not None:
            row |= {"prefix_id": request.prefix_id, "prefix_tokens": request.prefix_tokens}
        if request.prompt is not None:
            row["prompt"] = request.prompt
            if request.prompt_tokens == 0:
                del row["prompt_tokens"]
        lines.append(json.dumps(row, ensure_ascii=False))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def spread_arrivals(trace: Trace, seed: int = 0) -> Trace:
    """Spread requests that carry the same stamp evenly at random over the time to the next stamp.

    The Mooncake conversation trace is stamped in steps of about three seconds; replayed as it is,
    dozens of requests come at once every three seconds, which no real service sees.

    Args:
        trace: A trace with arrival times.
        seed: Seed of the generator.

    Returns:
        The same requests in the same order with times that rise within each step. The last step
        is as long as the median of the others.

    Raises:
        TraceError: When the trace has no arrival times, or only one stamp.
    """
    if not trace.has_arrival_times:
        raise TraceError(f"trace {trace.name!r} has no arrival times to spread")
    times = np.array([request.arrival_time for request in trace.requests], dtype=np.float64)
    stamps, counts = np.unique(times, return_counts=True)
    if len(stamps) < 2:
        raise TraceError(f"trace {trace.name!r} has a single time stamp, nothing tells its step")
    steps = np.diff(stamps)
    steps = np.append(steps, np.median(steps))
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([np.sort(rng.random(count)) for count in counts])
    spread = times + offsets * np.repeat(steps, counts)
    requests = zip(trace.requests, spread, strict=True)
    return Trace(trace.name, tuple(replace(r, arrival_time=float(t)) for r, t in requests))


def bundled_folder() -> Path:
    """Return the folder of the bundled traces, in an installed package or in the source tree."""
    installed = Path(__file__).parent / "bundled_traces"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "traces"


def _numbered_rows(text: str, suffix: str) -> list[NumberedRow]:
    """Turn the text of a file in any known format into rows of this project's JSONL."""
    if suffix == ".csv":
        return public_traces.rows_of_csv(text)
    rows: list[NumberedRow] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise TraceError(f"line {number}: not JSON ({error.msg})") from error
        if not isinstance(row, dict):
            raise TraceError(f"line {number}: not a JSON object")
        rows.append((number, row))
    if rows and public_traces.is_mooncake(rows[0][1]):
        return public_traces.rows_of_mooncake(rows)
    return rows


def _request(row: Mapping[str, Any]) -> TraceRequest:
    """Make a request of a row of this project's JSONL, checking names and types."""
    if unknown := sorted(set(row) - set(_KEYS)):
        raise TraceError(f"unknown keys {', '.join(unknown)}; known are {', '.join(_KEYS)}")
    required = ("output_tokens",) if "prompt" in row else ("prompt_tokens", "output_tokens")
    if missing := [key for key in required if key not in row]:
        raise TraceError(f"{' and '.join(missing)} missing")
    for key, value in row.items():
        allowed, words = _KEYS[key]
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise TraceError(f"{key} must be {words}, not {value!r}")
    return TraceRequest(**{"prompt_tokens": 0, **row})
