"""Logs of OpenAI-compatible servers, in the layouts that their documentation shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from objectives.traces import Trace
from objectives.traces import TraceError
from objectives.traces import TraceRequest
from objectives.traces import load_trace


def load(folder: Path, *rows: dict[str, Any]) -> Trace:
    path = folder / "log.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return load_trace(path)


def usage(prompt: int, completion: int) -> dict[str, Any]:
    total = prompt + completion
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def completion(created: int, prompt: int, answer: int) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": created,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "..."}}],
        "usage": usage(prompt, answer),
    }


TWO = (TraceRequest(9, 4, arrival_time=0.0), TraceRequest(7, 3, arrival_time=2.0))


def test_stored_responses_in_the_order_of_their_times(tmp_path: Path) -> None:
    trace = load(tmp_path, completion(1715299202, 7, 3), completion(1715299200, 9, 4))
    assert trace.requests == TWO
    assert trace.notes == ()


def test_results_of_the_batch_interface_without_the_failed(tmp_path: Path) -> None:
    rows = [
        {"id": "b", "custom_id": "1", "response": {"status_code": 200, "body": body}}
        for body in (completion(1715299200, 9, 4), completion(1715299202, 7, 3))
    ]
    failed = {
        "id": "b",
        "custom_id": "2",
        "response": {"status_code": 500, "body": {"created": 1715299201}},
    }
    trace = load(tmp_path, rows[0], failed, rows[1])
    assert trace.requests == TWO
    assert trace.notes == ("1 of 3 rows left out, without prompt or answer",)


def test_usage_of_the_responses_interface(tmp_path: Path) -> None:
    rows = [
        {"created_at": 1715299200 + 2 * i, "usage": {"input_tokens": p, "output_tokens": o}}
        for i, (p, o) in enumerate([(9, 4), (7, 3)])
    ]
    assert load(tmp_path, *rows).requests == TWO


@pytest.mark.parametrize("time", ["created", "timestamp", "startTime"])
def test_tables_of_a_gateway(tmp_path: Path, time: str) -> None:
    path = tmp_path / "spend.csv"
    path.write_text(
        f"{time},model,prompt_tokens,completion_tokens,total_tokens\n"
        "2024-05-10T00:00:00Z,m,9,4,13\n2024-05-10T00:00:02Z,m,7,3,10\n"
    )
    trace = load_trace(path)
    assert trace.requests == TWO
    assert trace.notes == ()


def chat(*texts: str, tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": text} for text in texts]
    return {"request": {"messages": messages}, "response": {"usage": usage(tokens, 5)}}


def test_equal_first_messages_are_a_shared_prefix(tmp_path: Path) -> None:
    rules = "r" * 100
    trace = load(
        tmp_path,
        chat(rules, "a" * 100, tokens=60),
        chat(rules, "b" * 100, tokens=60),
        chat("something else", tokens=8),
    )
    first, second, third = trace.requests
    assert first.prefix_id == second.prefix_id is not None
    assert first.prefix_tokens == second.prefix_tokens == 30  # one of two equally long messages
    assert third.prefix_id is None
    assert not trace.has_arrival_times


def test_a_prompt_of_text_is_kept_as_it_is(tmp_path: Path) -> None:
    row = {"request": {"prompt": "Once upon"}, "response": {"usage": usage(2, 5)}}
    assert load(tmp_path, row).requests == (TraceRequest(2, 5, prompt="Once upon"),)


def test_requests_without_any_usage_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="unknown keys body"):
        load(tmp_path, {"custom_id": "1", "body": {"messages": []}})
    with pytest.raises(TraceError, match="line 1: completion_tokens must be a whole number"):
        load(tmp_path, {"usage": {"prompt_tokens": 3, "completion_tokens": "many"}})
