"""Cache files made by hand in the layouts of benchmark_hub."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.tables.completeness import check_rows
from optuna_scoot.comparison.tables.description import describe_table
from optuna_scoot.comparison.tables.kernel_tuner import read_cache
from optuna_scoot.comparison.tables.kernel_tuner import read_rules
from optuna_scoot.comparison.tables.kernel_tuner import write_table
from optuna_scoot.comparison.tables.problem import build


NAMES = ["block", "tile", "width"]
# Configuration, repeats or why it failed, ms of compiling.
ROWS: list[tuple[tuple[int, int, int], list[float] | str, float]] = [
    ((16, 1, 15), [4.0, 2.0], 500.0),
    ((16, 2, 15), [1.0, 1.5], 600.0),
    ((32, 1, 15), "CompilationFailedConfig", 250.0),
    ((64, 1, 15), [8.0, 8.0], 400.0),
]
T4_REASONS = {"CompilationFailedConfig": "compile"}
RULES = {
    "ConfigurationSpace": {
        "TuningParameters": [
            {"Name": "block", "Type": "int", "Values": "[16, 32, 64]", "Default": 16},
            {"Name": "tile", "Type": "int", "Values": "[1, 2]", "Default": [1]},
            {"Name": "width", "Type": "int", "Values": "[15]", "Default": 15},
        ],
        "Conditions": [
            {"Expression": "block*tile*width<=2*16*15 or tile==1", "Parameters": NAMES}
        ],
    }
}


def _original() -> dict[str, Any]:
    cache = {}
    for values, times, compile_ms in ROWS:
        entry: dict[str, Any] = dict(zip(NAMES, values, strict=True))
        entry["compile_time"] = compile_ms
        if isinstance(times, str):
            entry |= {"time": times, "benchmark_time": 0}
        else:
            # Kernel Tuner's own figure may differ from the mean of the repeats.
            entry |= {"time": 99.0, "times": times, "benchmark_time": sum(times) + 0.25}
        cache[",".join(map(str, values))] = entry
    return {"device_name": "a GPU", "tune_params_keys": NAMES, "objective": "time", "cache": cache}


def _t4() -> dict[str, Any]:
    results = []
    for values, times, compile_ms in ROWS:
        failed = isinstance(times, str)
        took = {"compilation": compile_ms, **({} if failed else {"runtimes": times})}
        results.append(
            {
                "configuration": dict(zip(NAMES, values, strict=True)),
                "times": took,
                "invalidity": T4_REASONS[str(times)] if failed else "correct",
                "measurements": [{"name": "time", "value": 99.0, "unit": "miliseconds"}],
            }
        )
    return {"schema_version": "1.0.0", "metadata": {}, "results": results}


def _write(folder: Path, data: Any, name: str = "cache.json.gz") -> Path:
    path = folder / name
    text = data if isinstance(data, str) else json.dumps(data)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("layout", [_original, _t4])
def test_the_table_of_a_cache_is_ready_to_be_compared_on(tmp_path: Path, layout: Any) -> None:
    cache, target = _write(tmp_path, layout()), tmp_path / "kernel.csv.gz"
    rules, default = read_rules(_write(tmp_path, RULES, "t1.json"))
    assert write_table(cache, target, rules, default) == (4, 1)
    table = describe_table(str(target))
    check_rows(table)
    problem = build(table)
    found = problem.evaluate(problem.default)
    assert found.values == (3.0,)
    assert problem.front == ((1.25,),)
    assert found.cost == pytest.approx(506.25 if layout is _original else 506.0)
    assert problem.evaluate({"block": 2, "tile": 1}).values == (8.0,)


def test_a_default_that_did_not_run_is_left_out(tmp_path: Path) -> None:
    target = tmp_path / "kernel.csv"
    failed = dict(zip(NAMES, (32, 1, 15), strict=True))
    write_table(_write(tmp_path, _original()), target, default=failed)
    assert "default" not in yaml.safe_load((tmp_path / "kernel.yaml").read_text())


def test_a_file_that_was_not_ended_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    text = json.dumps(_original(), indent=0).rstrip().removesuffix("}\n}") + ","
    assert read_cache(_write(tmp_path, text)) == read_cache(
        _write(tmp_path, _original(), "b.json")
    )


def test_older_files_tell_of_a_failure_by_an_endless_time(tmp_path: Path) -> None:
    data = _original()
    data["cache"]["64,1,15"] |= {"time": 1e20, "times": []}
    assert [row.status for row in read_cache(_write(tmp_path, data))] == [
        "ok",
        "ok",
        "CompilationFailedConfig",
        "failed",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("[]", "is no JSON file of Kernel Tuner"),
        ("{", "is no JSON file"),
        ('{"a": 1}', "it has no cache and no results"),
        ('{"cache": {"1": {}}, "tune_params_keys": []}', "KeyError"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, data: str, message: str) -> None:
    with pytest.raises(CompareError, match=message):
        read_cache(_write(tmp_path, data))
