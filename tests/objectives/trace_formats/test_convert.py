"""Public trace formats, on rows written as those files write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from objectives.trace_formats.blocks import block_size
from objectives.trace_formats.blocks import shared_prefixes
from objectives.trace_formats.formats import PublicTraceError
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
        ("num_prefill_tokens,num_decode_tokens\n1,-1\n", "line 2: output_tokens must be at"),
        ("num_prefill_tokens,num_decode_tokens\n1,0\n", "no request .1 of 1 rows left out"),
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
        ('{"input_length": 5, "output_length": 2}', "line 2: timestamp None is not a time"),
        (
            '{"timestamp": "x", "input_length": 5, "output_length": 2}',
            "timestamp 'x' is not a time",
        ),
        (
            '{"timestamp": NaN, "input_length": 5, "output_length": 2}',
            "timestamp nan is not a time",
        ),
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


def rows_of(*rows: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, rows))


@pytest.mark.parametrize(
    ("text", "requests", "notes"),
    [
        (  # BurstGPT, whose failures have no response
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
            "5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,0,0,0,API log\n50,GPT-4,9,0,9,x\n",
            (TraceRequest(472, 18, arrival_time=5.0),),
            ("2 of 3 rows left out, without prompt or answer",),
        ),
        (
            "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,"
            "Total tokens,Log Type\n5.5,,3.2,ChatGPT,472,18,490,Conversation log\n",
            (TraceRequest(472, 18, arrival_time=5.5),),
            (),
        ),
        (  # vidur, with its arrivals
            "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n4.314579,396,109\n",
            (TraceRequest(374, 44, 0.0), TraceRequest(396, 109, 4.314579)),
            (),
        ),
        (
            ",num_prefill_tokens,num_decode_tokens,prompt,text\n0,374.0,44,,x\n1,9,4,hello,y\n",
            (TraceRequest(374, 44), TraceRequest(9, 4, prompt="hello")),
            ("not used: text",),
        ),
        (
            "prompt,output_tokens_count\nhi,5\n",
            (TraceRequest(0, 5, prompt="hi"),),
            (),
        ),
        (  # Azure's of 2025, with images
            "TIMESTAMP;NumImages;ContextTokens;GeneratedTokens\n"
            "2025-05-10T00:00:01Z;2;9;4\n2025-05-10T00:00:00.5Z;0;8;3\n",
            (TraceRequest(8, 3, arrival_time=0.0), TraceRequest(9, 4, arrival_time=0.5)),
            ("not used: NumImages",),
        ),
        (
            "timestamp, contexttokens, generatedtokens\n1715299200, 9, 4\n1715299199, 8, 3\n",
            (TraceRequest(8, 3, arrival_time=0.0), TraceRequest(9, 4, arrival_time=1.0)),
            (),
        ),
        (  # dates wherever times stand
            "arrived_at\tnum_prefill_tokens\tnum_decode_tokens\n"
            "2025-05-10T00:00Z\t9\t4\n2025-05-10t02:01+02:00\t8\t3\n",
            (TraceRequest(9, 4, arrival_time=0.0), TraceRequest(8, 3, arrival_time=60.0)),
            (),
        ),
        (  # this project's own columns
            "prompt_tokens,output_tokens,arrival_time,prefix_id,prefix_tokens,user\n"
            "9,2,0.5,a,4,bob\n8,3,1.5,,,eve\n",
            (
                TraceRequest(9, 2, arrival_time=0.5, prefix_id="a", prefix_tokens=4),
                TraceRequest(8, 3, arrival_time=1.5),
            ),
            ("not used: user",),
        ),
    ],
)
def test_public_tables(
    tmp_path: Path, text: str, requests: tuple[TraceRequest, ...], notes: tuple[str, ...]
) -> None:
    trace = load_text(tmp_path, "t.csv", text)
    assert trace.requests == requests
    assert trace.notes == notes


def bailian_row(seconds: float, n_input: int, ids: list[int], chat: int = 1) -> dict[str, Any]:
    return {
        "chat_id": chat,
        "parent_chat_id": -1,
        "timestamp": seconds,
        "input_length": n_input,
        "output_length": 3,
        "type": "text",
        "turn": 1,
        "hash_ids": ids,
    }


def test_qwen_bailian_counts_seconds_and_blocks_of_16(tmp_path: Path) -> None:
    text = rows_of(
        bailian_row(61.114, 40, [1, 2, 3]),
        bailian_row(62.5, 60, [1, 2, 3, 4]),
        bailian_row(62.75, 20, [8, 9]),
    )
    trace = load_text(tmp_path, "qwen.jsonl", text)
    assert [r.arrival_time for r in trace.requests] == [61.114, 62.5, 62.75]
    assert [r.prefix_tokens for r in trace.requests] == [40, 48, 0]
    assert trace.notes == ()
    with pytest.raises(TraceError, match="are no blocks of 16: leave hash_ids out"):
        load_text(tmp_path, "q.jsonl", rows_of(*[bailian_row(1, 20, [1, 2, 3])] * 2))


MOONCAKES = [
    {"timestamp": 0, "input_length": 700, "output_length": 5, "hash_ids": [0, 1]},
    {"timestamp": 27000, "input_length": 1500, "output_length": 6, "hash_ids": [0, 2, 3]},
    {"timestamp": 30500, "input_length": 900, "output_length": 7, "hash_ids": [0, 2]},
]


@pytest.mark.parametrize(
    "change",
    [
        [{"timestamp": 0.5}, {}, {}],  # Mooncake counts whole milliseconds
        [{"hash_ids": None}, {}, {}],
        [{}, {"hash_ids": [0, 2, 3, 4]}, {"hash_ids": [0, 2, 5]}],  # blocks of 375 to 449 tokens
        [{"timestamp": 0}, {"timestamp": 10}, {"timestamp": 39}],  # 19 a request, on average
    ],
)
def test_mooncakes_keys_alone_tell_no_unit(tmp_path: Path, change: list[dict[str, Any]]) -> None:
    rows = [
        {key: value for key, value in {**row, **new}.items() if value is not None}
        for row, new in zip(MOONCAKES, change, strict=True)
    ]
    path = tmp_path / "m.jsonl"
    path.write_text(rows_of(*rows))
    if len(rows[1].get("hash_ids", [])) == 4:
        with pytest.raises(TraceError, match="blocks of 375 to 449 tokens, and nothing tells"):
            load_trace(path)
        return
    with pytest.raises(TraceError, match=r"nothing tells the unit of timestamp.*trace-time-unit"):
        load_trace(path)
    times = [row["timestamp"] for row in rows]
    assert [r.arrival_time for r in load_trace(path, "s").requests] == times
    assert [r.arrival_time for r in load_trace(path, "ms").requests] == [t / 1000 for t in times]


def test_mooncakes_own_files_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(rows_of(*MOONCAKES))
    assert [r.arrival_time for r in load_trace(tmp_path / "m.jsonl").requests] == [0, 27, 30.5]
    (tmp_path / "m.jsonl").write_text(rows_of(MOONCAKES[0], {**MOONCAKES[1], "timestamp": 20}))
    assert [r.arrival_time for r in load_trace(tmp_path / "m.jsonl").requests] == [0, 0.02]


def test_rows_of_aiperf(tmp_path: Path) -> None:
    text = {"timestamp": 500, "text_input": "hi there", "output_length": 4}
    later = {**text, "timestamp": 100, "text_input": "ho"}
    trace = load_text(tmp_path, "a.jsonl", rows_of(text, later))
    assert trace.requests == (
        TraceRequest(0, 4, arrival_time=0.1, prompt="ho"),
        TraceRequest(0, 4, arrival_time=0.5, prompt="hi there"),
    )
    turns = {"delay": 50, "input_length": 100, "output_length": 4, "session_id": "s"}
    first = {"timestamp": 0, "input_length": 100, "output_length": 4, "session_id": "s"}
    with pytest.raises(TraceError, match="line 2: delay waits for the answer before"):
        load_text(tmp_path, "b.jsonl", rows_of(first, turns))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"arrival_time": 1715299200000, "prompt_tokens": 5, "output_tokens": 2}', "count ms"),
        ('{"prompt": "half \\ud83d", "output_tokens": 5}', "line 1: prompt holds half a char"),
        (
            '{"prompt_tokens": 9, "output_tokens": 5, "prefix_id": "\\ud83d", "prefix_tokens": 3}',
            "line 1: prefix_id holds half a character",
        ),
        ('{"prompt_tokens": 1000000000, "output_tokens": 5}', "prompt_tokens must be at most"),
        ('{"prompt_tokens": 5, "output_tokens": 1000000000}', "output_tokens must be at most"),
        (
            rows_of(*[{**MOONCAKES[0], "input_length": 10**400}] * 2),
            "prompt_tokens must be at most 100000000",
        ),
        ('{"timestamp": "a", "input_length": 5, "output_length": 2}', "'a' is not a time"),
        (
            rows_of(*({**row, "timestamp": str(row["timestamp"])} for row in MOONCAKES)),
            "nothing tells the unit",
        ),
    ],
)
def test_json_that_does_not_tell_enough_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(TraceError, match=message) as caught:
        load_text(tmp_path, "t.jsonl", text)
    assert "\n" not in str(caught.value)


def test_own_times_in_another_unit_are_read_when_it_is_named(tmp_path: Path) -> None:
    rows = [{"prompt_tokens": 5, "output_tokens": 2, "arrival_time": t} for t in (500, 1500)]
    path = tmp_path / "t.jsonl"
    path.write_text(rows_of(*rows))
    assert [r.arrival_time for r in load_trace(path).requests] == [500, 1500]
    assert [r.arrival_time for r in load_trace(path, "ms").requests] == [0.5, 1.5]
    path.write_text(rows_of(*({**row, "arrival_time": 1715299200000 + 9} for row in rows)))
    assert [r.arrival_time for r in load_trace(path, "ms").requests] == [0.0, 0.0]
    with pytest.raises(TraceError, match="a time unit is one of s, ms, us, ns, not 'h'"):
        load_trace(path, "h")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lengths", "n_blocks", "size"),
    [
        ([700, 1500, 900], [2, 3, 2], 512),  # 500 to 699: one power of two
        ([33, 48], [3, 3], 16),
        ([1000, 1001], [10, 11], 100),  # exactly
        ([5, 9], [1, 1], 9),  # one block each: whatever its size, it is the prompt
        ([700, 50], [2, 0], 512),
    ],
)
def test_the_size_of_blocks_follows_from_their_numbers(
    lengths: list[int], n_blocks: list[int], size: int
) -> None:
    found = block_size(lengths, n_blocks)
    assert found == size
    assert all(n in (0, -(-length // found)) for length, n in zip(lengths, n_blocks, strict=True))


@pytest.mark.parametrize(
    ("lengths", "n_blocks", "message"),
    [
        ([1000, 100], [2, 3], "fit no one size"),
        ([700], [5], "blocks of 140 to 174 tokens, and nothing tells which"),
    ],
)
def test_a_size_of_blocks_that_nothing_tells_is_refused(
    lengths: list[int], n_blocks: list[int], message: str
) -> None:
    with pytest.raises(PublicTraceError, match=message):
        block_size(lengths, n_blocks)
