"""What `tune` finds before the first engine starts, and how it ends when engines fail alike."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from optuna_scoot.cli.main import run
from optuna_scoot.tuning.result_files import LEAST_FREE_BYTES
from tests.small_model import make_small_model


STAND_IN = Path(__file__).parents[2] / "objectives" / "engines" / "stand_in_server.py"
LOAD = ["--trace", "t.jsonl", "--rate", "4", "--duration", "2"]
TUNE = ["tune", "--model", "model", *LOAD, "--study", "s", "--sampler", "random", "--seed", "1"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a model, a trace and `serve`, which stands in for vLLM."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTUNA_SCOOT_STORAGE", raising=False)
    make_small_model(Path("model"))
    Path("t.jsonl").write_text('{"prompt_tokens": 9, "output_tokens": 5}\n')
    serve = Path("serve")
    serve.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    serve.chmod(0o755)
    before = optuna.logging.get_verbosity()
    yield tmp_path
    optuna.logging.set_verbosity(before)


def left_behind() -> set[str]:
    return {path.name for path in Path().iterdir()} - {"model", "t.jsonl", "serve"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine-command", "./serve --api-key verysecret"], "VLLM_API_KEY"),
        (["--engine-command", "docker run -e VLLM_API_KEY=verysecret i"], "VLLM_API_KEY"),
        (["--engine-command", "sh -c './serve --api-key very\"secret\"'"], "VLLM_API_KEY"),
        (["--engine-command", "./serve --ssl-keyfile k"], "TLS"),
        (["--engine-command", "./serve", "--engine-arg", "ssl-certfile=c"], "TLS"),
        (["--engine-command", "./serve", "--engine-arg", "api-key=verysecret\n"], "HTTP header"),
        (["--engine-command", "./serve", "--engine-arg", "api-key verysecret"], "name=value"),
        (["--engine-command", "./serve", "--engine-arg", "x-key=verysecret"], "secret"),
        (["--engine-command", "HF_TOKEN=verysecret ./nosuch"], "cannot run ./nosuch"),
        (["--engine-command", "HF_TOKEN=verysecret"], "cannot run HF_TOKEN=***"),
        (["--engine-command", "./t.jsonl"], "cannot run ./t.jsonl: Permission denied"),
        (["--engine-command", "docker run -p 1:1 i"], "--network host"),
        (
            ["--engine-command", "./serve --max-num-seqs 4"],
            "--engine-command sets max_num_seqs, which would be tuned: give it with --engine-arg",
        ),
        (
            [
                "--engine-command",
                "./serve",
                "--engine-arg",
                "block-size=8",
                "--engine-arg",
                "block_size=16",
            ],
            "'block_size' is given twice",
        ),
        (["--engine-command", "./serve", "--output", "t.jsonl/out"], "t.jsonl is not a folder"),
        (["--engine-command", "./serve", "--storage", "sqlite:///no/x.db"], "unable to open"),
        (["--engine-command", "./serve", "--model", "/models/m"], "no /models/m on this machine"),
    ],
)
def test_what_is_certain_to_fail_is_one_line_and_leaves_nothing_behind(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*TUNE, *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert "verysecret" not in captured.out + captured.err
    assert left_behind() == set()


@pytest.mark.parametrize("name", ["VLLM_API_KEY", "HF_TOKEN"])
def test_key_of_the_environment_that_no_header_carries(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, "very\nsecret")
    assert run([*TUNE, "--engine-command", "./serve"]) == 2
    err = capsys.readouterr().err
    assert name in err
    assert err.count("\n") == 1
    assert "secret" not in err
    assert left_behind() == set()


def test_full_disk_is_found_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = (10**12, 10**12 - LEAST_FREE_BYTES // 2, LEAST_FREE_BYTES // 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(*full))  # type: ignore[attr-defined]
    assert run([*TUNE, "--engine-command", "./serve"]) == 2
    assert "has 10 MB left: make room" in capsys.readouterr().err
    assert left_behind() == set()


def test_too_few_open_files_are_found_before_anything_is_written() -> None:
    command = [sys.executable, "-c", "from optuna_scoot.cli.main import main; main()", *TUNE]
    shell = 'ulimit -n 60; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *command, "--engine-command", "./serve"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "may open 60 files at most" in done.stderr
    assert done.stderr.count("\n") == 1
    assert left_behind() == set()


def with_limit(limit: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, under a limit of the shell's."""
    command = [sys.executable, "-c", "from optuna_scoot.cli.main import main; main()", *TUNE]
    return subprocess.run(
        ["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *command, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("limit", "load", "where"),
    [
        (200, ["--rate", "150"], "optuna-scoot: the load"),
        # About 130 requests, and 149 in one of the orders that follow.
        (215, ["--rate", "100", "--duration", "1.3"], "arrival order 2 of the verdict: the load"),
    ],
)
def test_connections_that_cannot_be_had_are_told_before_the_first_engine(
    limit: int, load: list[str], where: str
) -> None:
    done = with_limit(f"-n {limit}", "--engine-command", "./serve", *load)
    assert done.returncode == 2
    assert where in done.stderr
    assert f"but it may open {limit} files at most: raise its hard limit" in done.stderr
    assert done.stderr.count("\n") == 1
    assert left_behind() == set()


def test_long_load_is_not_refused_for_its_requests() -> None:
    long = ["--rate", "2", "--duration", "2000", "--max-hours", "0.1"]
    done = with_limit("-n 1200", "--engine-command", "./serve", *long)
    # 4,000 requests, of which 700 can be under way at once: only the time is too short.
    assert "--max-hours 0.1" in done.stderr
    assert "files" not in done.stderr


def test_log_that_does_not_fit_on_its_disk_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "chatter 1 3")
    done = with_limit("-f 800", "--engine-command", "./serve", "--trials", "3", "--output", "out")
    assert done.returncode == 3
    assert "stopped (file_system): the log out/engine-logs/trial-0-" in done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    (trial,) = optuna.load_study(study_name="s", storage="sqlite:///scoot.db").trials
    assert trial.user_attrs["failure_is_external"] is True
    assert "crash_reason" not in trial.user_attrs


