"""The command itself: its help, its errors, and whole runs on a simulated service."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from objectives.engines.simulated import SimulatedEngine
from optuna_scoot import tuning
from optuna_scoot.cli.export import export
from optuna_scoot.cli.main import run
from optuna_scoot.cli.proxy import proxy
from optuna_scoot.cli.tune_command import tune
from optuna_scoot.cli.verify import verify


SIMULATED = ["tune", "--engine", "simulated", "--duration", "5", "--seed", "0", "--output", "out"]
REAL = ["tune", "--model", "m", "--trace", "bot", "--rate", "5"]


pytestmark = pytest.mark.usefixtures("own_folder")


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "tune" in capsys.readouterr().out


def test_help_is_light() -> None:
    code = (
        "import sys; from optuna_scoot.cli.main import run; run(['--help']);"
        "sys.exit('torch' in sys.modules or 'optuna' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_command_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Usage: optuna-scoot" in capsys.readouterr().err


def test_help_of_tune_tells_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "--help"]) == 0
    out = capsys.readouterr().out
    for option in ("--model", "--trace", "--objective", "--rate", "--duration", "--trials"):
        assert option in out
    for option in ("--storage", "--study", "--sampler", "--seed", "--python", "--engine-arg"):
        assert option in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["tune", "--nosuch"], "No such option '--nosuch'"),
        (["tune"], "--model is missing"),
        (["tune", "--model", "m"], "--trace is missing"),
        (["tune", "--model", "m", "--trace", "bot"], "--rate is missing"),
        ([*REAL[:-1], "-1"], "-1 is not a positive number"),
        ([*REAL[:-1], "nan"], "nan is not a positive number"),
        ([*REAL[:-1], "fast"], "'fast' is not a valid float"),
        ([*REAL, "--duration", "0"], "0 is not a positive number"),
        ([*REAL, "--trials", "0"], "0 is not in the range"),
        ([*REAL, "--port", "70000"], "70000 is not in the range"),
        ([*REAL, "--sampler", "magic"], "'magic' is not one of"),
        ([*REAL, "--objective", "joy"], "'joy' is not one of"),
        ([*REAL, "--trace", "nosuch"], "no trace 'nosuch'"),
        ([*REAL, "--engine-arg", "port=1"], "'port' is set for every trial"),
        ([*REAL, "--engine-arg", "=1"], "is not an engine argument"),
        ([*REAL, "--engine-arg", "my-secret=1"], "looks like a secret"),
        ([*REAL, "--service", "bot-2xa100-13b"], "add --engine simulated"),
        ([*REAL, "--python", "/no/such/python"], "cannot run /no/such/python"),
        ([*REAL, "--python", sys.executable], "No module named 'vllm'"),
        ([*REAL, "--model", "./no/such/model"], "there is no model folder ./no/such/model"),
        ([*REAL, "--engine-command", "'"], "--engine-command"),
        ([*REAL, "--python", "p", "--engine-command", "c"], "not both"),
        ([*SIMULATED, "--service", "bot-9xb200-1t"], "no simulated service 'bot-9xb200-1t'"),
        ([*SIMULATED, "--model", "m"], "--model: not with --engine simulated"),
        ([*SIMULATED, "--constraint", "max_num_seqs <="], "--constraint"),
        ([*SIMULATED, "--constraint", "speed > 3"], "names 'speed'"),
        ([*SIMULATED, "--constraint", "__import__('os')"], "--constraint"),
        ([*SIMULATED, "--constraint", "max_num_seqs > 100000"], "No configuration"),
        ([*SIMULATED, "--output", ""], "Invalid value for '--output': nothing is given"),
        ([*SIMULATED, "--trace", ""], "Invalid value for '--trace': nothing is given"),
        ([*SIMULATED, "--slo", ""], "Invalid value for '--slo': nothing is given"),
        (
            [*SIMULATED, "--enqueue", "block_size=7"],
            "--enqueue: block_size=7 is not one of 8, 16, 32",
        ),
        ([*SIMULATED, "--enqueue", "speed=7"], "'speed' is not tuned here"),
        ([*SIMULATED, "--enqueue", "block_size"], "is not name=value"),
        ([*SIMULATED, "--enqueue", "block_size=[1"], "has no plain value"),
        ([*SIMULATED, "--enqueue", "max_num_seqs=512,max_num_batched_tokens=64"], "violates"),
        ([*SIMULATED, "--minimize", "speed"], "'speed' is not a metric"),
        ([*SIMULATED, "--minimize", "ttft"], "say which, as in 'mean ttft'"),
        ([*SIMULATED, "--maximize", "p99 ttft"], "minimize it"),
        ([*SIMULATED, "--maximize", "goodput"], "goodput counts the requests that keep limits"),
        ([*SIMULATED, "--objective", "throughput", "--minimize", "p99 ttft"], "take its place"),
        ([*SIMULATED, "--slo", "p99 ttft"], "is not a limit"),
        ([*SIMULATED, "--slo", "p99 ttft <= 500"], "the unit is ms or s"),
        ([*REAL, "--python", "/no/such/python", "--slo", "fast"], "is not a limit"),
        ([*SIMULATED, "--baseline", "nosuch.yaml"], "--baseline nosuch.yaml: No such file"),
        ([*SIMULATED, "--baseline", "speed=3"], "speed: not tuned here"),
        ([*SIMULATED, "--baseline", "block_size=x"], "is not a value like those"),
        ([*SIMULATED, "--storage", "nosuch"], "not a storage URL"),
        ([*SIMULATED, "--storage", "sqlite:///no/dir/x.db"], "unable to open database file"),
        ([*SIMULATED, "--output", "/dev/null/out"], "--output /dev/null/out"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert err.startswith("optuna-scoot: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"prompt_tokens": 3}\n', "line 1"),
        ('{"prompt_tokens": -3, "output_tokens": 1}\n', "prompt_tokens must be at least 1"),
        ("not json\n", "line 1"),
        ("", "holds no request"),
    ],
)
def test_bad_trace_file_is_one_line(
    content: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("trace.jsonl").write_text(content)
    assert run([*SIMULATED, "--trace", "trace.jsonl"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_taken_port_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert run([*REAL, "--port", port]) == 2
    err = capsys.readouterr().err
    assert port in err
    assert err.count("\n") == 1


def test_run_tunes_the_default_first_and_writes_table_and_files(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([*SIMULATED, "--trials", "5", "--sampler", "random"]) == 0
    out = capsys.readouterr().out
    assert "SIMULATED" in out
    assert "[5/5]" in out
    # The header may wrap between its words where the figures are wide.
    assert "default" in out.partition("┃ trial ┃")[2]
    result = json.loads(Path("out/result.json").read_text())
    assert result["simulated"] is True
    assert result["engine"] == "simulated engine bot-2xa100-13b"
    assert result["default"]["number"] == 0
    assert result["trials"]["counted"] == 5
    best = yaml.safe_load(Path("out/best.yaml").read_text()) or {}
    found = {**result["default"]["params"], **{k.replace("-", "_"): best[k] for k in best}}
    assert found == pytest.approx(result["best"]["params"])
    rows = list(csv.DictReader(Path("out/trials.csv").read_text().splitlines()))
    assert len(rows) == 5
    assert float(rows[0]["metrics.ttft_ms_mean"]) == pytest.approx(
        float(rows[0]["TTFT mean (ms)"])
    )


def test_same_command_again_adds_nothing_and_a_larger_total_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [*SIMULATED, "--sampler", "random", "--study", "s"]
    assert run([*command, "--trials", "3"]) == 0
    assert "nothing was left to do" not in capsys.readouterr().out
    assert run([*command, "--trials", "3"]) == 0
    again = capsys.readouterr().out
    assert "nothing was left to do: the study has all its trials" in again
    assert "trial 3" not in again
    assert "┃ trial ┃" in again
    assert run([*command, "--trials", "4"]) == 0
    study = optuna.load_study(study_name="s", storage="sqlite:///scoot.db")
    assert [t.number for t in study.trials] == [0, 1, 2, 3]
    assert sum(bool(t.user_attrs.get("default_configuration")) for t in study.trials) == 1


@pytest.mark.parametrize("sampler", ["scoot", "tpe", "nsga2", "gp"])
def test_every_sampler_tunes(sampler: str) -> None:
    assert run([*SIMULATED, "--trials", "4", "--sampler", sampler]) == 0
    assert json.loads(Path("out/result.json").read_text())["trials"]["counted"] == 4


def test_known_constraints_of_space_and_user_hold_under_scoot() -> None:
    arguments = [*SIMULATED, "--trials", "8", "--study", "s", "--constraint", "max_num_seqs < 99"]
    assert run(arguments) == 0
    trials = optuna.load_study(study_name="s", storage="sqlite:///scoot.db").trials
    assert len(trials) == 8
    for trial in trials[1:]:
        assert trial.params["max_num_seqs"] < 99
        assert trial.params["max_num_seqs"] <= trial.params["max_num_batched_tokens"]
        assert trial.user_attrs.get("crash_reason") != "known_constraint"


def test_enqueued_configurations_run_after_the_default() -> None:
    arguments = [*SIMULATED, "--trials", "3", "--study", "s", "--sampler", "random"]
    assert run([*arguments, "--enqueue", "max-num-seqs=128", "--enqueue", "block_size=8"]) == 0
    trials = optuna.load_study(study_name="s", storage="sqlite:///scoot.db").trials
    assert trials[1].params["max_num_seqs"] == 128
    assert trials[2].params["block_size"] == 8


def test_a_sampler_that_knows_no_constraints_meets_them_as_crashes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([*SIMULATED, "--trials", "9", "--sampler", "random"]) == 0
    result = json.loads(Path("out/result.json").read_text())
    assert result["crashes"]["known_constraint"] >= 1
    assert "crashed (known_constraint)" in capsys.readouterr().out


def test_study_of_another_load_or_objective_is_not_mixed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [*SIMULATED, "--trials", "1", "--study", "s"]
    assert run(command) == 0
    assert run([*command, "--rate", "3"]) == 2
    err = capsys.readouterr().err
    assert "was tuned differently (requests" in err
    assert "give another name with --study" in err
    assert run([*command, "--objective", "throughput"]) == 2
    assert "has other objectives" in capsys.readouterr().err


def test_study_of_another_space_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    study = optuna.create_study(
        directions=["minimize"] * 2, study_name="s", storage="sqlite:///scoot.db"
    )
    study.ask().suggest_categorical("block_size", [8, 9])
    assert run([*SIMULATED, "--trials", "1", "--study", "s"]) == 2
    err = capsys.readouterr().err
    assert "'s' has other choices for block_size" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["tune", "verify"])
def test_study_of_somebody_elses_is_one_line_and_nothing_is_written(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study = optuna.create_study(
        directions=["minimize"] * 2, study_name="s", storage="sqlite:///scoot.db"
    )
    study.optimize(lambda trial: (trial.suggest_int("foo", 0, 9), 1.0), n_trials=3)
    assert run([command, "--engine", "simulated", "--duration", "5", "--study", "s"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "study 's' is of something else: its trial 0 has foo" in line
    assert line.endswith("give another name with --study")
    assert [path.name for path in Path().iterdir()] == ["scoot.db"]
    assert optuna.get_all_study_names("sqlite:///scoot.db") == ["s"]


def test_single_objective_shows_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*SIMULATED, "--trials", "4", "--objective", "throughput", "--sampler", "random"]
    assert run(arguments) == 0
    result = json.loads(Path("out/result.json").read_text())
    assert len(result["front"]) == 1
    assert result["metrics"] == [{"name": "throughput (requests/s)", "direction": "maximize"}]
    assert "best of 4 trials: trial" in capsys.readouterr().out


def test_a_second_study_in_one_output_folder_is_refused_and_the_first_ones_files_stay(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([*SIMULATED, "--trials", "2", "--study", "a"]) == 0
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    assert run([*SIMULATED, "--trials", "2", "--study", "b"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--output out: holds the results of study 'a': give another folder" in line
    after = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    assert after == before
    assert optuna.get_all_study_names("sqlite:///scoot.db") == ["a"]


def test_where_nothing_is_recommended_no_earlier_recommendation_is_left() -> None:
    assert run([*SIMULATED, "--trials", "1", "--study", "a"]) == 0
    assert Path("out/best.yaml").is_file()
    Path("scoot.db").unlink()
    assert run([*SIMULATED, "--trials", "1", "--study", "a", "--slo", "p99 ttft <= 1 ms"]) == 4
    assert not Path("out/best.yaml").exists()


def test_results_that_cannot_be_written_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    assert run([*SIMULATED, "--trials", "1"]) == 2
    captured = capsys.readouterr()
    assert "┃ trial ┃" in captured.out
    assert captured.err == "optuna-scoot: out/best.yaml: No space left on device\n"


def test_every_argument_that_the_library_names_is_an_option() -> None:
    sources = Path(tuning.__file__).parent.glob("*.py")
    strings = [
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    named = {name for text in strings for name in re.findall(r"(?<!`)`(\w+)`(?!`)", text)}
    assert {"study_name", "n_gpus", "output"} <= named
    commands = (tune, verify, export, proxy)
    known = {parameter.name for command in commands for parameter in command.params}
    assert named - {"study_name"} <= known


def test_password_of_the_storage_is_neither_shown_nor_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # SQLite ignores a query that it does not know of, and others hold passwords there.
    url = "sqlite:///scoot.db?nolock=1&password=hush"
    run([*SIMULATED, "--trials", "1", "--storage", url])
    captured = capsys.readouterr()
    assert "hush" not in captured.out + captured.err
    for path in Path("out").rglob("*"):
        assert path.is_dir() or "hush" not in path.read_text()


@pytest.mark.parametrize("study", ["../x", "a/../../x", "{folder}/x", ".", ".."])
@pytest.mark.parametrize("command", ["tune", "verify"])
def test_a_name_that_leads_out_of_the_runs_is_refused(
    command: str, study: str, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = study.format(folder=own_folder)
    assert run([command, "--engine", "simulated", "--study", name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"--study {name}: its results would not be below runs: give --output")
    assert not list(own_folder.iterdir())


def test_a_name_may_have_a_slash_and_any_name_is_taken_with_an_output(own_folder: Path) -> None:
    assert run([*SIMULATED[:-2], "--trials", "1", "--study", "team/chat"]) == 0
    assert (own_folder / "runs" / "team" / "chat" / "result.json").is_file()
    assert run([*SIMULATED, "--trials", "1", "--study", "../x"]) == 0
    assert (own_folder / "out" / "result.json").is_file()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_name_that_the_terminal_has_no_letters_for_ends_nothing(encoding: str) -> None:
    words = [
        "tune",
        "--engine",
        "simulated",
        "--duration",
        "5",
        "--trials",
        "1",
        "--sampler",
        "tpe",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "optuna_scoot", *words, "--study", "größe → 1", "--output", "out"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        encoding=encoding,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "study gr" in done.stdout
    assert Path("out/result.json").is_file()


def test_brackets_in_a_name_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    Path("[red]x.jsonl").write_text('{"prompt_tokens": 9, "output_tokens": 5}\n' * 9)
    command = [*SIMULATED, "--trials", "1", "--trace", "[red]x.jsonl", "--verify", "3"]
    assert run(command) in (0, 4)
    assert capsys.readouterr().out.count("trace [red]x, ") >= 3  # heading and both tables


def test_database_that_fails_in_the_middle_is_one_line_and_exit_code_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = SimulatedEngine.start

    def lose_the_database(engine: SimulatedEngine, params: Any, label: str) -> Any:
        if label == "trial-1":
            with sqlite3.connect("scoot.db") as connection:
                connection.execute("DROP TABLE trial_values")
        return start(engine, params, label)

    monkeypatch.setattr(SimulatedEngine, "start", lose_the_database)
    assert run([*SIMULATED, "--trials", "3", "--sampler", "random"]) == 3
    err = capsys.readouterr().err
    assert "storage sqlite:///scoot.db: no such table: trial_values" in err
    assert err.count("\n") == 1


def test_two_commands_at_once_share_the_total() -> None:
    first = [*SIMULATED, "--trials", "1", "--sampler", "random", "--study", "s"]
    assert run(first) == 0
    both = [*SIMULATED, "--trials", "60", "--sampler", "random", "--study", "s"]
    command = [sys.executable, "-c", "from optuna_scoot.cli.main import main; main()", *both]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    study = optuna.load_study(study_name="s", storage="sqlite:///scoot.db")
    # This process has everything imported: it joins while most of the trials are left.
    while len(study.trials) < 2 and other.poll() is None:
        time.sleep(0.05)
    assert run(both) == 0
    result = other.communicate(timeout=300)
    assert other.returncode == 0, result
    # Both may begin the last one at the same moment.
    assert 60 <= len(study.trials) <= 61
    assert len({t.user_attrs["worker"] for t in study.trials[1:]}) == 2
    assert sum(bool(t.user_attrs.get("default_configuration")) for t in study.trials) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_keeps_everything_prints_the_table_and_resumes(number: signal.Signals) -> None:
    command = [sys.executable, "-c", "from optuna_scoot.cli.main import main; main()", *SIMULATED]
    command += ["--trials", "1000", "--sampler", "random", "--study", "s"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    lines = []
    while "trial 2" not in (line := process.stdout.readline()):
        assert line, process.communicate()[1]
        lines.append(line)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "run the same command again" in out
    assert "┃ trial ┃" in out
    assert "Traceback" not in err
    study = optuna.load_study(study_name="s", storage="sqlite:///scoot.db")
    failed = [t for t in study.trials if t.user_attrs.get("failure_is_external")]
    assert len(failed) <= 1
    assert not [t for t in study.trials if t.state == optuna.trial.TrialState.RUNNING]
    counted = json.loads(Path("out/result.json").read_text())["trials"]["counted"]
    assert counted == len(study.trials) - len(failed)
    total = str(counted + 1)
    assert run([*SIMULATED, "--trials", total, "--sampler", "random", "--study", "s"]) == 0
    assert json.loads(Path("out/result.json").read_text())["trials"]["counted"] == counted + 1


def test_limits_decide_what_is_recommended(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["--trials", "6", "--sampler", "random", "--minimize", "p99 ttft"]
    assert run([*SIMULATED, *wanted, "--slo", "p99 e2el <= 60 s"]) == 0
    out = capsys.readouterr().out
    assert "limits: p99 e2el <= 60000 ms; kept by" in out
    document = json.loads(Path("out/result.json").read_text())
    assert document["best"]["limits_missed_by"]["p99 e2el <= 60000 ms"] <= 0.0
    rows = list(csv.DictReader(Path("out/trials.csv").read_text().splitlines()))
    assert all(row["limit:p99 e2el <= 60000 ms"] for row in rows if row["state"] == "COMPLETE")


def test_where_nothing_keeps_the_limits_the_command_says_so_with_a_code_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wanted = ["--trials", "3", "--sampler", "random", "--slo", "p99 ttft <= 0.001 ms"]
    assert run([*SIMULATED, *wanted]) == 4
    out = capsys.readouterr().out
    assert "no configuration keeps the limits; the nearest is trial" in out
    assert "misses" in out
    assert not Path("out/best.yaml").exists()
    document = json.loads(Path("out/result.json").read_text())
    assert document["best"] is None
    assert document["nearest"]["limits_missed_by"]["p99 ttft <= 0.001 ms"] > 0.0


def test_a_default_against_the_users_constraint_is_not_recommended() -> None:
    wanted = ["--trials", "2", "--sampler", "random", "--constraint", "max_num_seqs != 256"]
    assert run([*SIMULATED, *wanted]) == 0
    document = json.loads(Path("out/result.json").read_text())
    assert document["default"]["params"]["max_num_seqs"] == 256
    assert document["best"] is None or document["best"]["params"]["max_num_seqs"] != 256


def test_a_study_of_other_limits_or_goals_is_not_continued(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = [*SIMULATED, "--trials", "1", "--study", "s", "--minimize", "p99 ttft"]
    assert run(first) == 0
    for other in (
        ["--minimize", "p95 ttft"],
        ["--minimize", "p99 ttft", "--slo", "goodput >= 1 /s", "--slo", "p99 ttft <= 1 s"],
    ):
        assert run([*SIMULATED, "--trials", "2", "--study", "s", *other]) == 2
        assert "was tuned differently" in capsys.readouterr().err


def test_a_run_whose_time_is_over_shows_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SIMULATED, "--trials", "1"]) == 0
    capsys.readouterr()
    assert run([*SIMULATED, "--trials", "3", "--max-hours", "1e-9"]) == 0
    out = capsys.readouterr().out
    assert "time: about" in out
    assert "ended before trial 2 of 3: the time of --max-hours is over; everything is kept" in out
    assert json.loads(Path("out/result.json").read_text())["ended_early"] is not None


def test_a_time_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SIMULATED, "--max-hours", "0"]) == 2
    assert "0 is not a positive number" in capsys.readouterr().err
    assert not Path("scoot.db").exists()


def test_hopeless_trials_end_early_and_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--minimize", "mean ttft", "--early-end", "--rate", "8", "--trials", "10"]
    assert run(["tune", "--engine", "simulated", "--service", "sql-2xa10-7b", "--seed", "0",
                "--duration", "30", "--output", "out", *arguments]) == 0  # fmt: skip
    out = capsys.readouterr().out
    n_cut = out.count(": ended early: its mean ttft is")
    assert n_cut > 0
    assert f"{n_cut} ended early" in out
    trials = list(csv.DictReader(Path("out/trials.csv").read_text().splitlines()))
    cut = [trial for trial in trials if trial["state"] == "PRUNED"]
    assert len(cut) == n_cut
    assert {trial["TTFT mean (ms)"] for trial in cut} == {""}  # a report is no value
    assert json.loads(Path("out/result.json").read_text())["trials"]["ended_early"] == n_cut


def test_early_end_is_refused_with_several_goals(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SIMULATED, "--early-end"]) == 2
    assert "--early-end is for one goal" in capsys.readouterr().err
    assert not Path("scoot.db").exists()
