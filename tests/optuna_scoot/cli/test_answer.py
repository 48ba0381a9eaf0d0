"""What is shown before all figures."""

from __future__ import annotations

import io
import subprocess

import pytest

from optuna_scoot.cli.answer import shell_lines
from optuna_scoot.cli.console import make_console
from optuna_scoot.cli.table import best_line
from optuna_scoot.cli.table import params_table
from optuna_scoot.cli.table import report_table
from optuna_scoot.tuning.report import make_report
from optuna_scoot.tuning.serving_config import Serving
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import tuned_study
from tests.optuna_scoot.tuning.studies import two_objective_study


WORDS = ["vllm", "serve", "my model", "--max-num-seqs", "64", "--max-num-batched-tokens", "8188"]
WORDS += ["--lora-modules", "a=b", "c=d", "--enable-prefix-caching", "--hf-overrides", '{"a": 1}']


@pytest.mark.parametrize("width", [20, 72, 400])
def test_lines_are_one_command_for_a_shell(width: int) -> None:
    lines = shell_lines(WORDS, width)
    script = "printf '%s\\0' " + "\n".join(lines)
    read = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert read.split("\0")[:-1] == WORDS
    assert all(len(line) <= max(width, 40) + 2 for line in lines)
    assert len(lines) == 1 if width == 400 else len(lines) > 1


def test_command_says_what_differs_and_what_every_trial_has() -> None:
    serving = Serving(
        title="vLLM",
        simulated=False,
        default={"max_num_seqs": 256, "block_size": 16, "enable_prefix_caching": True},
        explicit=["block_size"],
        args={"model": "m", "dtype": "half"},
        flags=["--no-enable-prefix-caching", "--enable-prefix-caching"],
    )
    params = {"max_num_seqs": "64", "block_size": 16, "enable_prefix_caching": False}
    words = ["vllm", "serve", "m", "--dtype", "half", "--max-num-seqs", "64", "--block-size", "16"]
    assert serving.command(params) == [*words, "--no-enable-prefix-caching"]


def test_sentence_has_the_best_beside_the_default() -> None:
    sentence = best_line(make_report(tuned_study()))
    assert "of 7 trials: trial 2, " in sentence
    assert "TTFT 500 instead of 1,000 (-50.0 %), TPOT 50 instead of 100 (-50.0 %)" in sentence


def test_no_flag_is_cut_on_a_narrow_terminal() -> None:
    report = make_report(tuned_study())
    out = io.StringIO()
    console = make_console(out)
    console.width = 50
    console.print(report_table(report, "title"))
    console.print(params_table(report))
    text = out.getvalue()
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert "max-num-seqs 64" in text
    assert max(map(len, text.splitlines())) <= 50


def test_a_default_alone_changes_nothing() -> None:
    study = two_objective_study()
    add_default(study, (1.0, 1.0))
    assert params_table(make_report(study)) is None
