"""``optuna-scoot trace``: what it shows, what it writes, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from objectives.traces import load_trace
from optuna_scoot.cli.main import run


def rows(n: int = 200) -> str:
    return "".join(
        json.dumps(
            {
                "prompt_tokens": 100 + 7 * i % 89,
                "output_tokens": 1 + i * i % 31,
                "arrival_time": i / 2 + (i % 3) / 10,
                "prefix_id": f"user-{i % 5}",
                "prefix_tokens": 60,
            }
        )
        + "\n"
        for i in range(n)
    )


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_text(rows())
    return path


def shown(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    assert run(["trace", *map(str, words)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def figures(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown(capsys, *words, "--json"))
    return found


def test_a_few_lines_say_what_a_trace_holds(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(capsys, mine, "rec").splitlines()
    assert lines[0].strip() == "mine: 200 requests"
    text = " ".join(" ".join(lines).split())
    assert "arrivals 2 requests/s for " in text
    assert "begin with one of 5 texts; a prefix cache finds up to" in text
    assert "rec: 2,000 requests" in text
    assert "no times; tune --rate sets how fast they come" in text


def test_a_part_at_another_rate_is_written_for_tune(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "part.jsonl"
    words = ["--from", "10", "--until", "60", "--requests", "50", "--rate", "5"]
    found = figures(capsys, mine, *words, "--output", target)
    part = load_trace(target)
    assert found["traces"][0]["requests"] == len(part.requests) == 50
    assert found["traces"][0]["arrivals"]["rate"] == pytest.approx(5.0)
    assert [r.prompt_tokens for r in part.requests] == [
        r.prompt_tokens for r in load_trace(mine).requests[20:70]
    ]
    assert found["written"] == [str(target)]
    assert target.stat().st_mode & 0o777 == 0o600


def test_an_anonymous_trace_names_nobody(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "a.jsonl"
    shown(capsys, mine, "--anonymise", "--output", target)
    assert "user" not in target.read_text()
    lengths = [(r.prompt_tokens, r.output_tokens) for r in load_trace(mine).requests]
    assert [(r.prompt_tokens, r.output_tokens) for r in load_trace(target).requests] == lengths


def test_a_synthetic_trace_is_shown_beside_its_original(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "s.jsonl"
    found = figures(capsys, mine, "--synthesise", "--output", target)
    assert [one["name"] for one in found["traces"]] == ["mine", "mine-synthetic"]
    assert found["likeness"][0]["copied"] == 0.0
    assert found["likeness"][0]["prompt"] < 0.1
    assert len(load_trace(target).requests) == 200
    again = tmp_path / "again.jsonl"
    shown(capsys, mine, "--synthesise", "--seed", "0", "--output", again)
    assert again.read_text() == target.read_text()


def test_the_picture_opens_without_a_network(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "p.html"
    shown(capsys, mine, "bot", "--plot", target)
    page = target.read_text(encoding="utf-8")
    assert "<script src=" not in page
    for words in ("prompt tokens", "s over time", "gaps between", "prefix cache"):
        assert words in page


def test_texts_are_counted_by_the_models_tokenizer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tokenizers import Tokenizer
    from tokenizers import models
    from tokenizers import pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    chats = tmp_path / "chats.json"
    turns = [{"from": "human", "value": "one two three"}, {"from": "gpt", "value": "four five"}]
    chats.write_text(json.dumps([{"conversations": turns}]))
    (found,) = figures(capsys, chats, "--model", tmp_path)["traces"]
    assert (found["prompt"]["mean"], found["output"]["mean"]) == (3.0, 2.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.jsonl"], "no trace 'gone.jsonl': give one of sql"),
        (["bot", "--from", "3"], "trace 'bot' has no arrival times to be cut at"),
        (["bot", "--rate", "3"], "trace 'bot' has no arrival times to be scaled"),
        (["bot", "--rate", "0"], "0 is not a positive number"),
        (["bot", "--requests", "50", "--synthesise"], "has 50 requests"),
        (["bot", "sql", "--output", "x.jsonl"], "--output is one trace, and 2 are given"),
        (["bot", "--output", "x.csv"], "a trace is written as .jsonl"),
        (["bot", "--output", "none/x.jsonl"], "there is no folder none"),
        (["bot", "--plot", "x.png"], "give it a name in .html"),
        (["mine.jsonl", "--output", "mine.jsonl"], "that is the trace itself"),
        (["text.jsonl"], "holds text whose tokens are not counted: add --model"),
        (["text.jsonl", "--model", "."], "holds no tokenizer.json"),
        ([], "Missing argument 'FILE...'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    words: list[str],
    message: str,
    mine: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(mine.parent)
    Path("text.jsonl").write_text('{"prompt": "hi", "output_tokens": 3}')
    before = sorted(mine.parent.iterdir())
    assert run(["trace", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
    assert sorted(mine.parent.iterdir()) == before