def test_default_that_does_not_start_stops_and_the_mended_command_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*TUNE, "--engine-command", "HF_TOKEN=verysecret ./serve", "--output", "out"]
    monkeypatch.setenv("STAND_IN", "die 1 OSError: a strange fault of verysecret")
    assert run([*command, "--trials", "2"]) == 3
    err = capsys.readouterr().err
    assert "the default configuration does not start" in err
    assert "OSError: a strange fault of ***" in err
    assert "run the same command again" in err
    assert err.count("\n") == 1
    assert json.loads(Path("out/result.json").read_text())["trials"]["counted"] == 0
    monkeypatch.setenv("STAND_IN", "good")
    assert run([*command, "--trials", "2"]) == 0
    result = json.loads(Path("out/result.json").read_text())
    assert result["default"]["state"] == "COMPLETE"
    assert result["trials"]["completed"] == 2
    assert result["options"]["engine_command"] == "HF_TOKEN=*** ./serve"
    for path in Path("out").rglob("*"):
        if path.is_file() and path.parent.name != "engine-logs":
            content = path.read_bytes()
            plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
            assert b"verysecret" not in plain
    assert b"verysecret" not in Path("scoot.db").read_bytes()


def test_engine_that_wants_another_kind_of_request_stops_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN", "status 404")
    assert run([*TUNE, "--engine-command", "./serve", "--trials", "3"]) == 3
    assert "stopped (request_refused): it answered a first request with 404" in (
        capsys.readouterr().err
    )


def test_where_nothing_completes_the_reason_and_the_logs_end_are_told_with_a_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # One trial, since the default configuration's failure is looked into before a second one.
    monkeypatch.setenv("STAND_IN", "die 1 torch.OutOfMemoryError: CUDA out of memory.")
    assert run([*TUNE, "--engine-command", "./serve", "--output", "out", "--trials", "1"]) == 5
    out = capsys.readouterr().out
    assert "nothing completed, so there is nothing to recommend: 1 of 1 trials crashed" in out
    assert "crashed (out_of_memory): trial 0: torch.OutOfMemoryError: CUDA out of memory" in out
    (log,) = Path("out/engine-logs").iterdir()
    assert f"log of trial 0: {log}" in out.replace(f"{Path.cwd()}/", "")
    shown = out.split("the engine's last lines in trial 0:\n")[1]
    assert "  torch.OutOfMemoryError: CUDA out of memory." in shown.splitlines()
    assert "┃ trial ┃" not in out
