"""``tune --maximize rate``: the table, the curves, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optuna_scoot.cli.main import run


SIMULATED = ["tune", "--engine", "simulated", "--duration", "5", "--seed", "0", "--output", "out"]
REAL = ["tune", "--model", "m", "--trace", "bot"]
RATE = ["--maximize", "rate", "--sampler", "random"]


pytestmark = pytest.mark.usefixtures("own_folder")


def test_the_capacity_is_shown_with_the_curves_of_default_and_best(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wanted = [*SIMULATED, *RATE, "--trials", "3", "--service", "sql-2xa10-7b"]
    assert run([*wanted, "--slo", "p99 ttft <= 1 s", "--enqueue", "max_num_seqs=64"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    document = json.loads(Path("out/result.json").read_text())
    assert document["study"] == "simulated-sql-2xa10-7b-rate"
    for which in {document[w]["number"]: w for w in ("best", "default")}.values():
        assert f"{which}, trial {document[which]['number']}: keeps the limits at" in out
        for point in document[which]["user_attrs"]["capacity"]["curve"]:
            assert f"{point['rate']:.4g}" in out
    assert "report.html" in out


def test_a_capacity_that_is_nowhere_within_the_limits_is_told_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([*SIMULATED, *RATE, "--trials", "1", "--slo", "p99 ttft <= 0.01 ms"]) == 4
    out = " ".join(capsys.readouterr().out.split())
    assert "keeps the limits at no rate that was tried, not even at 4 requests/s" in out
    assert ": try longer loads (--duration) at lower rates, loosen a limit" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*SIMULATED, *RATE], "with a limit on ttft or e2el at least"),
        ([*SIMULATED, *RATE, "--slo", "rate >= 5 /s"], "the rate is no limit"),
        ([*SIMULATED, *RATE, "--slo", "p99 ttft <= 1 s", "--replay"], "--replay"),
        ([*SIMULATED, *RATE, "--slo", "p99 ttft <= 1 s", "--minimize", "p99 ttft"], "alone"),
        # No rate is missing; what is missing is found by the engine.
        ([*REAL, *RATE, "--slo", "p99 ttft <= 1 s", "--python", "/no/python"], "cannot run"),
    ],
)
def test_a_capacity_that_makes_no_sense_ends_with_one_line(
    capsys: pytest.CaptureFixture[str], own_folder: Path, arguments: list[str], message: str
) -> None:
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not list(own_folder.iterdir())
