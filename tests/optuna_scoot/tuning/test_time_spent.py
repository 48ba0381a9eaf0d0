"""Where workers' time went: by hand on a clock of the test's own, and of real processes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from optuna_scoot.cli.table import time_lines
from optuna_scoot.tuning import patient_storage
from optuna_scoot.tuning.simulated import simulated_task
from optuna_scoot.tuning.storage import open_storage
from optuna_scoot.tuning.time_spent import PARTS
from optuna_scoot.tuning.time_spent import TIME_SPENT
from optuna_scoot.tuning.time_spent import Stopwatch
from optuna_scoot.tuning.time_spent import time_spent
from tests.optuna_scoot.tuning.studies import add


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowEngine:
    """A simulated engine that takes 10 s to start, 100 s to serve and 1 s to end."""

    def __init__(self, engine: Any, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    @contextlib.contextmanager
    def start(self, params: dict[str, Any], name: str) -> Iterator[Any]:
        self._clock.now += 10.0
        with self._engine.start(params, name) as running:
            yield SlowRun(running, self._clock)
        self._clock.now += 1.0


class SlowRun:
    def __init__(self, running: Any, clock: Clock) -> None:
        self.info, self._running, self._clock = running.info, running, clock

    def serve(self, workload: Any) -> Any:
        self._clock.now += 100.0
        return self._running.serve(workload)


class SlowSampler(optuna.samplers.RandomSampler):
    """Takes 3 s and then suggests the default configuration."""

    def __init__(self, clock: Clock, params: dict[str, Any]) -> None:
        super().__init__()
        self._clock, self._params = clock, params

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return dict(SPACE.parameters)

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        self._clock.now += 3.0
        return self._params


TASK = simulated_task("sql-2xa10-7b")
SPACE = TASK.objective.space


def spent_of(trial: Any) -> dict[str, float]:
    (spent,) = time_spent([trial]).values()
    return spent


def test_every_second_belongs_to_one_part() -> None:
    clock = Clock()
    objective = simulated_task("sql-2xa10-7b").objective
    objective.engine = SlowEngine(objective.engine, clock)  # type: ignore[assignment]
    sampler = SlowSampler(clock, dict(SPACE.default))
    study = optuna.create_study(directions=objective.directions, sampler=sampler)
    stopwatch = Stopwatch(study, clock)

    def trial_of_one_worker(trial: optuna.Trial) -> Any:
        clock.now += 0.5
        values = objective(trial)
        clock.now += 0.25
        stopwatch.store(trial)
        return values

    with stopwatch.watching(objective):
        study.optimize(trial_of_one_worker, n_trials=2)
    expected = {"load": 100.0, "engine": 11.0, "suggestion": 3.0, "storage": 0.0, "other": 0.75}
    assert [spent_of(t) for t in study.trials] == [expected, expected]
    assert time_spent(study.trials) == {"None": {k: 2.0 * v for k, v in expected.items()}}


def test_a_crash_under_load_is_over_when_its_engine_has_ended() -> None:
    clock = Clock()

    class Crashing(SlowRun):
        def serve(self, workload: Any) -> Any:
            clock.now += 100.0
            raise EngineCrash(CrashReason.OUT_OF_MEMORY, "no memory")

    class Engine(SlowEngine):
        @contextlib.contextmanager
        def start(self, params: dict[str, Any], name: str) -> Iterator[Any]:
            try:
                with super().start(params, name) as running:
                    yield Crashing(running, clock)
            finally:
                clock.now += 2.0

    objective = simulated_task("sql-2xa10-7b").objective
    objective.engine = Engine(objective.engine, clock)  # type: ignore[assignment]
    study = optuna.create_study(directions=objective.directions)
    stopwatch = Stopwatch(study, clock)
    study.enqueue_trial(SPACE.default)
    trial = study.ask()
    with stopwatch.watching(objective), pytest.raises(EngineCrash):
        objective(trial)
    clock.now += 7.0
    stopwatch.store(trial)
    spent = spent_of(trial)
    assert (spent["load"], spent["engine"], spent["other"]) == (100.0, 12.0, 7.0)


def test_time_in_the_storage_is_no_other_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(patient_storage.time, "monotonic", clock)
    storage = open_storage(f"sqlite:///{tmp_path}/scoot.db")
    study = optuna.create_study(storage=storage)

    def asked() -> None:
        clock.now += 2.0

    stopwatch = Stopwatch(study, clock)
    stopwatch.began("suggestion")
    storage.patiently(asked)
    clock.now += 3.0
    trial = study.ask()
    stopwatch.store(trial)
    spent = spent_of(trial)
    assert (spent["storage"], spent["suggestion"]) == (2.0, 3.0)


def test_the_line_has_shares_of_all_workers_and_there_is_none_of_an_older_study() -> None:
    study = optuna.create_study()
    add(study, (1.0,))
    assert time_lines(study) == []
    for worker, load, engine in (("a", 30.0, 8.0), ("b", 31.0, 22.0), ("a", 0.0, 0.0)):
        spent = {"load": load, "engine": engine, "suggestion": 8 / 3, "storage": 1 / 3}
        add(study, (1.0,), {"worker": worker, TIME_SPENT: spent})
    assert time_lines(study) == [
        "time of 2 workers: 61 % load, 30 % engine starts, 8 % sampler, 1 % storage,"
        " 0 % waiting and the rest"
    ]


def test_of_two_processes_each_says_where_its_time_went(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/scoot.db"
    words = ["tune", "--engine", "simulated", "--service", "sql-2xa10-7b", "--duration", "5"]
    words += ["--study", "s", "--storage", url, "--verify", "0", "--output", str(tmp_path)]
    words += ["--sampler", "random"]
    walls, said = [], []
    for n_trials in (3, 5):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "optuna_scoot", *words, "--trials", str(n_trials)],
            capture_output=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
        )
        walls.append(time.monotonic() - began)
        said.append(done.stdout)
    assert "time of 1 worker: " in said[0]
    assert "time of 2 workers: " in said[1]

    trials = optuna.load_study(study_name="s", storage=url).get_trials()
    spent = time_spent(trials)
    assert list(spent) == list(dict.fromkeys(t.user_attrs["worker"] for t in trials))
    for (worker, parts), wall in zip(spent.items(), walls, strict=True):
        assert parts["suggestion"] > 0.0
        assert parts["storage"] > 0.0
        own = [t for t in trials if t.user_attrs["worker"] == worker]
        # All but the end of the last trial, of which it cannot say anything itself.
        measured = sum(t.duration.total_seconds() for t in own[:-1] if t.duration is not None)
        assert measured < sum(parts.values()) < wall
    told = json.loads((tmp_path / "result.json").read_text())["seconds"]["workers"]
    assert [set(parts) for parts in told] == [set(PARTS), set(PARTS)]
