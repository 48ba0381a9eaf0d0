"""Cache files of exhaustively measured GPU kernels, in Kernel Tuner's layout or T4, as tables.

The layouts: https://github.com/AutoTuningAssociation/benchmark_hub, which has such files for
several kernels and GPUs, with their parameters and rules as T1 files.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.tables.description import ENDINGS
from optuna_scoot.comparison.tables.description import description_file
from optuna_scoot.comparison.tables.files import read_text
from optuna_scoot.constraints.known import KnownConstraints


RAN = "ok"
NEVER_RAN = 1e20
"""What older files give as the time of a configuration that failed."""


@dataclass(frozen=True)
class Measured:
    """One configuration of a cache file.

    Attributes:
        configuration: Its parameters.
        status: ``"ok"``, or why it failed.
        time: Mean of the repeats in ms, or None where it failed.
        compile_ms: Time of compiling.
        benchmark_ms: Time of all repeats.
    """

    configuration: Mapping[str, Any]
    status: str
    time: float | None
    compile_ms: float
    benchmark_ms: float


def read_cache(path: Path) -> list[Measured]:
    """Return the configurations of a cache file.

    Args:
        path: The file, compressed by the ending ``.gz``. One that Kernel Tuner has not ended,
            since it was interrupted, is read as far as it goes.

    Raises:
        CompareError: If it is something else.
    """
    data = _read_json(path)
    try:
        if "cache" in data:
            return [_measured(entry, data["tune_params_keys"]) for entry in data["cache"].values()]
        if "results" in data:
            return [_measured_t4(result) for result in data["results"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CompareError(f"{path} is no cache file of Kernel Tuner: {error!r}.") from error
    raise CompareError(f"{path} is no cache file of Kernel Tuner: it has no cache and no results.")


def read_rules(path: Path) -> tuple[list[str], dict[str, Any]]:
    """Return the rules and the default configuration of a T1 file.

    Raises:
        CompareError: If it is something else, or a rule cannot be a known constraint.
    """
    data = _read_json(path)
    try:
        space = data["ConfigurationSpace"]
        rules = [condition["Expression"] for condition in space["Conditions"]]
        defaults = {p["Name"]: p["Default"] for p in space["TuningParameters"] if "Default" in p}
    except (KeyError, TypeError) as error:
        raise CompareError(f"{path} is no T1 file: {error!r} is not as there.") from error
    KnownConstraints(rules)
    return rules, {name: v[0] if isinstance(v, list) else v for name, v in defaults.items()}


def write_table(
    cache: Path, table: Path, rules: Sequence[str] = (), default: Mapping[str, Any] | None = None
) -> tuple[int, int]:
    """Write a cache file as a table, and beside it what its columns mean.

    Args:
        cache: The cache file.
        table: The table to write; its name ends in ``.csv`` or ``.csv.gz``.
        rules: The known constraints.
        default: The default configuration; it is left out where it did not run.

    Returns:
        How many configurations there are, and how many of them failed.

    Raises:
        CompareError: If a file cannot be used.
    """
    if not table.name.endswith(ENDINGS) or not table.parent.is_dir():
        raise CompareError(f"{table} cannot be written: name a .csv.gz file in a folder there is.")
    rows = read_cache(cache)
    if not rows:
        raise CompareError(f"{cache} has no configurations.")
    text = _csv(rows)
    if table.suffix == ".gz":
        table.write_bytes(gzip.compress(text.encode(), mtime=0))
    else:
        table.write_text(text)
    names = rows[0].configuration.keys()
    wanted = {name: value for name, value in (default or {}).items() if name in names}
    ran = any(row.status == RAN and dict(row.configuration) == wanted for row in rows)
    meaning = {
        "minimize": "time_ms",
        "cost": ["compile_ms", "benchmark_ms"],
        **({"known_constraints": [*rules]} if rules else {}),
        **({"default": wanted} if ran else {}),
    }
    description_file(table).write_text(yaml.safe_dump(meaning, sort_keys=False))
    return len(rows), sum(row.status != RAN for row in rows)


def _csv(rows: Iterable[Measured]) -> str:
    rows = [*rows]
    names = [*rows[0].configuration]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*names, "status", "time_ms", "compile_ms", "benchmark_ms"])
    for row in rows:
        numbers = (row.time, row.compile_ms, row.benchmark_ms)
        shown = ["" if number is None else f"{number:.6g}" for number in numbers]
        writer.writerow([*(row.configuration[name] for name in names), row.status, *shown])
    return buffer.getvalue()


def _measured(entry: Mapping[str, Any], names: Sequence[str]) -> Measured:
    """Return an entry of Kernel Tuner's own layout."""
    time, times = entry["time"], entry.get("times") or []
    failed = isinstance(time, str) or time >= NEVER_RAN
    status = (time if isinstance(time, str) else "failed") if failed else RAN
    return Measured(
        {name: entry[name] for name in names},
        status,
        None if failed else fmean(times or [time]),
        float(entry.get("compile_time") or 0.0),
        float(entry.get("benchmark_time") or sum(times)),
    )


def _measured_t4(result: Mapping[str, Any]) -> Measured:
    """Return a result of the layout T4."""
    times = result["times"].get("runtimes") or []
    failed = result["invalidity"] != "correct"
    values = [m["value"] for m in result["measurements"] if m["name"] == "time"]
    return Measured(
        result["configuration"],
        result["invalidity"] if failed else RAN,
        None if failed else fmean(times or values),
        float(result["times"].get("compilation") or 0.0),
        float(sum(times)),
    )


def _read_json(path: Path) -> dict[str, Any]:
    text = read_text(path)
    for end in ("", "}}"):
        try:
            data = json.loads(text.rstrip().rstrip(",") + end if end else text)
        except json.JSONDecodeError:
            continue
        if isinstance(data, dict):
            return data
    raise CompareError(f"{path} is no JSON file of Kernel Tuner.")
