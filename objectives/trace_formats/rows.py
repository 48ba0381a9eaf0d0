"""Files of rows: from bytes to one mapping a row, whichever program wrote them.

Tables (CSV, separated by commas, semicolons, tabs or bars) and JSON, one object a line or a list
of objects, in UTF-8 or UTF-16, plain or compressed with gzip. What the columns and keys mean is
not known here.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import json
import re
import reprlib
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import TextIO


TABLES = (".csv", ".tsv")
JSON_LINES = (".jsonl", ".ndjson", ".json")
_SEPARATORS = ",;\t|"
_BLANKS = re.compile(r"\s*")
_LFS_POINTER = "version https://git-lfs"
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb": "utf-8-sig"}

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60

Row = Mapping[str, Any]
NumberedRow = tuple[int, Row]  # the line on which the row begins, from 1, and the row


class TraceFileError(ValueError):
    """A file is neither a table nor JSON, or a row is broken; the message says where."""


def kind_of(path: Path) -> str | None:
    """Return the suffix that says what a file is, without a ``.gz``; None for any other."""
    name = path.name.lower().removesuffix(".gz")
    return next((s for s in (*TABLES, *JSON_LINES) if name.endswith(s)), None)


@dataclass(frozen=True, slots=True)
class TraceFile:
    """What a file holds.

    Attributes:
        columns: The names in a table's header; empty for JSON.
        rows: The rows with their lines.
    """

    columns: tuple[str, ...]
    rows: list[NumberedRow]


def read_file(path: Path, kind: str) -> TraceFile:
    """Read all rows of a file.

    Args:
        path: The file.
        kind: What ``kind_of`` returns for it.

    Returns:
        The rows. The cells of a table are texts without blanks around them; a column without a
        name is left out.

    Raises:
        TraceFileError: The file or one of its rows cannot be read.
        OSError: The file cannot be opened.
    """
    try:
        with _open_text(path) as stream:
            first = stream.readline()
            if first.startswith(_LFS_POINTER):
                raise TraceFileError("Git LFS left a pointer in its place: run git lfs pull")
            lines = itertools.chain([first], stream)
            if kind in TABLES:
                return _table(lines)
            if first.lstrip("\ufeff").lstrip().startswith("["):
                return TraceFile((), list(_rows_of_list("".join(lines))))
            return TraceFile((), list(_rows_of_lines(lines)))
    except UnicodeDecodeError as error:
        raise TraceFileError(f"not UTF-8: {error}") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TraceFileError(f"the compressed file is damaged ({error})") from error


def shown(value: object) -> str:
    """Return a value for a message: never longer than a line."""
    return _SHORT.repr(value)


def as_words(name: str) -> str:
    """Return the name of a column for a message, on one line."""
    return " ".join(name.split())[:60]


@contextlib.contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        with gzip.open(raw) if packed else contextlib.nullcontext(raw) as binary:
            encoding = _BYTE_ORDER_MARKS.get(binary.peek(2)[:2], "utf-8")
            yield io.TextIOWrapper(binary, encoding=encoding, newline="")


def _table(lines: Iterator[str]) -> TraceFile:
    numbered = enumerate(lines, start=1)
    number, header = next(((n, line) for n, line in numbered if line.strip()), (1, ""))
    separator = max(_SEPARATORS, key=header.count)
    rest = (line for _, line in numbered)
    limit = csv.field_size_limit(sys.maxsize)  # a setting of the whole process
    try:
        rows = _cells(itertools.chain([header], rest), separator, number)
        _, columns = next(rows, (1, []))
        _check_columns(columns)
        return TraceFile(tuple(filter(None, columns)), list(_under_header(rows, columns)))
    finally:
        csv.field_size_limit(limit)


def _cells(
    lines: Iterator[str], separator: str, first_line: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each row that has any, with the line on which it begins."""
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        line = reader.line_num + first_line
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise TraceFileError(f"line {line}: {_quotation_fault(str(error))}") from error
        if any(cells):
            yield line, cells


def _quotation_fault(words: str) -> str:
    if "unexpected end of data" in words:
        return "a quotation that begins here does not end"
    return f"a row that is no CSV ({words})"


def _check_columns(columns: list[str]) -> None:
    counts = Counter(name.lower() for name in columns if name)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise TraceFileError(f"more than one column has the name {', '.join(twice)}")


def _under_header(
    rows: Iterator[tuple[int, list[str]]], columns: list[str]
) -> Iterator[NumberedRow]:
    for line, cells in rows:
        if any(cells[len(columns) :]):
            raise TraceFileError(f"line {line}: {len(cells)} cells under {len(columns)} columns")
        yield line, {name: cell for name, cell in zip(columns, cells, strict=False) if name}


def _rows_of_lines(lines: Iterator[str]) -> Iterator[NumberedRow]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _parsed(line, number)
        if not isinstance(row, dict):
            raise TraceFileError(f"line {number}: not a JSON object")
        yield number, row


def _rows_of_list(text: str) -> Iterator[NumberedRow]:
    """Yield the objects of one JSON list, each with the line on which it begins."""
    begin, line, counted = _next_word(text, text.index("[") + 1), 1, 0
    while not text.startswith("]", begin):
        line, counted = line + text.count("\n", counted, begin), begin
        row, end = _parsed(text, line, begin)
        if not isinstance(row, dict):
            raise TraceFileError(f"line {line}: not a JSON object")
        yield line, row
        begin = _next_word(text, end)
        if text.startswith(",", begin):
            begin = _next_word(text, begin + 1)
        elif not text.startswith("]", begin):
            raise TraceFileError(f"line {line}: a list that does not go on after this object")
    if text[begin + 1 :].strip():
        raise TraceFileError(f"line {line}: the file goes on after the list")


def _next_word(text: str, begin: int) -> int:
    match = _BLANKS.match(text, begin)
    assert match is not None
    return match.end()


def _parsed(text: str, line: int, begin: int | None = None) -> Any:
    """Return a line's JSON, or the JSON from a position of a text on and where it ends."""
    try:
        if begin is not None:
            return _DECODER.raw_decode(text, begin)
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise TraceFileError(f"line {line}: not JSON ({error.msg})") from error
    except RecursionError as error:
        raise TraceFileError(
            f"line {line}: not a JSON object, but brackets in brackets"
        ) from error
    except _Repetition as error:
        raise TraceFileError(f"line {line}: the key {shown(error.args[0])} comes twice") from error
    except ValueError as error:  # Python refuses to read a number of thousands of digits
        raise TraceFileError(f"line {line}: a number of too many digits") from error


class _Repetition(Exception):
    """A key comes twice in one object."""


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise _Repetition(counts.most_common(1)[0][0])
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repetition)


def whole_number(value: Any) -> int | None:
    """Return the whole number in a cell or a JSON value, also as ``5.0``; None for any other."""
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and len(value) < 19:
            return int(value)
        match = re.fullmatch(r"[+-]?[0-9]{1,18}(\.0*)?", value)
        return None if match is None else int(value.partition(".")[0])
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
