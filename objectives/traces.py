"""Request traces: how long prompts and answers are, when requests come, and what they share.

A trace holds no model's tokens and, as a rule, no text: prompts of the recorded lengths are made
by ``objectives.prompts`` with the tokenizer of the model that is tuned. The format is JSONL,
described in ``docs/traces.md``; ``objectives.trace_formats`` reads files and turns public formats
into this one.

The four bundled traces stand for the applications of the paper (section V-A): text-to-SQL, chat,
classification and recommendation. ``objectives.synthetic_traces`` makes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from objectives.trace_formats.chats import CHATS
from objectives.trace_formats.chats import chat_rows
from objectives.trace_formats.convert import convert
from objectives.trace_formats.formats import describe_formats
from objectives.trace_formats.formats import find_format
from objectives.trace_formats.formats import names_of
from objectives.trace_formats.request_logs import flat_logs
from objectives.trace_formats.rows import TABLES
from objectives.trace_formats.rows import NumberedRow
from objectives.trace_formats.rows import TraceFile
from objectives.trace_formats.rows import as_words
from objectives.trace_formats.rows import kind_of
from objectives.trace_formats.rows import read_file
from objectives.trace_formats.rows import shown
from objectives.trace_formats.rows import whole_number
from objectives.trace_formats.stamps import UNITS
from objectives.trace_formats.stamps import TimeUnit
from objectives.trace_formats.stamps import numbers_to_seconds
from objectives.trace_formats.stamps import unit_from_1970


BUNDLED = ("sql", "bot", "cls", "rec")
LATEST_ARRIVAL = 1e15  # seconds; no clock of a trace counts so far
MOST_TOKENS = 10**8  # of a prompt or an answer: no model takes as many

_KEYS: Mapping[str, tuple[Any, str]] = {
    "prompt_tokens": (int, "a whole number"),
    "output_tokens": (int, "a whole number"),
    "arrival_time": (int | float, "a number of seconds"),
    "prefix_id": (str, "text"),
    "prefix_tokens": (int, "a whole number"),
    "prompt": (str, "text"),
    "answer": (str, "text"),
}


class TraceError(ValueError):
    """A trace cannot be read or used; the message says what to do."""


class _NoSuchTrace(TraceError):
    """There is neither a bundled trace nor a file of that name."""


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """One request of a trace.

    Attributes:
        prompt_tokens: Length of the prompt, from 1 to MOST_TOKENS; 0 only for a request with text
            whose tokens are not counted yet (``objectives.prompts.count_texts`` counts them).
        output_tokens: Length of the answer, from 1 to MOST_TOKENS; 0 only for a request with a
            recorded answer whose tokens are not counted yet.
        arrival_time: Seconds, from 0 to LATEST_ARRIVAL; None when the trace has no times.
        prefix_id: Requests with the same id begin with the same text.
        prefix_tokens: Length of that text in this prompt, <= prompt_tokens. Of two requests with
            the same id, the shorter prefix is the beginning of the longer.
        prompt: The prompt itself, where the trace holds it.
        answer: The recorded answer, until its tokens are counted: nothing else is done with it.

    Raises:
        TraceError: When a value is out of its range.
    """

    prompt_tokens: int
    output_tokens: int
    arrival_time: float | None = None
    prefix_id: str | None = None
    prefix_tokens: int = 0
    prompt: str | None = None
    answer: str | None = None

    def __post_init__(self) -> None:
        if self.prompt_tokens < 1 and not (self.prompt_tokens == 0 and self.prompt):
            raise TraceError(f"prompt_tokens must be at least 1, not {self.prompt_tokens}")
        if self.output_tokens < 1 and not (self.output_tokens == 0 and self.answer):
            raise TraceError(f"output_tokens must be at least 1, not {self.output_tokens}")
        for name, length in (
            ("prompt_tokens", self.prompt_tokens),
            ("output_tokens", self.output_tokens),
        ):
            if length > MOST_TOKENS:
                raise TraceError(f"{name} must be at most {MOST_TOKENS}")
        for name, text in (
            ("prompt", self.prompt),
            ("prefix_id", self.prefix_id),
            ("answer", self.answer),
        ):
            if text is not None and _is_broken(text):
                raise TraceError(
                    f"{name} holds half a character (a lone surrogate), which no server takes"
                )
        if self.arrival_time is not None and not 0 <= self.arrival_time <= LATEST_ARRIVAL:
            raise TraceError(
                f"arrival_time must be >= 0 seconds and below {LATEST_ARRIVAL:g}, "
                f"not {shown(self.arrival_time)}"
            )
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

    Attributes:
        name: What it is called.
        requests: At least one.
        notes: What a user should know of how it was read, as "not used: NumImages".

    Raises:
        TraceError: When there is no request, when only some have an arrival time, or when the
            arrival times decrease.
    """

    name: str
    requests: tuple[TraceRequest, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

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
    def is_counted(self) -> bool:
        """Return whether every length is known; else a model's tokenizer has to count texts."""
        return all(r.prompt_tokens and r.output_tokens for r in self.requests)

    @property
    def has_arrival_times(self) -> bool:
        """Return whether the trace can be replayed at its own pace."""
        return self.requests[0].arrival_time is not None


def load_trace(name_or_path: str | Path, time_unit: TimeUnit | None = None) -> Trace:
    """Load a bundled trace by name, or a file in any format that ``docs/traces.md`` lists.

    Args:
        name_or_path: ``sql``, ``bot``, ``cls``, ``rec``, or the path of a file.
        time_unit: What the times of a file count, where its format leaves it open.

    Returns:
        The trace, named after the bundled trace or the file.

    Raises:
        TraceError: When there is no such trace, or the file cannot be understood.
    """
    if time_unit is not None and time_unit not in UNITS:
        raise TraceError(f"a time unit is one of {', '.join(UNITS)}, not {time_unit!r}")
    if str(name_or_path).lower() in BUNDLED:
        name = str(name_or_path).lower()
        path = bundled_folder() / f"{name}.jsonl"
    else:
        path = Path(name_or_path)
        name = _name_of(path)
    try:
        return _load_file(path, name, time_unit)
    except _NoSuchTrace:
        raise
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or a row that is wrong
        raise TraceError(f"{path}: {error}") from error


def _load_file(path: Path, name: str, time_unit: TimeUnit | None) -> Trace:
    if not path.is_file():
        raise _NoSuchTrace(
            f"no trace {str(path)!r}: give one of {', '.join(BUNDLED)}, "
            "or the path of a .jsonl, .json or .csv file"
        )
    kind = kind_of(path)
    if kind is None:
        raise TraceError(
            "a trace is a .jsonl, .json or .csv file, or an .ndjson or .tsv file, plain or .gz"
        )
    rows, notes = _own_rows(read_file(path, kind), kind, time_unit)
    requests = []
    for number, row in rows:
        try:
            requests.append(_request(row))
        except ValueError as error:
            raise TraceError(f"line {number}: {error}") from error
    if not requests:
        raise TraceError(f"trace {name!r} holds no request" + "".join(f" ({n})" for n in notes))
    return Trace(name, tuple(requests), notes)


def write_trace(trace: Trace, path: str | Path) -> None:
    """Write a trace as ``as_jsonl`` gives it."""
    Path(path).write_text(as_jsonl(trace), encoding="utf-8")


def as_jsonl(trace: Trace) -> str:
    """Return a trace as JSONL, one request a line, leaving out what has its default value."""
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
        if request.output_tokens == 0:
            del row["output_tokens"]
            row["answer"] = request.answer
        lines.append(json.dumps(row, ensure_ascii=False))
    return "\n".join(lines) + "\n"


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
    timed = tuple(replace(r, arrival_time=float(t)) for r, t in requests)
    return replace(trace, requests=timed)


def bundled_folder() -> Path:
    """Return the folder of the bundled traces, in an installed package or in the source tree."""
    installed = Path(__file__).parent / "bundled_traces"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "traces"


def _name_of(path: Path) -> str:
    """Return a file's name without its endings, fit to be shown and stored."""
    stem = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return Path(stem).stem.encode("utf-8", "replace").decode()


def _own_rows(
    file: TraceFile, kind: str, time_unit: TimeUnit | None
) -> tuple[Sequence[NumberedRow], tuple[str, ...]]:
    """Return the rows of a file in this project's format, and notes on how they were made."""
    file = flat_logs(file)
    names = names_of(file)
    trace_format = find_format(names)
    if trace_format is not None:
        return convert(file, trace_format, time_unit)
    if kind not in TABLES and (key := next((key for key in CHATS if key in names), None)):
        return chat_rows(file, names[key])
    if kind in TABLES:
        if "output_tokens" not in names or not {"prompt_tokens", "prompt"} & names.keys():
            columns = ", ".join(map(shown, sorted(file.columns)[:20]))
            formats = describe_formats()
            raise TraceError(f"a CSV trace has the columns {formats}, not {columns}")
        unused = [as_words(name) for lower, name in names.items() if lower not in _KEYS]
        rows = [(line, _typed(row)) for line, row in file.rows]
        notes = (f"not used: {', '.join(unused)}",) if unused else ()
        return _in_seconds(rows, time_unit), notes
    return _in_seconds(file.rows, time_unit), ()


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a table in this project's columns, its texts as numbers where they are."""
    typed: dict[str, Any] = {}
    for name, cell in row.items():
        key = name.lower()
        if key not in _KEYS or cell == "":
            continue
        number: float | None = None
        if key == "arrival_time":
            number = _float(cell)
        elif key in ("prompt_tokens", "output_tokens", "prefix_tokens"):
            number = whole_number(cell)
        typed[key] = cell if number is None else number
    return typed


def _float(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _in_seconds(rows: Sequence[NumberedRow], time_unit: TimeUnit | None) -> Sequence[NumberedRow]:
    """Return rows with times in seconds, which they are unless the user says otherwise."""
    stamps = [
        (line, row["arrival_time"])
        for line, row in rows
        if isinstance(row.get("arrival_time"), int | float)
    ]
    if time_unit in (None, "s"):
        found = unit_from_1970([stamp for _, stamp in stamps])
        if found not in (None, "s"):
            raise TraceError(
                f"arrival_time is in seconds, and these count {found} since 1970: "
                f"add --trace-time-unit {found} (time_unit={found!r} in Python)"
            )
        return rows
    seconds = dict(
        zip(
            (line for line, _ in stamps),
            numbers_to_seconds(stamps, "arrival_time", time_unit),
            strict=True,
        )
    )
    return [
        (line, {**row, "arrival_time": seconds[line]} if line in seconds else row)
        for line, row in rows
    ]


def _request(row: Mapping[str, Any]) -> TraceRequest:
    """Make a request from a row of this project's JSONL, checking names and types."""
    if unknown := sorted(set(row) - set(_KEYS)):
        wrong = ", ".join(
            key if key.isidentifier() and len(key) < 60 else shown(key) for key in unknown[:20]
        )
        raise TraceError(f"unknown keys {wrong}; known are {', '.join(_KEYS)}")
    texts = {"prompt_tokens": "prompt", "output_tokens": "answer"}
    if missing := [key for key, text in texts.items() if key not in row and text not in row]:
        raise TraceError(f"{' and '.join(missing)} missing")
    for key, value in row.items():
        allowed, words = _KEYS[key]
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise TraceError(f"{key} must be {words}, not {shown(value)}")
    if "output_tokens" in row:
        row = {key: value for key, value in row.items() if key != "answer"}
    return TraceRequest(**{"prompt_tokens": 0, "output_tokens": 0, **row})


def _is_broken(text: str) -> bool:
    """Return whether a text cannot be sent: JSON can write half of a surrogate pair alone."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
