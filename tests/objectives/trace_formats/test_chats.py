"""Recorded chats: what of them is a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers import models
from tokenizers import pre_tokenizers
from tokenizers import processors

from objectives.prompts import count_tokens
from objectives.traces import Trace
from objectives.traces import TraceError
from objectives.traces import TraceRequest
from objectives.traces import load_trace
from objectives.traces import write_trace
from objectives.workload import WorkloadError
from objectives.workload import build_workload


def load(folder: Path, rows: Any, name: str = "chats.json") -> Trace:
    (folder / name).write_text(json.dumps(rows, indent=1))
    return load_trace(folder / name)


def turns(*texts: str, keys: tuple[str, str, str] = ("from", "human", "gpt")) -> list[Any]:
    who, asks, answers = keys
    said = "value" if who == "from" else "content"
    return [{who: (asks, answers)[i % 2], said: text} for i, text in enumerate(texts)]


SHARE_GPT = [
    {"id": "a", "conversations": turns("What is a tensor?", "A multilinear map.", "And?", "So.")},
    {"id": "b", "conversations": turns("Nobody answers")},
    {"id": "c", "conversations": turns("Two  words", "Yes they are")},
]


def test_of_a_chat_the_first_question_and_its_answer_are_a_request(tmp_path: Path) -> None:
    trace = load(tmp_path, SHARE_GPT)
    assert trace.requests == (
        TraceRequest(0, 0, prompt="What is a tensor?", answer="A multilinear map."),
        TraceRequest(0, 0, prompt="Two  words", answer="Yes they are"),
    )
    assert trace.notes == (
        "1 of 3 chats left out, without question or answer",
        "2 turns after the first answers not used",
    )


@pytest.mark.parametrize("key", ["conversation", "messages"])
def test_what_stands_before_the_first_answer_is_the_prompt(tmp_path: Path, key: str) -> None:
    roles = [{"role": "system", "content": "Be brief."}]
    chat = roles + turns("Hi!", "Hello.", keys=("role", "user", "assistant"))
    (request,) = load(tmp_path, [{key: chat}]).requests
    assert (request.prompt, request.answer) == ("Be brief.\nHi!", "Hello.")


def words_with_bos() -> Tokenizer:
    """A tokenizer of words, which puts a token of its own before every text."""
    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "?": 1}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return tokenizer


def test_a_tokenizer_counts_questions_and_answers(tmp_path: Path) -> None:
    counted = count_tokens(load(tmp_path, SHARE_GPT), words_with_bos())
    assert [(r.prompt_tokens, r.output_tokens) for r in counted.requests] == [(5, 3), (3, 3)]
    assert [r.answer for r in counted.requests] == [None, None]


def test_chats_that_nobody_counted_are_written_and_read_but_make_no_load(tmp_path: Path) -> None:
    trace = load(tmp_path, SHARE_GPT)
    write_trace(trace, tmp_path / "own.jsonl")
    assert load_trace(tmp_path / "own.jsonl").requests == trace.requests
    with pytest.raises(WorkloadError, match="optuna-scoot trace FILE --model MODEL"):
        build_workload(trace, rate=1, duration=10)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"conversations": "hi"}], "line 2: a chat is a list of turns"),
        ([{"conversations": ["hi"]}], "line 2: a turn of a chat is an object"),
        ([{"messages": []}], "holds no request .1 of 1 chats left out"),
        ([{"conversations": turns("only a question")}], "holds no request"),
    ],
)
def test_what_is_no_chat_is_refused(tmp_path: Path, rows: Any, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        load(tmp_path, rows)
