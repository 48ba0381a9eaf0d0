"""`optuna-scoot verify`, and the last step of `tune`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from optuna_scoot.cli.main import run


TASK = ["--engine", "simulated", "--service", "sql-2xa10-7b", "--duration", "5"]
TASK += ["--study", "s", "--output", "out"]
TUNE = ["tune", *TASK, "--sampler", "tpe", "--seed", "1", "--trials", "8"]


pytestmark = pytest.mark.usefixtures("own_folder")


def test_tune_ends_with_a_verdict_and_verify_goes_on_from_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([*TUNE, "--verify", "3", "--finalists", "2"]) == 0
    out = capsys.readouterr().out
    assert "then a verdict: up to 9 measurements more" in out
    of_verdict = out.split("verdict on study")[1]
    assert re.search(r"time: about .*, by the \d trials? so far", of_verdict)  # the study's pace
    slo = json.loads(Path("out/slo.json").read_text())
    sentence = slo["verdict"]["sentence"]
    assert sentence in out
    best = yaml.safe_load(Path("out/best.yaml").read_text())
    chosen = next(c for c in slo["configurations"] if c["name"] == slo["verdict"]["recommended"])
    assert (best or {}) == {k.replace("_", "-"): v for k, v in chosen["changed"].items()}

    assert run(["verify", *TASK, "--orders", "3", "--finalists", "2"]) == 0
    again = capsys.readouterr().out
    assert sentence in again
    assert "order 1," not in again  # nothing was measured twice
    assert run(["verify", *TASK, "--orders", "4", "--finalists", "2"]) == 0
    assert "order 4, the default:" in capsys.readouterr().out


def test_a_simulated_service_is_verified_only_where_that_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(TUNE) == 0
    assert "verdict" not in capsys.readouterr().out
    assert not Path("out/slo.json").exists()


def test_nothing_that_holds_has_an_exit_code_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # A limit that the best keeps under the order of the tuning, and hardly more.
    assert run([*TUNE, "--trials", "1"]) == 0
    ttft = json.loads(Path("out/result.json").read_text())["default"]["values"]["TTFT mean (ms)"]
    limited = ["--slo", f"mean ttft <= {ttft * 1.0001} ms", "--study", "limited", "--trials", "1"]
    assert run([*TUNE, *limited, "--verify", "3", "--output", "limited"]) == 4
    assert "nothing holds: the default misses mean ttft" in capsys.readouterr().out
    assert json.loads(Path("limited/slo.json").read_text())["verdict"]["recommended"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verify", *TASK], "there is no study 's' in storage sqlite:///scoot.db: tune first"),
        (["verify", *TASK, "--orders", "2"], "2 is not in the range x>=3"),
        (["verify", *TASK, "--trials", "3"], "No such option '--trials'"),
        (["verify", *TASK, "--storage", "nonsense"], "not a storage URL"),
        ([*TUNE, "--verify", "2"], "0, or at least 3"),
        (["verify", "--study", "s"], "--model is missing"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert list(Path().iterdir()) == []
