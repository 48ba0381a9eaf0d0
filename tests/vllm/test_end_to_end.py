"""The whole command on a real vLLM: four trials, one of them a configuration that must crash."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from objectives.engines.stated_config import changed_flags
from tests.vllm.conftest import ENVIRONMENT


# 24 blocks of the default's 128 tokens hold a sequence of 1024. Of 32 tokens they do not, which
# vLLM finds out only after it has loaded the model: a hidden constraint.
N_BLOCKS = 24
CRASHES = {"block_size": 32}
PARSE = """
import json, sys
from vllm.entrypoints.cli import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
subparsers = parser.add_subparsers(dest="subparser")
for command in serve.cmd_init():
    command.subparser_init(subparsers)
arguments = vars(parser.parse_args(["serve", "--config", sys.argv[1]]))
json.dump({name: arguments[name] for name in sys.argv[2:]}, sys.stdout)
"""


@dataclass(frozen=True)
class Run:
    """A finished command: its folder, what it said, and how it ended."""

    folder: Path
    command: list[str]
    done: subprocess.CompletedProcess[str]

    def again(self) -> subprocess.CompletedProcess[str]:
        """The same command once more."""
        return _execute(self.command, self.folder)

    @property
    def study(self) -> optuna.Study:
        return optuna.load_study(study_name="s", storage=f"sqlite:///{self.folder}/scoot.db")

    @property
    def counted(self) -> list[FrozenTrial]:
        """The trials but those that a moment's load of the machine spoilt: they are done again."""
        reasons = [trial.user_attrs.get("external_reason") for trial in self.study.trials]
        busy = ("late_generator", "generator_share")
        trials = zip(self.study.trials, reasons, strict=True)
        return [trial for trial, reason in trials if reason not in busy]

    @property
    def default(self) -> FrozenTrial:
        """The default configuration, measured."""
        marked = [t for t in self.counted if t.user_attrs.get("default_configuration")]
        assert len(marked) == 1
        return marked[0]


