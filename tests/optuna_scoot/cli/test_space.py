"""``optuna-scoot space``, and ``tune`` in the space that it shows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import optuna
import pytest

from optuna_scoot.cli.main import run


SIMULATED = ("--engine", "simulated", "--service", "sql-2xa10-7b")
HELP = """--max-num-seqs N --max-num-batched-tokens N --enable-prefix-caching --block-size N
 --stream-interval N --max-model-len N --performance-mode M --api-key K"""


@pytest.fixture
def serve(tmp_path: Path) -> str:
    """A container's command, which tells its options alone."""
    script = tmp_path / "serve"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c \"print('''{HELP}''')\"\n")
    script.chmod(0o755)
    return str(script)


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert run(["space", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["space", *words]) == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text.splitlines()[-1]


def test_space_of_a_service_with_the_users_changes(capsys: pytest.CaptureFixture[str]) -> None:
    changes = ("--param", "max-num-seqs=32..128:log", "--fix", "block-size=32")
    changes += ("--constraint", "max-num-seqs <= 100")
    found = shown(capsys, *SIMULATED, *changes)
    assert len(found["parameters"]) == 8
    assert found["fixed"] == {"block_size": 32}
    assert found["parameters"]["max_num_seqs"]["default"] == 256
    assert found["constraints"][-2:] == [
        "32 <= max_num_seqs <= 128 or max_num_seqs == 256",
        "max-num-seqs <= 100",
    ]


def test_lines_fit_a_terminal_and_hold_every_flag_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["space", *SIMULATED]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for name in shown(capsys, *SIMULATED)["parameters"]:
        assert f"--{name.replace('_', '-')}: " in text


def test_of_an_engine_the_rest_of_its_options_has_reasons(
    capsys: pytest.CaptureFixture[str], serve: str
) -> None:
    found = shown(capsys, "--model", "m", "--engine-command", serve, "--fix", "max-model-len=2048")
    named = {name.replace("_", "-") for name in (*found["parameters"], *found["fixed"])}
    untuned = {flag.removeprefix("--") for flags in found["untuned"].values() for flag in flags}
    flags = {word.removeprefix("--") for word in HELP.split() if word.startswith("--")}
    assert named | untuned == flags
    assert not named & untuned
    assert "enable_chunked_prefill or max_num_batched_tokens >= 2048" not in found["constraints"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--param max-num-seq=8..16", "has no --max-num-seq; did you mean --max-num-seqs?"),
        ("--fix max_num_seq=8", "has no --max-num-seq; did you mean --max-num-seqs?"),
        ("--fix block-size=7", "--block-size 7: it is one of 8, 16, 32"),
        ("--param max-num-seqs=16..8", "'--param': max-num-seqs: 16..8: the low end"),
        ("--param max-num-seqs=a,b", "--max-num-seqs is 256 in the engine by itself"),
        ("--param block-size=8,16 --fix block-size=8", "tuned and fixed at once"),
        ("--param block-size=8,16 --param block_size=8,32", "block_size is given twice"),
        ("--constraint max-num-seq<=9", "did you mean 'max_num_seqs'?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert message in refusal(capsys, *SIMULATED, *words.split())


def test_a_real_engines_own_default_has_to_be_known(
    capsys: pytest.CaptureFixture[str], serve: str
) -> None:
    engine = ("--model", "m", "--engine-command", serve)
    wanted = ("--param", "stream-interval=1..4")
    assert "--baseline" in refusal(capsys, *engine, *wanted)
    found = shown(capsys, *engine, *wanted, "--baseline", "stream-interval=2")
    assert found["parameters"]["stream_interval"]["default"] == 2


def test_trials_stay_in_the_wanted_range_and_the_default_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["tune", *SIMULATED, "--duration", "3", "--trials", "5", "--seed", "0"]
    words += ["--study", "s", "--storage", "sqlite:///s.db", "--output", "out"]
    words += ["--param", "max-num-seqs=65..70", "--fix", "tensor-parallel-size=2"]
    assert run([*words, "--fix", "block-size=32"]) == 0
    first, *others = optuna.load_study(study_name="s", storage="sqlite:///s.db").trials
    assert first.params["max_num_seqs"] == 256
    values = [trial.params["max_num_seqs"] for trial in others]
    assert all(65 <= value <= 70 or value == 256 for value in values)
    assert any(value != 256 for value in values)
    assert not {"block_size", "tensor_parallel_size"} & first.params.keys()
    assert "block-size: 32\n" in Path("out/best.yaml").read_text()
