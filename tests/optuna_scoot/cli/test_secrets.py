"""Whole runs on a stand-in for vLLM that is told secrets in every way: none is left anywhere."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_model import make_small_model


STAND_IN = Path(__file__).parents[2] / "objectives" / "engines" / "stand_in_server.py"
RUN = [sys.executable, "-c", "from optuna_scoot.cli.main import main; main()"]
LOAD = ["--model", "model", "--trace", "t.jsonl", "--rate", "4", "--duration", "2"]
TUNE = ["tune", *LOAD, "--study", "s", "--sampler", "random", "--seed", "1", "--trials", "1"]
TUNE += ["--verify", "0", "--output", "out"]
# Each secret has a number of its own, so that a failure tells which one is left.
COMMAND = (
    "MY_PASSWD=hush-01 ./serve --x-auth hush-02 --passwd=hush-03 --hf-tok hush-04"
    " --header 'X-Api-Key: hush-05' --proxy http://me:hu@hush-06@host --hub https://hush-07@host"
    " --dsn 'host=h password=hush-08' --told $TOLD"
)
ENVIRONMENT = {
    "HF_TOKEN": "hush-09",
    "TOLD_AUTH": "hush-10",
    "HTTPS_PROXY": "http://me:hush-11@proxy",
}
# Each of these opens a database, which is no engine's business.
DATABASE = {
    "OPTUNA_SCOOT_STORAGE": "sqlite:///scoot.db?password=hush-20",
    "PGPASSWORD": "hush-21",
    "DATABASE_URL": "postgresql://me:hush-22@host/db",
}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a model, a trace, and `serve`, which writes its environment to `told`."""
    monkeypatch.chdir(tmp_path)
    make_small_model(Path("model"))
    Path("t.jsonl").write_text('{"prompt_tokens": 9, "output_tokens": 5}\n')
    serve = Path("serve")
    serve.write_text(f'#!/bin/sh\nenv >> told\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    serve.chmod(0o755)
    return tmp_path


def tune(stand_in: str = "good") -> subprocess.CompletedProcess[str]:
    command = COMMAND.replace("$TOLD", ENVIRONMENT["TOLD_AUTH"])
    return subprocess.run(
        [*RUN, *TUNE, "--engine-command", command],
        env={**os.environ, **ENVIRONMENT, **DATABASE, "STAND_IN": stand_in},
        capture_output=True,
        text=True,
        check=False,
    )


def left_over() -> str:
    """What database and results hold, which everybody may be shown."""
    files = [Path("scoot.db"), *(path for path in Path("out").iterdir() if path.is_file())]
    files += Path("out/artifacts").glob("*")
    return "\n".join(path.read_bytes().decode(errors="replace") for path in files)


def test_a_run_shows_and_keeps_no_secret() -> None:
    done = tune()
    assert done.returncode == 0, done.stderr
    assert "hush" not in done.stdout + done.stderr
    assert "--x-auth ***" in left_over()  # the command is there, for the trial and the options
    assert "hush" not in left_over()


@pytest.mark.parametrize("n_of_secrets", [range(1, 4), range(4, 7), range(7, 10), range(10, 12)])
def test_what_an_engine_says_when_it_dies_is_kept_without_secrets(n_of_secrets: range) -> None:
    said = ", ".join(f"'hush-{n:02}'" for n in n_of_secrets)
    done = tune(f"die 1 ValueError: refused are {said}")
    assert done.returncode == 3
    assert "refused are" in done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"log_tail.*refused are", left_over())
    assert "hush" not in done.stdout + done.stderr + left_over()


def test_what_an_engine_answers_under_load_is_kept_without_secrets() -> None:
    server = Path("serve")
    text = STAND_IN.read_text(encoding="utf-8").replace('b"no"', 'b"no: hush-03 and hush-10"')
    Path("server.py").write_text(text, encoding="utf-8")
    server.write_text(f'#!/bin/sh\nexec "{sys.executable}" server.py "$@"\n')
    done = tune("refuse 1")
    assert "no: *** and ***" in left_over()
    assert "hush" not in done.stdout + done.stderr + left_over()


def test_an_engine_is_told_its_own_secrets_and_nothing_of_the_database() -> None:
    assert tune().returncode == 0
    told = Path("told").read_text()
    assert told.count("HF_TOKEN=hush-09") == 2  # it is asked what it takes, and serves
    assert "MY_PASSWD=hush-01" in told
    assert "hush-2" not in told


def test_what_may_hold_a_secret_is_for_its_owner_alone() -> None:
    before = os.umask(0)
    try:
        assert tune().returncode == 0
    finally:
        os.umask(before)
    files = [Path("scoot.db"), *(path for path in Path("out").rglob("*") if path.is_file())]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files}
    written = {"best.yaml", "result.json", "trials.csv"}
    logs = [name for name in modes if name.endswith(".log")]  # what the engine was started with
    assert {"scoot.db", *written, *logs} <= set(modes)
    assert logs
    assert set(modes.values()) == {0o600}
