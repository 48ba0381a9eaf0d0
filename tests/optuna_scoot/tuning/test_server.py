"""Tasks of engines that are servers: their spaces, their studies, what they are served with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from optuna.distributions import IntDistribution

from optuna_scoot.tuning import InputError
from optuna_scoot.tuning import Load
from optuna_scoot.tuning import TuningTask
from optuna_scoot.tuning import server_task
from optuna_scoot.tuning import tune
from tests.small_model import make_small_model


SERVER = Path(__file__).parents[2] / "objectives" / "engines" / "stand_in_others.py"
OTHER = f"{sys.executable} {SERVER} other -m {{model}} --port {{port}} {{flags}}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Holds a model with a shape, a trace, and programs with the interfaces of engines."""
    monkeypatch.chdir(tmp_path)
    make_small_model(Path("model"))
    shape = {"num_attention_heads": 12, "num_key_value_heads": 2, "intermediate_size": 64}
    Path("model/config.json").write_text(json.dumps({**shape, "max_position_embeddings": 4096}))
    rows = [{"prompt_tokens": 5 + i, "output_tokens": 3} for i in range(10)]
    Path("trace.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for kind in ("sglang", "trtllm"):
        script = f'#!/bin/sh\nexec "{sys.executable}" "{SERVER}" {kind} "$@"\n'
        Path(kind).write_text(script)
        Path(kind).chmod(0o755)
    return tmp_path


def task(engine: str, **more) -> TuningTask:
    load = Load("trace.jsonl", rate=8, duration=0.5)
    command = more.pop("engine_command", f"./{engine}")
    return server_task("./model", load, engine=engine, engine_command=command, **more)


def test_sglang_is_tuned_from_its_own_defaults(folder: Path) -> None:
    made = task("sglang", n_gpus=8)
    space = made.objective.space
    assert space.default["max_running_requests"] is None
    assert space.parameters["tensor_parallel_size"].choices == (1, 2, 4)  # of 12 heads, no eighth
    result = tune(made, n_trials=3, seed=0)
    assert (result.completed, result.crashed) == (3, 0)
    result.save(folder / "out")
    best = yaml.safe_load((folder / "out" / "best.yaml").read_text())
    assert best["model-path"] == "./model"
    assert None not in best.values()


def test_trtllm_has_names_with_underscores_and_the_length_of_its_model(folder: Path) -> None:
    made = task("trtllm", engine_args={"enable_chunked_prefill": False})
    assert "enable_chunked_prefill" not in made.objective.space.parameters
    assert task("trtllm").objective.space.known_constraints == (
        "enable_chunked_prefill or max_num_tokens >= 4096",
    )
    result = tune(made, n_trials=1, seed=0)
    result.save(folder / "out")
    best = yaml.safe_load((folder / "out" / "best.yaml").read_text())
    assert best["max_batch_size"] == 2048


def test_a_server_by_its_command_has_the_space_that_the_user_names(folder: Path) -> None:
    params = {"threads": IntDistribution(1, 8)}
    with pytest.raises(InputError, match="--threads: nobody knows what the engine has by itself"):
        task("command", engine_command=OTHER, params=params)
    with pytest.raises(InputError, match="nothing is known of the options"):
        task("command", engine_command=OTHER)
    with pytest.raises(InputError, match=r"write the command that starts the server"):
        task("command", engine_command="serve {model}", params=params)
    made = task("command", engine_command=OTHER, params=params, baseline={"threads": 4})
    result = tune(made, n_trials=2, seed=0)
    assert (result.completed, result.crashed) == (2, 0)
    assert result.default.params == {"threads": 4}


def test_what_an_engine_does_not_have_is_named_with_the_nearest(folder: Path) -> None:
    for engine, wrong, right in [
        ("sglang", "max_running_request", "--max-running-requests"),
        ("trtllm", "max_batchsize", "--max_batch_size"),
    ]:
        for words in ({"params": {wrong: IntDistribution(1, 2)}}, {"engine_args": {wrong: "3"}}):
            with pytest.raises(InputError, match=f"did you mean {right}"):
                task(engine, **words)
    with pytest.raises(InputError, match="`engine` 'tgi': one of vllm, sglang, trtllm, command"):
        task("tgi")
