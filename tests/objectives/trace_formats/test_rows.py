"""Files as spreadsheets, databases and shells write them."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from objectives.trace_formats.rows import TraceFile
from objectives.trace_formats.rows import TraceFileError
from objectives.trace_formats.rows import kind_of
from objectives.trace_formats.rows import read_file
from objectives.trace_formats.rows import shown
from objectives.trace_formats.rows import whole_number


def read(folder: Path, name: str, content: str | bytes) -> TraceFile:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    kind = kind_of(path)
    assert kind is not None
    return read_file(path, kind)


TABLE = [(2, {"a": "1", "b c": "2"}), (3, {"a": "3", "b c": "4"})]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "a,b c\n1,2\n3,4\n"),
        ("t.csv", "a,b c\r\n1,2\r\n3,4"),
        ("t.csv", "a,b c\r1,2\r3,4\r"),
        ("T.CSV", '"a","b c"\n"1","2"\n"3","4"\n'),
        ("t.csv", " a , b c\n1, 2 \n 3,4\n"),
        ("t.csv", "a;b c\n1;2\n3;4\n"),
        ("t.tsv", "a\tb c\n1\t2\n3\t4\n"),
        ("t.csv", "a|b c\n1|2\n3|4\n"),
        ("t.csv", "a,b c,\n1,2,\n3,4,\n"),  # a column that a spreadsheet left empty
        ("t.csv", "\ufeffa,b c\n1,2\n3,4\n"),
        ("t.csv", "a,b c\n1,2\n3,4\n".encode("utf-16")),
        ("t.csv", b"\xfe\xff" + "a,b c\n1,2\n3,4\n".encode("utf-16-be")),
        ("t.csv.gz", gzip.compress(b"a,b c\n1,2\n3,4\n", mtime=0)),
        ("t.csv", gzip.compress(b"\xef\xbb\xbfa,b c\n1,2\n3,4\n", mtime=0)),
    ],
)
def test_a_table_is_the_same_however_it_is_written(
    tmp_path: Path, name: str, content: str | bytes
) -> None:
    assert read(tmp_path, name, content) == TraceFile(("a", "b c"), TABLE)


def test_lines_are_counted_through_blank_lines_and_quoted_line_ends(tmp_path: Path) -> None:
    file = read(tmp_path, "t.csv", '\n\na,b\n\n1,"x\ny"\n\n,\n2,z\n')
    assert file.rows == [(5, {"a": "1", "b": "x\ny"}), (9, {"a": "2", "b": "z"})]


def test_an_index_without_a_name_is_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "t.csv", ",a\n0,1\n1,2\n") == TraceFile(
        ("a",), [(2, {"a": "1"}), (3, {"a": "2"})]
    )


def test_a_field_may_be_as_long_as_it_likes(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    file = read(tmp_path, "t.csv", "a,b\n1," + "x" * 300_000 + "\n")
    assert len(file.rows[0][1]["b"]) == 300_000
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("content", ["", "\n \n", "a,b\n"])
def test_a_table_without_rows_has_none(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, "t.csv", content).rows == []


ROWS = [(1, {"a": 1}), (3, {"a": "é\u2028"})]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", '{"a": 1}\n\n{"a": "é\u2028"}'),
        ("t.ndjson", '\ufeff{"a": 1}\r\n\r\n{"a": "é\u2028"}\r\n'),
        ("t.jsonl", '{"a": 1}\r \r{"a": "é\u2028"}\r'),
        ("t.jsonl", '{"a": 1}\n\n{"a": "é\u2028"}'.encode("utf-16")),
        ("t.JSONL.gz", gzip.compress('{"a": 1}\n\n{"a": "é\u2028"}'.encode(), mtime=0)),
    ],
)
def test_json_lines_are_the_same_however_they_are_written(
    tmp_path: Path, name: str, content: str | bytes
) -> None:
    assert read(tmp_path, name, content) == TraceFile((), ROWS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", 'a,b\n1,"open\n' + "1,2\n" * 40_000, "line 2: a quotation that begins here"),
        ("t.csv", 'a,b\n1,2\n1,"x"y\n', "line 3: a row that is no CSV"),
        ("t.csv", "a,b\n1,2\n1,2,3\n", "line 3: 3 cells under 2 columns"),
        ("t.csv", "a,b,A\n1,2,3\n", "more than one column has the name a"),
        ("t.csv", b"a,b\n1,\xe9\n", "not UTF-8: 'utf-8' codec can't decode byte 0xe9"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-5], "the compressed file is damaged"),
        ("t.csv.gz", gzip.compress(b"a,b\n" * 99, mtime=0)[:12] + b"\0" * 30, "file is damaged"),
        (
            "t.jsonl",
            '{"a": 1}\n{"a": 1, "b": {"c": 1, "c": 2}}',
            "line 2: the key 'c' comes twice",
        ),
        ("t.csv", "version https://git-lfs.github.com/spec/v1\nsize 9\n", "run git lfs pull"),
        ("t.jsonl", "[" * 100_000, "line 1: not a JSON object, but brackets"),
        ("t.jsonl", '{"a": ' + "9" * 5000 + "}", "line 1: a number of too many digits"),
        ("t.jsonl", '[{"a": 1}, 2]', "line 1: not a JSON object"),
        ("t.json", '[{"a": 1},\n{"a": 2} {"a": 3}]', "line 2: a list that does not go on"),
        ("t.json", '[\n{"a": 1},\n', "line 3: not JSON"),
        ("t.json", '[{"a": 1}]\n[]', "line 1: the file goes on after the list"),
        ("t.json", '[{"a": 1},\n {"b": 1, "b": 2}]', "line 2: the key 'b' comes twice"),
        ("t.jsonl", '{\n "a": 1\n}', "line 1: not JSON"),
        ("t.jsonl", b'{"a": "\xff"}', "not UTF-8"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(TraceFileError, match=message) as caught:
        read(tmp_path, name, content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.csv", ".csv"), ("a.b.TSV.GZ", ".tsv"), ("a.jsonl", ".jsonl"), ("a.ndjson", ".ndjson")],
)
def test_the_ending_tells_the_kind(name: str, kind: str) -> None:
    assert kind_of(Path(name)) == kind


@pytest.mark.parametrize("name", ["a.parquet", "a.txt", "csv", "a.csv.zst", "a.gz"])
def test_other_endings_tell_none(name: str) -> None:
    assert kind_of(Path(name)) is None


@pytest.mark.parametrize(
    ("value", "number"),
    [("5", 5), ("+5", 5), ("-3", -3), ("5.0", 5), ("5.", 5), (5, 5), (5.0, 5), ("007", 7)],
)
def test_whole_numbers(value: Any, number: int) -> None:
    assert whole_number(value) == number


@pytest.mark.parametrize(
    "value",
    ["", "x", "5.5", "1e3", "1,000", "1_000", "٣", "9" * 19, 5.5, float("nan"), True, None, [5]],
)
def test_what_is_no_whole_number(value: Any) -> None:
    assert whole_number(value) is None


def test_a_value_is_shown_on_one_short_line() -> None:
    for value in ("x\ny" * 10_000, 10**4000, ["x" * 500] * 500, {"k" * 900: json}):
        assert len(shown(value)) < 600
        assert "\n" not in shown(value)
    assert shown("noon") == "'noon'"


def test_a_list_has_the_lines_on_which_its_objects_begin(tmp_path: Path) -> None:
    text = '\ufeff [\n {"a": 1},\n\n  {"a":\n 2}, {"a": 3}\n]\n'
    assert read(tmp_path, "t.json", text).rows == [
        (2, {"a": 1}),
        (4, {"a": 2}),
        (5, {"a": 3}),
    ]
    assert read(tmp_path, "e.json", "[]").rows == []
    assert read(tmp_path, "l.json", '{"a": 1}\n{"a": 2}').rows == [(1, {"a": 1}), (2, {"a": 2})]
