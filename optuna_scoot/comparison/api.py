"""The comparison as one call: plan, run what is missing, summarise."""

# ruff: noqa: E402

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path

from optuna_scoot.own_objectives import require_own_objectives


require_own_objectives()

from optuna_scoot.comparison.peers.contestants import find_contestant
from optuna_scoot.comparison.peers.modes import PeerMode
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.registry import add_tables
from optuna_scoot.comparison.problems.registry import select_problems
from optuna_scoot.comparison.reporting.comparison import Comparison
from optuna_scoot.comparison.running.planning import plan
from optuna_scoot.comparison.running.runner import run_all
from optuna_scoot.comparison.running.runs import Run
from optuna_scoot.comparison.running.runs import RunKey
from optuna_scoot.comparison.running.runs import is_compressed
from optuna_scoot.comparison.running.runs import read_runs
from optuna_scoot.comparison.tables.completeness import check_rows
from optuna_scoot.comparison.tables.description import Table


def compare(
    problems: Sequence[str] | None = None,
    samplers: Sequence[str] = ("scoot", "tpe", "random"),
    *,
    results: Path,
    tables: Sequence[Table] = (),
    modes: Sequence[PeerMode] | None = None,
    seeds: Sequence[int] = range(5),
    batches: Sequence[int] = (1,),
    n_trials: int = 30,
    baselines: Sequence[Path] = (),
    again: Sequence[str] = (),
    subject: str = "scoot",
    jobs: int | None = None,
    progress: Callable[[Run, int], None] = lambda run, left: None,
) -> Comparison:
    """Compare samplers at an equal budget; what has been run before is not run again.

    Args:
        problems: Names, shell patterns, families or sets of problems, see
            :func:`~optuna_scoot.comparison.problems.registry.select_problems`; None for the
            fresh ones, or for none beside tables.
        samplers: Names of samplers.
        results: The results file, to which each run is appended as it ends; its folder exists.
        tables: Measured tables that are problems as well, see
            :func:`~optuna_scoot.comparison.tables.description.describe_table`.
        modes: The ways of telling a sampler of a crash; None for all of each sampler's.
        seeds: Seeds; each is also the instance of a problem whose name fixes none.
        batches: Trials suggested at a time, each at least 1.
        n_trials: Budget of each run, the default configuration included, at least 2.
        baselines: Further results files, which are read only; ``.gz`` is decompressed.
        again: Samplers to run again although their runs are there.
        subject: The sampler that is compared with the others.
        jobs: Processes; None for as many as the machine has cores.
        progress: Called after each run with the run and how many are left.

    Returns:
        The runs asked for, ready to be shown.

    Raises:
        CompareError: If a name is unknown, a file cannot be used, or a sampler whose runs are
            missing cannot be run here. It is a ``ValueError``, with a message fit to print.
    """
    if not results.parent.is_dir():
        msg = f"There is no folder {results.parent} for {results.name}: make it, or name another."
        raise CompareError(msg)
    if is_compressed(results):
        msg = f"Runs are appended to the results, so {results} cannot be compressed: "
        raise CompareError(msg + "name another, and this one as a baseline.")
    for table in tables:
        check_rows(table)
    if problems is None:
        problems = () if tables else ("fresh",)
    names = list(dict.fromkeys([*select_problems(problems), *add_tables(tables)]))
    planned = plan(names, samplers, modes, seeds, batches=batches, n_trials=n_trials)
    for name in (subject, *again):
        find_contestant(name)
    sources = [*baselines, results]
    done = read_runs(sources)
    keys = dict.fromkeys(key for _, key in planned)
    missing = [key for key in keys if key not in done or key.sampler in again]
    _refuse_what_cannot_run(missing)
    if missing:
        n_jobs = min(jobs or os.cpu_count() or 1, len(missing))
        run_all(missing, results, jobs=n_jobs, progress=progress)
        done = read_runs(sources)
    return Comparison([(mode, done[key]) for mode, key in planned if key in done], subject)


def _refuse_what_cannot_run(keys: Iterable[RunKey]) -> None:
    """Refuse runs of a sampler that lacks something here."""
    for sampler in dict.fromkeys(key.sampler for key in keys):
        lacks = find_contestant(sampler).missing
        if lacks is not None:
            raise CompareError(lacks)
