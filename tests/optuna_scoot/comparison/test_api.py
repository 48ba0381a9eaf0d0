from __future__ import annotations

from pathlib import Path

import pytest

from optuna_scoot.comparison import CompareError
from optuna_scoot.comparison import PeerMode
from optuna_scoot.comparison import compare
from optuna_scoot.comparison.checkout import has_development
from optuna_scoot.comparison.running.runs import read_runs


def test_a_comparison_from_python_resumes(tmp_path: Path) -> None:
    results = tmp_path / "runs.jsonl"
    left: list[int] = []

    def run_it(seeds: range) -> list[tuple[str, str, int]]:
        comparison = compare(
            ["toy-crash"],
            ["random", "tpe"],
            results=results,
            modes=[PeerMode.parse("penalty")],
            seeds=seeds,
            n_trials=4,
            subject="tpe",
            jobs=1,
            progress=lambda run, n_left: left.append(n_left),
        )
        assert comparison.subject == "tpe"
        return [(mode, run.key.sampler, run.key.seed) for mode, run in comparison.runs]

    assert run_it(range(1)) == [("fail", "random", 0), ("penalty", "tpe", 0)]
    assert len(run_it(range(2))) == 4
    # The second call runs the second seed alone.
    assert left == [1, 0, 1, 0]
    assert len(read_runs([results])) == 4


def test_nothing_is_run_where_one_sampler_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPTUNA_SCOOT_HEBO_PYTHON", raising=False)
    results = tmp_path / "runs.jsonl"
    with pytest.raises(CompareError, match="OPTUNA_SCOOT_HEBO_PYTHON"):
        compare(["toy-crash"], ["random", "hebo"], results=results, jobs=1)
    assert not results.exists()


def test_a_checkout_has_what_development_needs() -> None:
    assert has_development()
