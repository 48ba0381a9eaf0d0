"""Runs and the results file: one JSON line a finished run, appended whole."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna_scoot.comparison.problems.problem import CompareError


@dataclass(frozen=True, order=True)
class RunKey:
    """What is run.

    Attributes:
        problem: The problem's name, as given.
        sampler: The sampler's name.
        mode: How crashes are told, see ``PeerMode``.
        seed: Seed of the sampler, and instance of the problem where its name fixes none.
        batch: Trials suggested before any of them is told, at least 1.
        n_trials: Budget, the default configuration included.
    """

    problem: str
    sampler: str
    mode: str
    seed: int
    batch: int = 1
    n_trials: int = 30


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a run.

    Attributes:
        values: The objective values as measured, or None after a crash.
        feasible: Whether every measured constraint held; False after a crash.
        crash: Reason of the crash, or None.
        violates_known: Whether the suggestion violated a known constraint.
        seconds: Time of the suggestion.
        params: The configuration.
        cost: What the trial cost, where the problem says.
    """

    values: tuple[float, ...] | None
    feasible: bool
    crash: str | None
    violates_known: bool
    seconds: float
    params: Mapping[str, Any]
    cost: float | None = None


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        key: What was run.
        trials: Its trials, the default configuration first.
        error: The message of an exception that the sampler raised, which ended the run.
    """

    key: RunKey
    trials: tuple[TrialRecord, ...]
    error: str | None = None


_START = '{"key":{"problem":'
"""How the line of every run begins."""


def append_run(path: Path, run: Run) -> None:
    """Append a run to a results file with one write, so that no reader sees half a line.

    A line that an interruption cut short is closed first.
    """
    line = json.dumps(asdict(run), separators=(",", ":"), default=_plain) + "\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = "\n" + line
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _plain(value: Any) -> Any:
    """Return NumPy scalars as Python's."""
    if hasattr(value, "item"):
        return value.item()
    msg = f"{type(value).__name__} cannot be written to a results file."
    raise TypeError(msg)


def read_runs(paths: Iterable[Path]) -> dict[RunKey, Run]:
    """Return the runs in results files; the last one of a key counts.

    Args:
        paths: Results files, compressed ones by the ending ``.gz``; those that do not exist are
            skipped.

    Returns:
        Runs by what was run. A line cut short by an interruption is skipped.

    Raises:
        CompareError: If a line is something else, or a compressed file is damaged.
    """
    runs: dict[RunKey, Run] = {}
    for path in paths:
        if not path.exists():
            continue
        for number, line in enumerate(_lines(path), start=1):
            try:
                run = _parse_run(json.loads(line))
            except json.JSONDecodeError as error:
                if line.startswith(_START):
                    continue
                msg = f"{path}:{number} is not a run of a comparison; name another file."
                raise CompareError(msg) from error
            except (KeyError, TypeError) as error:
                msg = f"{path}:{number} is not a run of a comparison; name another file."
                raise CompareError(msg) from error
            runs[run.key] = run
    return runs


def is_compressed(path: Path) -> bool:
    """Return whether a results file is read with gzip, and thus cannot be appended to."""
    return path.suffix == ".gz"


def _lines(path: Path) -> list[str]:
    """Return the lines of a results file."""
    try:
        data = gzip.decompress(path.read_bytes()) if is_compressed(path) else path.read_bytes()
        return data.decode().splitlines()
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        msg = f"{path} is not a results file of a comparison, or damaged; name another file."
        raise CompareError(msg) from error


def _parse_run(data: Mapping[str, Any]) -> Run:
    trials = tuple(
        TrialRecord(**{**trial, "values": _as_tuple(trial["values"])}) for trial in data["trials"]
    )
    return Run(RunKey(**data["key"]), trials, data["error"])


def _as_tuple(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)
