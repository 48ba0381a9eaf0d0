from __future__ import annotations

import json
from pathlib import Path

import pytest

from optuna_scoot.cli.main import run


CACHE = {
    "tune_params_keys": ["block", "tile"],
    "cache": {
        f"{block},{tile}": {
            "block": block,
            "tile": tile,
            "time": block / tile if block < 64 else "RuntimeFailedConfig",
            "compile_time": 100.0,
            "benchmark_time": 10.0,
        }
        for block in (16, 32, 64)
        for tile in (1, 2)
    },
}


def test_a_cache_becomes_a_table_that_samplers_are_compared_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, table = tmp_path / "gpu.json", tmp_path / "kernel-gpu.csv.gz"
    cache.write_text(json.dumps(CACHE))
    assert run(["table", str(cache), str(table), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "written": str(table),
        "description": str(tmp_path / "kernel-gpu.yaml"),
        "configurations": 6,
        "failed": 2,
    }
    assert "6 configurations, 2 failed" in err
    results = tmp_path / "r.jsonl"
    words = [str(table), "--samplers", "random", "--seeds", "0", "--trials", "12", "--jobs", "1"]
    assert run(["compare", *words, "--results", str(results)]) == 0
    trials = json.loads(results.read_text())["trials"]
    assert {trial["cost"] for trial in trials} == {110.0}
    assert {trial["crash"] for trial in trials} == {None, "RuntimeFailedConfig"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.json", "t.csv"], "none.json' does not exist"),
        (["bad.json", "t.csv"], "is no JSON file of Kernel Tuner"),
        (["gpu.json", "t.txt"], "name a .csv.gz file"),
        (["gpu.json", "t.csv", "--rules", "gpu.json"], "is no T1 file"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpu.json").write_text(json.dumps(CACHE))
    (tmp_path / "bad.json").write_text("no")
    assert run(["table", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "t.csv").exists()