def _execute(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="module")
def run(vllm_python: str, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("tune")
    command = [str(Path(sys.executable).with_name("optuna-scoot")), "tune"]
    command += ["--model", str(model), "--python", vllm_python, "--trace", "bot"]
    command += ["--rate", "4", "--duration", "2", "--too-long", "clip", "--trials", "4"]
    command += ["--objective", "ttft-tpot", "--sampler", "scoot", "--seed", "0"]
    command += ["--engine-arg", "max-model-len=1024", "--engine-arg", "dtype=float32"]
    command += ["--engine-arg", "enforce-eager=true"]
    command += ["--engine-arg", f"num-gpu-blocks-override={N_BLOCKS}"]
    command += ["--enqueue", ",".join(f"{k}={v}" for k, v in CRASHES.items())]
    command += ["--storage", "sqlite:///scoot.db", "--study", "s", "--output", "out"]
    command += ["--verify", "3", "--finalists", "1"]
    return Run(folder, command, _execute(command, folder))


def test_four_trials_default_first_and_the_crash_recorded(run: Run) -> None:
    assert run.done.returncode == 0, run.done.stdout + run.done.stderr
    assert len(run.counted) == 4
    assert run.study.trials[0].user_attrs["default_configuration"] is True
    assert run.default.state == TrialState.COMPLETE
    assert all(value > 0 for value in run.default.values)
    (crashed,) = (t for t in run.counted if CRASHES.items() <= t.params.items())
    assert crashed.state == TrialState.FAIL
    assert crashed.user_attrs["crash_reason"] == "out_of_memory"
    assert "failure_is_external" not in crashed.user_attrs


def test_it_shows_progress_table_and_crash(run: Run) -> None:
    assert re.search(r"\[[12]/4\] trial 1: crashed \(out_of_memory\)", run.done.stdout)
    assert "┃ trial ┃" in run.done.stdout
    assert "crashed (out_of_memory): trial" in run.done.stdout
    assert "simulated" not in run.done.stdout.lower()
    assert "Traceback" not in run.done.stderr


def test_result_files_agree_with_the_study(run: Run) -> None:
    result = json.loads((run.folder / "out" / "result.json").read_text())
    assert result["simulated"] is False
    assert result["engine"].startswith("vLLM 0.")
    assert result["crashes"]["out_of_memory"] >= 1
    assert list(result["default"]["values"].values()) == run.default.values
    rows = list(csv.DictReader((run.folder / "out" / "trials.csv").read_text().splitlines()))
    assert [row["state"] for row in rows] == [t.state.name for t in run.study.trials]
    assert float(rows[run.default.number]["metrics.completed"]) > 0


def test_a_verdict_on_fresh_engines_closes_it(run: Run) -> None:
    slo = json.loads((run.folder / "out" / "slo.json").read_text())
    assert slo["verdict"]["sentence"] in run.done.stdout.replace("\n", " ")
    default, *finalists = slo["configurations"]
    assert len(finalists) <= 2  # the best, and the best with fewer overrides
    for metric in default["metrics"].values():
        assert len(set(metric["values"])) == 3
        assert metric["worst"] == max(metric["values"])
    storage = f"sqlite:///{run.folder}/scoot.db"
    trials = optuna.load_study(study_name=slo["measurements"], storage=storage).trials
    logs = {trial.user_attrs["log"] for trial in trials}
    assert len(logs) == len(trials) >= 3 * len(slo["configurations"])


def test_every_flag_is_confirmed_by_the_engine(run: Run) -> None:
    for trial in run.counted:
        if trial.state == TrialState.COMPLETE:
            assert trial.user_attrs["flags confirmed"] == ", ".join(trial.params)
            assert changed_flags(trial.user_attrs) == {}
            assert "flags not stated" not in trial.user_attrs


def test_best_yaml_is_read_by_vllm_as_what_is_recommended(run: Run, vllm_python: str) -> None:
    slo = json.loads((run.folder / "out" / "slo.json").read_text())
    named = {found["name"]: found["changed"] for found in slo["configurations"]}
    changed = named[slo["verdict"]["recommended"]]
    _check_parsed(run.folder / "out" / "best.yaml", changed, vllm_python)


def test_any_other_trial_is_exported_as_vllm_reads_it(run: Run, vllm_python: str) -> None:
    others = [t for t in run.counted if t.state == TrialState.COMPLETE and t != run.default]
    default = run.default.params
    for trial in others:
        path = run.folder / f"trial-{trial.number}.yaml"
        words = ["export", "--trial", str(trial.number), "--storage", "sqlite:///scoot.db"]
        done = _execute([run.command[0], *words, "--output", str(path)], run.folder)
        assert done.returncode == 0, done.stderr
        changed = {k: v for k, v in trial.params.items() if v != default[k]}
        assert changed
        _check_parsed(path, changed, vllm_python)


def _check_parsed(path: Path, changed: dict[str, Any], vllm_python: str) -> None:
    """See that vLLM reads what was changed and what every trial had."""
    names = [*changed, "model", "max_model_len", "enforce_eager"]
    done = subprocess.run(
        [vllm_python, "-c", PARSE, str(path), *names],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    parsed = json.loads(done.stdout.splitlines()[-1])
    model = yaml.safe_load(path.read_text())["model"]
    assert parsed == {**changed, "model": model, "max_model_len": 1024, "enforce_eager": True}


def test_same_command_again_adds_no_trial(run: Run) -> None:
    n_trials = len(run.study.trials)
    slo = (run.folder / "out" / "slo.json").read_text()
    again = run.again()
    assert again.returncode == 0, again.stderr
    assert len(run.study.trials) == n_trials
    assert "┃ trial ┃" in again.stdout
    assert (run.folder / "out" / "slo.json").read_text() == slo


def test_no_engine_is_left_behind(run: Run) -> None:
    commands = [trial.user_attrs.get("command", "") for trial in run.study.trials]
    names = [c.partition("--served-model-name ")[2].partition(" ")[0] for c in commands if c]
    assert names
    running = [path.read_bytes().decode(errors="replace") for path in _command_lines()]
    assert not [line for line in running for name in names if name in line]


def test_ctrl_c_stops_the_engine_and_keeps_the_study(run: Run) -> None:
    command = [*run.command, "--study", "interrupted", "--output", "interrupted"]
    process = subprocess.Popen(
        command,
        cwd=run.folder,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    logs = run.folder / "interrupted" / "engine-logs"
    deadline = time.monotonic() + 300
    while not list(logs.glob("trial-0-*.log")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert "everything is kept" in out
    assert "Traceback" not in err
    study = optuna.load_study(study_name="interrupted", storage=f"sqlite:///{run.folder}/scoot.db")
    assert study.trials[0].user_attrs["external_reason"] == "interrupted"
    label = next(logs.glob("trial-0-*.log")).stem.removeprefix("trial-0-")
    running = [path.read_bytes().decode(errors="replace") for path in _command_lines()]
    assert not [line for line in running if label in line]


def _command_lines() -> list[Path]:
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
