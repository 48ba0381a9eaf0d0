"""`tune --workers`: real processes on one study, shown by one command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from objectives.engines.guardian import descendants_of
from objectives.serving import DEFAULT_CONFIGURATION
from optuna_scoot.cli.main import run
from optuna_scoot.tuning.audit import audit
from optuna_scoot.tuning.worker_identity import WORKER
from tests.small_model import make_small_model


STAND_IN = Path(__file__).parents[2] / "objectives" / "engines" / "stand_in_server.py"
SIMULATED = ["--engine", "simulated", "--service", "sql-2xa10-7b", "--duration", "5"]
REAL = ["--model", "model", "--trace", "t.jsonl", "--rate", "4", "--duration", "2"]
REAL += ["--engine-command", "./serve", "--verify", "0"]

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model, a trace and `serve`, which stands in for vLLM."""
    make_small_model(tmp_path / "model")
    (tmp_path / "t.jsonl").write_text('{"prompt_tokens": 9, "output_tokens": 5}\n')
    serve = tmp_path / "serve"
    serve.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    serve.chmod(0o755)
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts `tune` in the folder."""
    started = []

    def begin(*options: str, **env: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "optuna_scoot", "tune", *options]
        process = subprocess.Popen(
            [*words, "--study", "s", "--sampler", "random", "--seed", "1"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], code: int) -> str:
    """Wait for the end, and return all that was said."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    assert "Traceback" not in out + err
    return out + err


def study(tmp_path: Path) -> optuna.Study:
    return optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/scoot.db")


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running_trials(tmp_path: Path) -> list[optuna.trial.FrozenTrial]:
    try:
        return study(tmp_path).get_trials(states=(TrialState.RUNNING,))
    except Exception:  # there is no such file, table or study yet
        return []


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the process ids of the workers, which are the groups' leaders below the command."""
    below = descendants_of(process.pid)
    words = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in below}
    return sorted(pid for pid in below if b"optuna_scoot.cli.worker" in words[pid])


def test_workers_make_one_study_with_one_default_and_one_result(
    start: Start, tmp_path: Path
) -> None:
    said = ended(
        start(*SIMULATED, "--trials", "9", "--workers", "3", "--enqueue", "max_num_seqs=99"), 0
    )
    found = audit(study(tmp_path), 9)
    assert all(check.holds for check in found)
    trials = study(tmp_path).get_trials(states=(TrialState.COMPLETE,))
    assert len({trial.user_attrs[WORKER] for trial in trials}) > 1
    assert sum(bool(t.user_attrs.get(DEFAULT_CONFIGURATION)) for t in trials) == 1
    assert said.count(f"trial {trials[-1].number}: ") == 1
    assert said.count("written:") == 1
    assert json.loads((tmp_path / "runs/s/result.json").read_text())["options"]["workers"] == 3


def test_each_engine_has_gpus_of_its_own_and_each_worker_a_log_folder(
    start: Start, tmp_path: Path
) -> None:
    options = ["--trials", "6", "--workers", "2", "--gpus-per-worker", "1"]
    # Slow, so that on a busy machine the worker that is there first does not make all of them.
    said = ended(start(*REAL, *options, CUDA_VISIBLE_DEVICES="4,6", STAND_IN="slow 1"), 0)
    assert "2 workers on the GPUs 4, 6, one engine on each at a time" in said
    trials = study(tmp_path).trials
    assert {trial.user_attrs["gpus"] for trial in trials} == {"4", "6"}
    at_once = [
        (a, b)
        for a in trials
        for b in trials
        if a.number < b.number and b.datetime_start < a.datetime_complete
    ]
    assert len({trial.user_attrs[WORKER] for trial in trials}) == 2
    folders = {Path(trial.user_attrs["log"]).parent.name for trial in trials}
    assert folders == {"worker-1", "worker-2"}
    assert at_once


@pytest.mark.parametrize(
    ("options", "gpus", "message"),
    [
        (["--workers", "3"], "0,1", "--workers 3: with 1 GPUs each they need 3, and there are 2"),
        (
            ["--workers", "2", "--gpus-per-worker", "2"],
            "0,1,2",
            "--workers 2: with 2 GPUs each they need 4, and there are 3",
        ),
        (["--workers", "2", "--gpus-per-worker", "1"], "", "no GPU is seen"),
        (["--workers", "2", "--port", "8123"], "0,1", "--port: not with several --workers"),
    ],
)
def test_too_many_workers_for_the_gpus_are_refused_before_anything_starts(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    gpus: str,
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    before = optuna.logging.get_verbosity()
    assert run(["tune", *REAL, *options]) == 2
    optuna.logging.set_verbosity(before)
    assert message in capsys.readouterr().err
    assert not (folder / "scoot.db").exists()


def test_ctrl_c_ends_all_workers_with_their_engines_and_keeps_everything(
    start: Start, tmp_path: Path
) -> None:
    process = start(*REAL, "--trials", "50", "--workers", "2", STAND_IN="slow 2")
    wait_until(lambda: len(running_trials(tmp_path)) == 2)
    below = descendants_of(process.pid)
    process.send_signal(signal.SIGINT)
    assert "interrupted; everything is kept" in ended(process, 130)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))
    ends = [t.user_attrs.get("external_reason") for t in study(tmp_path).trials]
    assert ends == ["interrupted"] * 2


def test_ctrl_c_twice_ends_at_once_and_leaves_no_engine(start: Start, tmp_path: Path) -> None:
    process = start(*REAL, "--trials", "50", "--workers", "2", STAND_IN="deaf")
    wait_until(lambda: len(running_trials(tmp_path)) == 2)
    below = descendants_of(process.pid)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    ended(process, 130)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))


def test_a_killed_worker_is_replaced_and_its_trial_does_not_count(
    start: Start, tmp_path: Path
) -> None:
    process = start(*REAL, "--trials", "6", "--workers", "2")
    wait_until(lambda: any(t.number >= 3 for t in running_trials(tmp_path)))
    os.kill(workers_of(process)[0], signal.SIGKILL)
    said = ended(process, 0)
    assert "killed by signal 9; its trial does not count" in said
    assert all(check.holds for check in audit(study(tmp_path), 6))


def test_a_worker_that_dies_while_the_command_ends_is_not_replaced(
    start: Start, tmp_path: Path
) -> None:
    process = start(*REAL, "--trials", "50", "--workers", "2")
    wait_until(lambda: any(t.number >= 4 for t in running_trials(tmp_path)))
    workers = workers_of(process)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)  # so that none ends before it is killed
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    ended(process, 130)
    assert len({trial.user_attrs.get(WORKER) for trial in study(tmp_path).trials}) == 2


def test_workers_of_a_killed_command_end_with_it(start: Start, tmp_path: Path) -> None:
    process = start(*REAL, "--trials", "50", "--workers", "2", STAND_IN="slow 2")
    wait_until(lambda: len(running_trials(tmp_path)) == 2)
    below = descendants_of(process.pid)
    process.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))


def test_a_fault_that_stops_every_worker_is_told_once_and_ends_the_command(
    start: Start, tmp_path: Path
) -> None:
    process = start(*REAL, "--trials", "50", "--workers", "2", STAND_IN="status 404")
    said = ended(process, 3)
    assert "stopped (" in said.splitlines()[-1]
