"""From options to what is tuned: where the model's length and the trace's times come from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from objectives.engines.capabilities import EngineCapabilities
from objectives.traces import Trace
from objectives.traces import TraceRequest
from objectives.workload import build_workload
from optuna_scoot.cli.errors import InputError
from optuna_scoot.cli.options import TuneOptions
from optuna_scoot.cli.target import Target
from optuna_scoot.cli.target import _model_length
from optuna_scoot.cli.target import describe_load
from optuna_scoot.cli.target import make_target
from optuna_scoot.cli.tune import tune
from optuna_scoot.constraints.known import KnownConstraints
from tests.small_model import make_small_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Holds a container's command, which tells its options alone, a model and a trace."""
    monkeypatch.chdir(tmp_path)
    options = "--max-num-seqs --max-num-batched-tokens --enable-chunked-prefill --max-model-len"
    script = f"#!/bin/sh\nexec {sys.executable} -c \"print('{options}')\"\n"
    Path("serve").write_text(script)
    Path("serve").chmod(0o755)
    make_small_model(Path("model"))
    rows = [{"prompt_tokens": 100 * i, "output_tokens": 50} for i in range(1, 101)]
    Path("trace.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def target(command: str, *more: str) -> Target:
    arguments = ["--model", "./model", "--trace", "trace.jsonl", "--engine-command", command]
    if "--replay" not in more:
        arguments += ["--rate", "10"]
    context = tune.make_context("tune", [*arguments, "--duration", "20", *more])
    return make_target(TuneOptions(**context.params), Path("out"))


def longest(made: Target) -> int:
    return max(r.request.prompt_tokens + r.request.output_tokens for r in made.workload.requests)


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("./serve", ["--engine-arg", "max-model-len=2048"]),
        ("./serve", ["--engine-arg", "max-model-len=2K"]),
        ("./serve --max-model-len 2048", []),
        ("./serve --max-model-len=4k --max_model_len=2K --model", []),
        ("./serve --max-model-len 9k", ["--engine-arg", "max-model-len=2048"]),
    ],
)
def test_the_models_length_is_known_from_arguments_and_commands(
    folder: Path, command: str, more: list[str]
) -> None:
    clipped = target(command, "--too-long", "clip", *more)
    assert longest(clipped) == 2048
    assert 0 < clipped.workload.n_clipped < len(clipped.workload.requests)
    assert target(command, "--too-long", "drop", *more).workload.n_dropped == 81
    with pytest.raises(InputError, match="need more tokens than the model's 2048"):
        target(command, *more)
    # The known constraint is of the same length.
    known = KnownConstraints(clipped.space.known_constraints)
    params = {**clipped.space.default, "max_num_seqs": 8, "enable_chunked_prefill": False}
    assert known.satisfied({**params, "max_num_batched_tokens": 2048})
    assert not known.satisfied({**params, "max_num_batched_tokens": 2047})


@pytest.mark.parametrize(
    ("command", "more", "expected"),
    [
        ("vllm serve", [], 8192),
        ("vllm serve", ["--engine-arg", "max-model-len=auto"], 8192),
        ("vllm serve --max-model-len 4K", [], 4096),  # of which the engine was not asked
        ("vllm serve --max-model-len 4K", ["--engine-arg", "max-model-len=2K"], 2048),
    ],
)
def test_the_words_of_a_command_go_before_what_the_engine_says(
    command: str, more: list[str], expected: int
) -> None:
    arguments = ["--model", "m", "--trace", "bot", "--rate", "1", "--engine-command", command]
    options = TuneOptions(**tune.make_context("tune", [*arguments, *more]).params)
    asked = EngineCapabilities(version="0.32.0", flags=frozenset(), max_model_len=8192)
    assert _model_length(asked, options) == expected


@pytest.mark.parametrize("too_long", ["clip", "drop", "refuse"])
@pytest.mark.parametrize("more", [[], ["--engine-arg", "max-model-len=auto"]])
def test_too_long_is_refused_where_nobody_tells_the_length(
    folder: Path, too_long: str, more: list[str]
) -> None:
    with pytest.raises(
        InputError, match=f"--too-long {too_long}: nothing tells .*max-model-len=N"
    ):
        target("./serve", "--too-long", too_long, *more)


def test_no_constraint_is_made_of_a_length_that_nobody_tells(folder: Path) -> None:
    made = target("./serve")
    assert longest(made) == 10050
    assert made.space.known_constraints == ("max_num_seqs <= max_num_batched_tokens",)


def test_a_length_that_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="max-model-len: '8x' is no number of tokens"):
        target("./serve", "--engine-arg", "max-model-len=8x")
    with pytest.raises(InputError, match="--max-model-len: 'long' is no number of tokens"):
        target("./serve --max-model-len long")


def test_times_are_in_the_unit_that_the_user_names(folder: Path) -> None:
    rows = [{"timestamp": t, "input_length": 9, "output_length": 2} for t in (0, 500, 1500)]
    Path("trace.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(
        InputError, match=r"nothing tells the unit of timestamp: .*trace-time-unit"
    ):
        target("./serve", "--replay")
    made = target("./serve", "--replay", "--trace-time-unit", "ms")
    assert [scheduled.time for scheduled in made.workload.requests] == [0.0, 0.5, 1.5]
    assert made.settings["trace time unit"] == "ms"


def test_what_was_left_out_of_a_trace_is_told(folder: Path) -> None:
    header = "num_prefill_tokens,num_decode_tokens,session\n"
    Path("trace.csv").write_text(header + "9,2,a\n9,0,b\n0,1,c\n8,2,a\n")
    made = target("./serve", "--trace", "trace.csv")
    assert "2 of 4 rows left out, without prompt or answer; not used: session" in made.title


def test_a_model_without_tokenizer_serves_texts_that_bring_their_counts(folder: Path) -> None:
    Path("model/tokenizer.json").unlink()
    row = {"prompt": "one two", "prompt_tokens": 2, "output_tokens": 2}
    Path("trace.jsonl").write_text(json.dumps(row))
    assert {r.request.prompt for r in target("./serve").workload.requests} == {"one two"}
    del row["prompt_tokens"]
    Path("trace.jsonl").write_text(json.dumps(row))
    with pytest.raises(InputError, match=r"holds no tokenizer\.json"):
        target("./serve")


def test_counts_of_another_tokenizer_are_told(folder: Path) -> None:
    row = {"prompt": "bal bam ban", "prompt_tokens": 300, "output_tokens": 2}
    Path("trace.jsonl").write_text(json.dumps(row))
    made = target("./serve")
    assert {r.request.prompt_tokens for r in made.workload.requests} == {3}
    assert "1 of 1 texts counted anew" in made.title


def test_a_load_is_described_with_its_notes() -> None:
    trace = Trace("t", (TraceRequest(5, 2),), ("one thing", "another"))
    text = describe_load(trace, build_workload(trace, rate=10, duration=1))
    assert text.endswith("requests/s); one thing; another")
