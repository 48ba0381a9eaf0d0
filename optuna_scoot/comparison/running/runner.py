"""Runs samplers on problems at an equal budget, in several processes, resumably."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED
from concurrent.futures import Future
from concurrent.futures import wait
from pathlib import Path

import optuna

from optuna_scoot.comparison.peers.contestants import make_peer
from optuna_scoot.comparison.peers.modes import PeerMode
from optuna_scoot.comparison.problems.registry import add_tables
from optuna_scoot.comparison.problems.registry import added_tables
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.running.runs import Run
from optuna_scoot.comparison.running.runs import RunKey
from optuna_scoot.comparison.running.runs import append_run
from optuna_scoot.comparison.running.study import RunningStudy
from optuna_scoot.comparison.running.workers import limit_threads
from optuna_scoot.comparison.running.workers import worker_pool
from optuna_scoot.comparison.tables.description import Table


def execute(key: RunKey) -> Run:
    """Carry out one run in this process.

    The default configuration is evaluated first. Then ``batch`` trials at a time are suggested,
    evaluated and told. An exception of the sampler ends the run and is recorded; the trials so
    far count.

    Args:
        key: What to run.

    Returns:
        The finished run.

    Raises:
        CompareError: If the problem, the sampler or the mode does not exist.
    """
    problem = make_problem(key.problem, key.seed)
    mode = PeerMode.parse(key.mode)
    sampler = make_peer(key.sampler, problem, mode, key.seed)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        directions=list(problem.directions), sampler=sampler, study_name=f"compare-{key.seed}"
    )
    study.enqueue_trial(dict(problem.default), user_attrs={"default_configuration": True})
    session = RunningStudy(problem, mode, study)
    error = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            session.step(1)
            while len(session.records) < key.n_trials:
                session.step(min(key.batch, key.n_trials - len(session.records)))
        except Exception as caught:
            error = f"{type(caught).__name__}: {caught}"[:500]
    return Run(key, tuple(session.records), error)


def _execute_with(tables: Sequence[Table], key: RunKey) -> Run:
    """Carry out one run in a process that has yet to be told of the tables."""
    add_tables(tables)
    return execute(key)


def run_all(
    keys: Sequence[RunKey],
    results: Path,
    *,
    jobs: int,
    progress: Callable[[Run, int], None] = lambda run, left: None,
) -> None:
    """Carry out runs in several processes and append each to a results file as it ends.

    Args:
        keys: What to run.
        results: The results file.
        jobs: Number of processes; with 1 everything happens in this one.
        progress: Called after each run with the run and how many are left.
    """
    left = len(keys)
    for run in _executed(keys, jobs):
        append_run(results, run)
        left -= 1
        progress(run, left)


def _executed(keys: Sequence[RunKey], jobs: int) -> Iterator[Run]:
    """Yield runs as they end."""
    if jobs == 1:
        limit_threads()
        yield from map(execute, keys)
        return
    waiting = list(reversed(keys))
    tables = added_tables()
    with worker_pool(jobs) as pool:
        # None is submitted ahead, so that an interruption leaves nothing to be waited for.
        running: set[Future[Run]] = set()
        while waiting or running:
            while waiting and len(running) < jobs:
                running.add(pool.submit(_execute_with, tables, waiting.pop()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
