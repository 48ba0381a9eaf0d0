from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.running.runs import Run
from optuna_scoot.comparison.running.runs import RunKey
from optuna_scoot.comparison.running.runs import TrialRecord
from optuna_scoot.comparison.running.runs import append_run
from optuna_scoot.comparison.running.runs import read_runs


def _run(seed: int, value: float = 0.1) -> Run:
    ran = TrialRecord((value, 2.0), True, None, False, 0.01, {"n": np.int64(3), "c": "x"})
    crashed = TrialRecord(None, False, "slope", True, 0.02, {"n": 4, "c": None})
    return Run(RunKey("levy-crash", "tpe", "fail", seed), (ran, crashed))


def test_written_runs_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    for seed in range(3):
        append_run(path, _run(seed))
    assert read_runs([path]) == {_run(seed).key: _run(seed) for seed in range(3)}


def test_the_last_run_of_a_key_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    append_run(first, _run(0, 0.1))
    append_run(second, _run(0, 0.9))
    assert next(iter(read_runs([first, second]).values())).trials[0].values == (0.9, 2.0)


def test_an_interrupted_last_line_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append_run(path, _run(0))
    append_run(path, _run(1))
    path.write_text(path.read_text()[:-40])
    assert [key.seed for key in read_runs([path])] == [0]


def test_a_line_after_an_interrupted_one_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append_run(path, _run(0))
    path.write_text(path.read_text()[:-40])
    append_run(path, _run(1))
    assert [key.seed for key in read_runs([path])] == [1]


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello\nworld\n")
    with pytest.raises(CompareError, match=r"notes\.txt:1 is not a run"):
        read_runs([path])


def test_a_missing_file_has_no_runs(tmp_path: Path) -> None:
    assert read_runs([tmp_path / "none.jsonl"]) == {}


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    plain, packed = tmp_path / "runs.jsonl", tmp_path / "runs.jsonl.gz"
    append_run(plain, _run(0))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_runs([packed]) == read_runs([plain])


@pytest.mark.parametrize("kept", [5, 40, -9, -1])
def test_a_damaged_compressed_file_is_refused(tmp_path: Path, kept: int) -> None:
    plain, packed = tmp_path / "runs.jsonl", tmp_path / "runs.jsonl.gz"
    append_run(plain, _run(0))
    packed.write_bytes(gzip.compress(plain.read_bytes())[:kept])
    with pytest.raises(CompareError, match="damaged"):
        read_runs([packed])


def test_a_plain_file_with_a_compressed_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl.gz"
    append_run(path, _run(0))
    with pytest.raises(CompareError, match="not a results file"):
        read_runs([path])
