"""The command ``optuna-scoot compare``."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from optuna_scoot.cli.compare.modes import Mode
from optuna_scoot.cli.compare.peers import find_contestant
from optuna_scoot.cli.compare.problems import CompareError
from optuna_scoot.cli.compare.problems import Family
from optuna_scoot.cli.compare.problems import family_of
from optuna_scoot.cli.compare.problems import make_problem
from optuna_scoot.cli.compare.problems import select_problems
from optuna_scoot.cli.compare.runner import run_all
from optuna_scoot.cli.compare.runs import Run
from optuna_scoot.cli.compare.runs import RunKey
from optuna_scoot.cli.compare.runs import read_runs
from optuna_scoot.cli.compare.summary import best_modes
from optuna_scoot.cli.compare.summary import summarize
from optuna_scoot.cli.compare.tables import print_modes


PIPED_WIDTH = 110
"""Columns of a table that does not go to a terminal."""


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_seeds(text: str) -> list[int]:
    """``"0-4,7"`` as a list of seeds.

    Raises:
        CompareError: If it is not one.
    """
    seeds: list[int] = []
    for part in _split(text):
        first, _, last = part.partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            msg = f"{text!r} is no list of seeds; write for example 0-4 or 0,3,1000-1009."
            raise CompareError(msg)
        seeds.extend(range(int(first), int(last or first) + 1))
    return seeds


def plan(
    problems: Sequence[str],
    samplers: Sequence[str],
    modes: Sequence[Mode] | None,
    seeds: Sequence[int],
    *,
    batches: Sequence[int] = (1,),
    n_trials: int = 30,
) -> list[tuple[str, RunKey]]:
    """What is to be run, each with the mode that it stands for.

    Args:
        problems: Names of problems.
        samplers: Names of samplers.
        modes: The modes wanted, or None for all of each sampler's.
        seeds: Seeds.
        batches: Trials suggested at a time.
        n_trials: Budget of each run.

    Returns:
        Mode asked for and run, seeds outermost so that an interrupted comparison is even.

    Raises:
        CompareError: If a problem or a sampler does not exist, or no sampler has a mode asked for.
    """
    planned: list[tuple[str, RunKey]] = []
    for seed in seeds:
        for name in problems:
            problem = make_problem(name, seed)
            may_crash = family_of(name) is not Family.PLAIN
            for sampler in samplers:
                own = find_contestant(sampler).modes
                wanted = own if modes is None else [mode for mode in own if mode in modes]
                for mode in wanted or own[:1]:
                    actual = mode.on(problem, may_crash=may_crash)
                    for batch in batches:
                        key = RunKey(name, sampler, str(actual), seed, batch, n_trials)
                        planned.append((str(mode), key))
    return planned


@click.command("compare")
@click.option("--problems", default="tuning", show_default=True, help="Names, families or sets.")
@click.option("--samplers", default="scoot,tpe,random", show_default=True, help="Names.")
@click.option("--modes", default=None, help="Ways of telling of a crash; all if not given.")
@click.option("--seeds", default="0-4", show_default=True, help="Such as 0-4,7.")
@click.option("--batch", "batches", default="1", show_default=True, help="Trials at a time.")
@click.option("--trials", "n_trials", default=30, show_default=True, type=click.IntRange(2))
@click.option("--jobs", default=None, type=click.IntRange(1), help="Processes; default: cores.")
@click.option(
    "--results",
    default="comparison.jsonl",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Results file; what is in it is not run again.",
)
@click.option(
    "--baseline",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another results file to read only; may be given several times.",
)
@click.option("--again", default="", help="Samplers to run again although the file has them.")
@click.option("--by-problem", is_flag=True, help="One table a problem rather than a family.")
@click.option("--all-modes", is_flag=True, help="Show every mode, not the best alone.")
def compare_command(
    problems: str,
    samplers: str,
    modes: str | None,
    seeds: str,
    batches: str,
    n_trials: int,
    jobs: int | None,
    results: Path,
    baseline: tuple[Path, ...],
    again: str,
    by_problem: bool,
    all_modes: bool,
) -> None:
    """Compare samplers at an equal budget on crash-prone and ordinary problems."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    try:
        planned = plan(
            select_problems(_split(problems)),
            _split(samplers),
            None if modes is None else [Mode.parse(mode) for mode in _split(modes)],
            parse_seeds(seeds),
            batches=[int(batch) for batch in _split(batches)],
            n_trials=n_trials,
        )
        done = read_runs([*baseline, results])
        missing = _missing(planned, done, _split(again))
        _run_missing(console, missing, results, jobs or os.cpu_count() or 1)
        done = read_runs([*baseline, results])
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    runs = [(mode, done[key]) for mode, key in planned if key in done]
    entries = summarize(runs, by_problem=by_problem)
    shown = entries.values() if all_modes else best_modes(entries.values()).values()
    print_modes(console, shown)


def _missing(
    planned: Sequence[tuple[str, RunKey]], done: dict[RunKey, Run], again: Sequence[str]
) -> list[RunKey]:
    """Runs that are not there yet, or are to be run again, each once."""
    keys = dict.fromkeys(key for _, key in planned)
    return [key for key in keys if key not in done or key.sampler in again]


def _run_missing(console: Console, keys: list[RunKey], results: Path, jobs: int) -> None:
    """Run with a line of progress on a terminal."""
    if not keys:
        return
    start = time.monotonic()
    with console.status(f"{len(keys)} runs") as status:

        def progress(run: Run, left: int) -> None:
            n_done = len(keys) - left
            each = (time.monotonic() - start) / n_done
            status.update(f"{n_done} of {len(keys)} runs, {each * left:.0f} s left")

        run_all(keys, results, jobs=min(jobs, len(keys)), progress=progress)
