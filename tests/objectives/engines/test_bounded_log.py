"""Logs of bounded size, and programs that never wait for theirs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from objectives.engines import bounded_log
from objectives.engines.bounded_log import GAP
from objectives.engines.bounded_log import BoundedLog


LINES = [b"line %03d\n" % number for number in range(200)]
OUTPUT = b"".join(LINES)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_log, "HEAD_BYTES", 90)
    monkeypatch.setattr(bounded_log, "TAIL_BYTES", 100)


def write(path: Path, chunks: list[bytes], flush_each: bool = True) -> bytes:
    with path.open("ab") as file:
        log = BoundedLog(file.fileno())
        for chunk in chunks:
            log.add(chunk)
            if flush_each:
                log.flush()
        log.flush()
    return path.read_bytes()


@pytest.mark.parametrize("n_bytes", [0, 1, 89, 90, 91, 250, 290])
def test_what_is_short_enough_is_kept_whole(tmp_path: Path, n_bytes: int) -> None:
    assert write(tmp_path / "log", [OUTPUT[:n_bytes]]) == OUTPUT[:n_bytes]


@pytest.mark.parametrize("chunk", [1, 7, 64, 91, 150, 1000, len(OUTPUT)])
@pytest.mark.parametrize("flush_each", [True, False])
@pytest.mark.parametrize("n_bytes", [400, 1234, len(OUTPUT)])
def test_head_and_tail_are_kept_of_what_is_long(
    tmp_path: Path, chunk: int, flush_each: bool, n_bytes: int
) -> None:
    output = OUTPUT[:n_bytes]
    chunks = [output[i : i + chunk] for i in range(0, n_bytes, chunk)]
    head, gap, tail = write(tmp_path / "log", chunks, flush_each).partition(GAP)
    assert gap
    assert head == output[:90]
    assert output.endswith(tail)
    assert 90 < len(tail) <= 200
    assert tail.startswith(b"line ")


def test_the_file_is_never_larger_than_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("ab") as file:
        log = BoundedLog(file.fileno())
        for line in LINES:
            log.add(line)
            log.flush()
            assert path.stat().st_size <= 90 + len(GAP) + 200
            assert path.read_bytes().endswith(line)


def test_what_stood_there_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    assert write(path, [OUTPUT]).startswith(b"before\n" + OUTPUT[:90] + GAP)


def test_lines_longer_than_the_tail_are_cut(tmp_path: Path) -> None:
    content = write(tmp_path / "log", [b"x" * 1000])
    assert content == b"x" * 90 + GAP + b"x" * 100


def test_a_file_that_cannot_be_written_is_an_error() -> None:
    with Path("/dev/full").open("ab") as file:
        log = BoundedLog(file.fileno())
        log.add(b"text")
        with pytest.raises(OSError, match=os.strerror(28)):
            log.flush()
