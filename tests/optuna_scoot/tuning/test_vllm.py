"""The task of a vLLM: where the model's length and the trace's times come from."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from objectives.engines.capabilities import EngineCapabilities
from objectives.engines.vllm import VllmEngine
from objectives.traces import Trace
from objectives.traces import TraceRequest
from objectives.workload import build_workload
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.tuning import InputError
from optuna_scoot.tuning import Load
from optuna_scoot.tuning import TuningTask
from optuna_scoot.tuning import vllm_task
from optuna_scoot.tuning.load import describe_load
from optuna_scoot.tuning.server import _model_length
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


def task(
    command: str,
    trace: str = "trace.jsonl",
    engine_args: Mapping[str, Any] | None = None,
    **more: Any,
) -> TuningTask:
    arrivals = {"rate": None if more.get("replay") else 10, "duration": 20, **more}
    load = Load(trace, **arrivals)
    return vllm_task("./model", load, engine_command=command, engine_args=engine_args)


def longest(made: TuningTask) -> int:
    requests = [scheduled.request for scheduled in made.objective.workload.requests]
    return max(request.prompt_tokens + request.output_tokens for request in requests)


@pytest.mark.parametrize(
    ("command", "engine_args"),
    [
        ("./serve", {"max_model_len": "2048"}),
        ("./serve", {"max_model_len": "2K"}),
        ("./serve --max-model-len 2048", {}),
        ("./serve --max-model-len=4k --max_model_len=2K --model", {}),
        ("./serve --max-model-len 9k", {"max_model_len": "2048"}),
    ],
)
def test_the_models_length_is_known_from_arguments_and_commands(
    folder: Path, command: str, engine_args: dict[str, Any]
) -> None:
    clipped = task(command, too_long="clip", engine_args=engine_args)
    workload = clipped.objective.workload
    space = clipped.objective.space
    assert longest(clipped) == 2048
    assert 0 < workload.n_clipped < len(workload.requests)
    dropped = task(command, too_long="drop", engine_args=engine_args)
    assert dropped.objective.workload.n_dropped == 81
    with pytest.raises(InputError, match="need more tokens than the model's 2048"):
        task(command, engine_args=engine_args)
    # The known constraint is of the same length.
    known = KnownConstraints(space.known_constraints)
    params = {**space.default, "max_num_seqs": 8, "enable_chunked_prefill": False}
    assert known.satisfied({**params, "max_num_batched_tokens": 2048})
    assert not known.satisfied({**params, "max_num_batched_tokens": 2047})


@pytest.mark.parametrize(
    ("command", "engine_args", "expected"),
    [
        ("vllm serve", {}, 8192),
        ("vllm serve", {"max_model_len": "auto"}, 8192),
        ("vllm serve --max-model-len 4K", {}, 4096),  # of which the engine was not asked
        ("vllm serve --max-model-len 4K", {"max_model_len": "2K"}, 2048),
    ],
)
def test_the_words_of_a_command_go_before_what_the_engine_says(
    command: str, engine_args: dict[str, Any], expected: int
) -> None:
    engine = VllmEngine("m", command=command.split(), engine_args=engine_args)
    asked = EngineCapabilities(version="0.32.0", flags=frozenset(), max_model_len=8192)
    assert _model_length(engine, asked, None) == expected


@pytest.mark.parametrize("too_long", ["clip", "drop", "refuse"])
@pytest.mark.parametrize("engine_args", [{}, {"max_model_len": "auto"}])
def test_too_long_is_refused_where_nobody_tells_the_length(
    folder: Path, too_long: str, engine_args: dict[str, Any]
) -> None:
    with pytest.raises(
        InputError, match=f"`too_long` {too_long}: nothing tells .*max-model-len=N"
    ):
        task("./serve", too_long=too_long, engine_args=engine_args)


def test_no_constraint_is_made_of_a_length_that_nobody_tells(folder: Path) -> None:
    made = task("./serve")
    assert longest(made) == 10050
    assert made.objective.space.known_constraints == ("max_num_seqs <= max_num_batched_tokens",)


def test_a_length_that_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="max-model-len: '8x' is not a number of tokens"):
        task("./serve", engine_args={"max_model_len": "8x"})
    with pytest.raises(InputError, match="--max-model-len: 'long' is not a number of tokens"):
        task("./serve --max-model-len long")


def test_times_are_in_the_unit_that_the_user_names(folder: Path) -> None:
    rows = [{"timestamp": t, "input_length": 9, "output_length": 2} for t in (0, 500, 1500)]
    Path("trace.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(
        InputError, match=r"nothing tells the unit of timestamp: .*trace-time-unit"
    ):
        task("./serve", replay=True)
    made = task("./serve", replay=True, trace_time_unit="ms")
    assert [scheduled.time for scheduled in made.objective.workload.requests] == [0.0, 0.5, 1.5]
    assert made.settings["trace time unit"] == "ms"


def test_what_was_left_out_of_a_trace_is_told(folder: Path) -> None:
    header = "num_prefill_tokens,num_decode_tokens,session\n"
    Path("trace.csv").write_text(header + "9,2,a\n9,0,b\n0,1,c\n8,2,a\n")
    made = task("./serve", "trace.csv")
    assert "2 of 4 rows left out, without prompt or answer; not used: session" in made.title


def test_a_model_without_tokenizer_serves_texts_that_bring_their_counts(folder: Path) -> None:
    Path("model/tokenizer.json").unlink()
    row = {"prompt": "one two", "prompt_tokens": 2, "output_tokens": 2}
    Path("trace.jsonl").write_text(json.dumps(row))
    assert {r.request.prompt for r in task("./serve").objective.workload.requests} == {"one two"}
    del row["prompt_tokens"]
    Path("trace.jsonl").write_text(json.dumps(row))
    with pytest.raises(InputError, match=r"holds no tokenizer\.json"):
        task("./serve")


def test_counts_of_another_tokenizer_are_told(folder: Path) -> None:
    row = {"prompt": "bal bam ban", "prompt_tokens": 300, "output_tokens": 2}
    Path("trace.jsonl").write_text(json.dumps(row))
    made = task("./serve")
    assert {r.request.prompt_tokens for r in made.objective.workload.requests} == {3}
    assert "1 of 1 texts counted again" in made.title


def test_a_load_is_described_with_its_notes() -> None:
    trace = Trace("t", (TraceRequest(5, 2),), ("one thing", "another"))
    text = describe_load(build_workload(trace, rate=10, duration=1), trace.notes)
    assert text.endswith("requests/s); one thing; another")


def test_a_load_without_a_trace_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="`trace` is missing"):
        vllm_task("./model", Load(rate=1.0), engine_command="./serve")
