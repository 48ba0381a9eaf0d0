from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from click.testing import Result

from optuna_scoot.cli.compare import compare_command
from optuna_scoot.comparison.running.runs import read_runs


def _compare(*words: str) -> Result:
    return CliRunner().invoke(compare_command, list(words))


def test_compares_resumes_and_reports(tmp_path: Path) -> None:
    results, report, plots = (tmp_path / name for name in ("r.jsonl", "r.md", "r.html"))
    words = ["--problems", "toy-crash", "--samplers", "random,tpe", "--seeds", "0-1"]
    words += ["--trials", "5", "--jobs", "1", "--results", str(results), "--subject", "tpe"]
    first = _compare(*words, "--modes", "fail")
    assert first.exit_code == 0, first.output
    lines = results.read_text().splitlines()
    assert len(lines) == 4
    more = _compare(*words, "--report", str(report), "--plots", str(plots), "--all-modes")
    assert more.exit_code == 0, more.output
    after = results.read_text().splitlines()
    # What was there is not run again: TPE's other two ways of telling of a crash are added.
    assert after[:4] == lines
    assert len(after) == 4 + 2 * 2
    assert "tpe against" in more.output.replace("crash-analytic: ", "")
    assert "## Results" in report.read_text()
    assert "Plotly.newPlot" in plots.read_text()


def test_again_runs_again(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    words = ["--problems", "toy-crash", "--samplers", "random", "--seeds", "0", "--trials", "3"]
    words += ["--jobs", "1", "--results", str(results)]
    for extra in ([], ["--again", "random"], ["--again", "tpe"]):
        assert _compare(*words, *extra).exit_code == 0
    assert len(results.read_text().splitlines()) == 2


def test_what_a_baseline_has_is_not_run_again(tmp_path: Path) -> None:
    earlier, packed, results = (tmp_path / name for name in ("e.jsonl", "e.jsonl.gz", "r.jsonl"))
    words = ["--problems", "toy-crash", "--samplers", "random", "--trials", "3", "--jobs", "1"]
    assert _compare(*words, "--seeds", "0", "--results", str(earlier)).exit_code == 0
    packed.write_bytes(gzip.compress(earlier.read_bytes()))
    words += ["--baseline", str(packed), "--results", str(results)]
    assert _compare(*words, "--seeds", "0").exit_code == 0
    assert not results.exists()
    both = _compare(*words, "--seeds", "0-1", "--subject", "random")
    assert both.exit_code == 0, both.output
    assert [key.seed for key in read_runs([results])] == [1]
    assert re.search(r"random +fail +2 ", both.output)


def test_lists_problems_and_samplers() -> None:
    output = _compare("--list").output
    for word in (
        "levy-crash",
        "bot-2xa100-13b",
        "seen",
        "scoot-no-forest",
        "constraint+known",
    ):
        assert word in output


def _sweep(folder: Path, best: int = 5) -> Path:
    """A table of 8 × 3 configurations of which the largest fail; the best is at 2**best."""
    table = folder / "sweep.csv"
    rows = [
        f"{2**i},{kind},{'oom' if i == 7 else 'ok'},{'' if i == 7 else abs(i - best) + 1},{i + 1}"
        for i in range(8)
        for kind in ("fast", "slow", "odd")
    ]
    table.write_text("\n".join(["size,kind,status,ms,cost_s", *rows]))
    return table


def test_a_table_is_compared_on_by_processes_of_their_own(tmp_path: Path) -> None:
    results, report = tmp_path / "r.jsonl", tmp_path / "r.md"
    words = [str(_sweep(tmp_path)), "--minimize", "ms", "--cost", "cost_s", "--seeds", "0-1"]
    words += ["--samplers", "random,tpe", "--modes", "penalty", "--subject", "tpe"]
    words += ["--trials", "6", "--results", str(results), "--report", str(report)]
    first = _compare(*words, "--jobs", "2")
    assert first.exit_code == 0, first.output
    assert "table: tpe against" in first.output
    assert "at cost" in first.output
    assert "**Tables** are measured" in report.read_text()
    runs = read_runs([results])
    assert len(runs) == 4
    assert all(t.cost is not None for run in runs.values() for t in run.trials)
    # The same again is not run again; of a table that says something else nothing is taken over.
    assert _compare(*words, "--jobs", "1").exit_code == 0
    assert len(read_runs([results])) == 4
    _sweep(tmp_path, best=2)
    assert _compare(*words, "--jobs", "1").exit_code == 0
    assert len(read_runs([results])) == 8


def test_a_sampler_is_not_compared_with_itself(tmp_path: Path) -> None:
    words = ["--problems", "toy-crash", "--samplers", "random,tpe", "--modes", "fail"]
    words += ["--seeds", "0", "--trials", "3", "--jobs", "1", "--subject", "tpe"]
    output = _compare(*words, "--results", str(tmp_path / "r.jsonl")).output
    assert re.findall(r"^ (\w+) ", output.partition("tpe against")[2], re.MULTILINE) == [
        "peer",
        "random",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--problems", "nothing"], "No problem is called 'nothing'"),
        (["--samplers", "nobody"], "No sampler is called 'nobody'"),
        (["--modes", "hope"], "No mode is called 'hope'"),
        (["--seeds", "few"], "not a list of whole numbers"),
        (["--seeds", "5-1"], "'5-1' is no range"),
        (["--seeds", "0-99999999999"], "no range from a number up to another, 100000 at most"),
        (["--seeds", ","], "has no number"),
        (["--problems", ""], "No problem is named"),
        (["--samplers", ""], "No sampler is named"),
        (["--subject", "foo"], "No sampler is called 'foo'"),
        (["--again", "foo"], "No sampler is called 'foo'"),
        (["--batch", "0"], "at least 1"),
        (["--results", "nowhere/r.jsonl"], "There is no folder nowhere"),
        (["--results", "r.jsonl.gz"], "cannot be compressed"),
        (["--baseline", "nowhere.jsonl"], "nowhere.jsonl' does not exist"),
        (["--report", "nowhere/page.md"], "There is no folder nowhere"),
        (["nowhere.csv", "--minimize", "ms"], "There is no table 'nowhere.csv'"),
        (["--minimize", "ms"], "--minimize says something of a table: name one"),
        (["--default", "a"], "'a' is no configuration; write for example block_size=16"),
    ],
)
def test_bad_input_is_one_clear_line(words: list[str], message: str, tmp_path: Path) -> None:
    given = words if "--results" in words else [*words, "--results", str(tmp_path / "r.jsonl")]
    result = _compare(*given)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_listing_does_not_import_torch() -> None:
    code = (
        "import sys; from optuna_scoot.cli.main import run; code = run(['compare', '--list']); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
