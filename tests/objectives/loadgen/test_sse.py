"""Server-sent events cut anywhere give the same payloads."""

from __future__ import annotations

import pytest

from objectives.loadgen.sse import SSEDecoder


STREAM = (
    ': ping\n\ndata: {"text": "häß€😀"}\n\nevent: x\nid: 3\ndata:two\ndata: lines\r\n\r\n'
    "\n\ndata: [DONE]\n\n"
).encode()
PAYLOADS = ['{"text": "häß€😀"}', "two\nlines", "[DONE]"]


def decode(*chunks: bytes) -> list[str]:
    decoder = SSEDecoder()
    return [payload for chunk in chunks for payload in decoder.feed(chunk)]


def test_payloads_of_a_whole_stream() -> None:
    assert decode(STREAM) == PAYLOADS


def test_a_cut_at_any_byte_changes_nothing() -> None:
    for cut in range(len(STREAM) + 1):
        assert decode(STREAM[:cut], STREAM[cut:]) == PAYLOADS


def test_single_bytes_change_nothing() -> None:
    assert decode(*(bytes([byte]) for byte in STREAM)) == PAYLOADS


def test_an_event_is_given_as_soon_as_it_is_complete_and_not_before() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\ndata: b") == ["a"]
    assert decoder.feed(b"\n\n") == ["b"]


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode(b"data: \xff\xfe\n\n")
