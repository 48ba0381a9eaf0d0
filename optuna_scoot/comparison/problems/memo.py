"""Evaluations remembered on disk, shared by all processes: a service is slow and deterministic."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import closing
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna_scoot.comparison.problems.problem import Crash


BUSY_SECONDS = 60.0
"""How long a process waits for another one that writes."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS evaluations (
    version TEXT, problem TEXT, params TEXT, outcome TEXT,
    PRIMARY KEY (version, problem, params)
) WITHOUT ROWID
"""


def default_path() -> Path:
    """Return where evaluations are kept: ``$XDG_CACHE_HOME/optuna-scoot``, else ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "optuna-scoot" / "evaluations.sqlite3"


class Memo:
    """Outcomes of one problem's evaluations, by configuration.

    Args:
        path: The database; it and its folder are made when missing.
        version: Says which program measured; outcomes of another one are never returned.
        problem: The problem's name.
    """

    def __init__(self, path: Path, version: str, problem: str) -> None:
        self._path = path
        self._key = (version, problem)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection() as connection:
            connection.execute(_SCHEMA)

    def get(
        self,
        params: Mapping[str, Any],
        measure: Callable[[Mapping[str, Any]], tuple[float, ...]],
    ) -> tuple[float, ...]:
        """Return the values of a configuration, measured only if nobody has yet.

        Args:
            params: The configuration.
            measure: Measures it; raises ``Crash``.

        Returns:
            The values.

        Raises:
            Crash: If it crashes, or did when it was measured.
        """
        text = json.dumps(dict(params), sort_keys=True)
        with self._connection() as connection:
            row = connection.execute(
                "SELECT outcome FROM evaluations WHERE version=? AND problem=? AND params=?",
                (*self._key, text),
            ).fetchone()
        if row is None:
            outcome = _measured(params, measure)
            with self._connection() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?)",
                    (*self._key, text, json.dumps(outcome)),
                )
        else:
            outcome = json.loads(row[0])
        if outcome["crash"] is not None:
            raise Crash(outcome["crash"])
        return tuple(outcome["values"])

    def values(self) -> list[tuple[dict[str, Any], tuple[float, ...]]]:
        """Return every configuration that ran, with its values."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT params, outcome FROM evaluations WHERE version=? AND problem=?", self._key
            ).fetchall()
        found = [(json.loads(params), json.loads(outcome)) for params, outcome in rows]
        return [
            (params, tuple(outcome["values"]))
            for params, outcome in found
            if outcome["crash"] is None
        ]

    def __len__(self) -> int:
        """Return the number of evaluations, crashes included."""
        with self._connection() as connection:
            row = connection.execute(
                "SELECT count(*) FROM evaluations WHERE version=? AND problem=?", self._key
            ).fetchone()
        return int(row[0])

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as connection, connection:
            yield connection


def _measured(
    params: Mapping[str, Any], measure: Callable[[Mapping[str, Any]], tuple[float, ...]]
) -> dict[str, Any]:
    try:
        return {"values": list(measure(params)), "crash": None}
    except Crash as crash:
        return {"values": None, "crash": crash.reason}
