"""Public trace formats, on rows written as those files write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from objectives.public_traces import shared_prefixes
from objectives.traces import Trace
from objectives.traces import TraceError
from objectives.traces import TraceRequest
from objectives.traces import load_trace


def load_text(folder: Path, name: str, text: str) -> Trace:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return load_trace(folder / name)


def test_azure_stamps_keep_their_seventh_decimal(tmp_path: Path) -> None:
    # As in the files: seven decimals, carriage returns possible, no line end at the end.
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
        "2023-11-16 23:59:59.9999999,374,44\r\n"
        "2023-11-17 00:00:00.0000001,396,109\r\n"
        "2023-11-17 00:01:00.5000000,879,55"
    )
    trace = load_text(tmp_path, "azure.csv", text)
    assert trace.name == "azure"
    assert trace.requests == (
        TraceRequest(374, 44, arrival_time=0.0),
        TraceRequest(396, 109, arrival_time=2e-7),
        TraceRequest(879, 55, arrival_time=60.5000001),
    )


def test_azure_stamps_of_2024_and_rows_out_of_order(tmp_path: Path) -> None:
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2024-05-10 00:00:02.250000+00:00,2,1\n"
        "2024-05-10 00:00:00+00:00,1,1\n"
        "2024-05-10 00:00:02.25+00:00,3,1\n"
    )
    trace = load_text(tmp_path, "azure.csv", text)
    assert [(r.prompt_tokens, r.arrival_time) for r in trace.requests] == [
        (1, 0.0),
        (2, 2.25),
        (3, 2.25),
    ]


def test_lengths_alone(tmp_path: Path) -> None:
    text = "num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n74,918,992,0.08\n"
    assert load_text(tmp_path, "l.csv", text).requests == (TraceRequest(74, 918),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "a CSV trace has the columns TIMESTAMP"),
        ("", "a CSV trace has the columns"),
        ("num_prefill_tokens,num_decode_tokens\n1,2\n3,x\n", "line 3: num_decode_tokens must be"),
        ("num_prefill_tokens,num_decode_tokens\n1\n", "line 2: num_decode_tokens must be"),
        ("num_prefill_tokens,num_decode_tokens\n1,-1\n", "line 2: output_tokens must be at least"),
        ("num_prefill_tokens,num_decode_tokens\n1,0\n", "no request .1 rows without prompt or"),
        ("num_prefill_tokens,num_decode_tokens\n", "holds no request"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\nnoon,1,2\n", "line 2: TIMESTAMP 'noon' is no"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n\n,1,2\n", "TIMESTAMP '' is not a time"),
    ],
)
def test_a_wrong_csv_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        load_text(tmp_path, "x.csv", text)


def mooncake_row(time_ms: int, n_input: int, n_output: int, blocks: list[int]) -> str:
    row = {
        "timestamp": time_ms,
        "input_length": n_input,
        "output_length": n_output,
        "hash_ids": blocks,
    }
    return json.dumps(row)


def test_mooncake_rows_have_seconds_and_shared_blocks(tmp_path: Path) -> None:
    lines = [
        mooncake_row(0, 700, 5, [0, 1]),
        mooncake_row(27000, 1500, 6, [0, 2, 3]),
        mooncake_row(30500, 900, 7, [0, 2]),
        mooncake_row(30500, 100, 8, [9]),
    ]
    requests = load_text(tmp_path, "m.jsonl", "\n".join(lines)).requests
    assert [r.arrival_time for r in requests] == [0.0, 27.0, 30.5, 30.5]
    assert [(r.prompt_tokens, r.output_tokens) for r in requests] == [
        (700, 5),
        (1500, 6),
        (900, 7),
        (100, 8),
    ]
    # The third prompt lies within the blocks that it shares, the last of which it half fills.
    assert [r.prefix_tokens for r in requests] == [512, 1024, 900, 0]
    assert requests[1].prefix_id == requests[2].prefix_id is not None
    assert requests[3].prefix_id is None


def test_turns_of_a_chat_share_one_prefix_at_their_lengths() -> None:
    chat = [[1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5]]
    found = shared_prefixes([*chat, [7, 8], [7, 9]])
    assert [n for _, n in found] == [2, 4, 4, 1, 1]
    assert len({name for name, _ in found[:3]}) == 1
    assert len({name for name, _ in found}) == 2


def test_branches_are_told_apart_and_the_stem_goes_with_the_busier() -> None:
    found = shared_prefixes([[1], [1, 2], [1, 2], [1, 3], [1, 3], [1, 3]])
    names = [name for name, _ in found]
    assert [n for _, n in found] == [1, 2, 2, 2, 2, 2]
    assert names[1] == names[2] != names[3] == names[4] == names[5] == names[0]


def test_an_equal_block_at_another_place_is_not_shared() -> None:
    assert shared_prefixes([[1, 2], [3, 2], []]) == [(None, 0)] * 3


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ('{"timestamp": 1, "input_length": 5}', "line 2: output_length must be a whole number"),
        ('{"input_length": 5, "output_length": 2}', "line 2: timestamp None is not a number"),
        ('{"timestamp": "x", "input_length": 5, "output_length": 2}', "timestamp 'x' is not a num"),
        ('{"timestamp": NaN, "input_length": 5, "output_length": 2}', "timestamp nan is not a num"),
        (
            '{"timestamp": 1, "input_length": 5, "output_length": 2, "hash_ids": 3}',
            "line 2: hash_ids must be a list",
        ),
        (mooncake_row(1, -1, 5, []), "line 2: prompt_tokens must be at least 1"),
    ],
)
def test_a_wrong_mooncake_row_is_refused(tmp_path: Path, second: str, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        load_text(tmp_path, "m.jsonl", mooncake_row(0, 5, 5, []) + "\n" + second)
