from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from optuna_scoot.comparison.problems.memo import Memo
from optuna_scoot.comparison.problems.problem import Crash


class _Measure:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, params: Mapping[str, Any]) -> tuple[float, ...]:
        self.calls += 1
        if params["x"] > 10:
            raise Crash("too much")
        return (params["x"] / 3, 1.0)


def test_nothing_is_measured_twice(tmp_path: Path) -> None:
    measure = _Measure()
    path = tmp_path / "deep" / "memo.sqlite3"
    first = Memo(path, "v1", "service").get({"x": 1, "flag": True}, measure)
    again = Memo(path, "v1", "service").get({"flag": True, "x": 1}, measure)
    assert first == again == (1 / 3, 1.0)
    assert measure.calls == 1


def test_crashes_are_remembered(tmp_path: Path) -> None:
    measure = _Measure()
    memo = Memo(tmp_path / "memo.sqlite3", "v1", "service")
    for _ in range(2):
        with pytest.raises(Crash, match="too much"):
            memo.get({"x": 11}, measure)
    assert measure.calls == 1
    assert memo.values() == []
    assert len(memo) == 1


def test_versions_and_problems_are_kept_apart(tmp_path: Path) -> None:
    measure = _Measure()
    path = tmp_path / "memo.sqlite3"
    for version, problem in (("v1", "a"), ("v2", "a"), ("v1", "b")):
        Memo(path, version, problem).get({"x": 1}, measure)
    assert measure.calls == 3
    assert Memo(path, "v1", "a").values() == [({"x": 1}, (1 / 3, 1.0))]
