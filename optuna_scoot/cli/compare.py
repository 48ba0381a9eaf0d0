"""The command ``optuna-scoot compare``."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.registry import select_problems
from optuna_scoot.comparison.reporting.comparison import Comparison
from optuna_scoot.comparison.reporting.summary import best_modes
from optuna_scoot.comparison.reporting.summary import summarize
from optuna_scoot.comparison.reporting.tables import print_entries
from optuna_scoot.comparison.reporting.tables import print_pairs
from optuna_scoot.comparison.running.planning import parse_numbers
from optuna_scoot.comparison.running.planning import plan
from optuna_scoot.comparison.running.planning import split
from optuna_scoot.comparison.running.runner import run_all
from optuna_scoot.comparison.running.runs import Run
from optuna_scoot.comparison.running.runs import RunKey
from optuna_scoot.comparison.running.runs import is_compressed
from optuna_scoot.comparison.running.runs import read_runs
from optuna_scoot.comparison.samplers.modes import Mode


PIPED_WIDTH = 110
"""Columns of a table that does not go to a terminal."""

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("compare")
@click.option("--problems", default="tuning", show_default=True, help="Names, families or sets.")
@click.option("--samplers", default="scoot,tpe,random", show_default=True, help="Names.")
@click.option("--modes", default=None, help="Ways of telling of a crash; all if not given.")
@click.option("--seeds", default="0-4", show_default=True, help="Such as 0-4,7.")
@click.option("--batch", default="1", show_default=True, help="Trials suggested at a time.")
@click.option("--trials", default=30, show_default=True, type=click.IntRange(2), help="Budget.")
@click.option("--jobs", default=None, type=click.IntRange(1), help="Processes; default: cores.")
@click.option(
    "--results",
    default="comparison.jsonl",
    show_default=True,
    type=_FILE,
    help="Results file; what is in it is not run again.",
)
@click.option(
    "--baseline",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A further results file, read only; .gz is decompressed.",
)
@click.option("--again", default="", help="Samplers to run again although the file has them.")
@click.option("--subject", default="scoot", show_default=True, help="Compared with the others.")
@click.option("--by-problem", is_flag=True, help="One table a problem rather than a family.")
@click.option("--all-modes", is_flag=True, help="Show every mode, not the best alone.")
@click.option("--report", default=None, type=_FILE, help="Write a Markdown page here.")
@click.option("--plots", default=None, type=_FILE, help="Write an HTML page of plots here.")
@click.option("--suggestion-time", is_flag=True, help="Measure the time of a suggestion instead.")
@click.option(
    "--make-references",
    default=None,
    type=click.IntRange(1),
    metavar="N",
    help="Search for the services' optima with N evaluations each instead.",
)
@click.option("--list", "list_names", is_flag=True, help="List problems and samplers instead.")
def compare_command(**options: Any) -> None:
    """Compare samplers at an equal budget on crash-prone and ordinary problems.

    Finished runs are kept in the results file: the same command again goes on where it ended.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    try:
        _dispatch(console, Options(**options))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


@dataclass(frozen=True)
class Options:
    """The command's options, named as on the command line."""

    problems: str
    samplers: str
    modes: str | None
    seeds: str
    batch: str
    trials: int
    jobs: int | None
    results: Path
    baseline: tuple[Path, ...]
    again: str
    subject: str
    by_problem: bool
    all_modes: bool
    report: Path | None
    plots: Path | None
    suggestion_time: bool
    make_references: int | None
    list_names: bool


def _dispatch(console: Console, options: Options) -> None:
    """Do what the options ask for."""
    from optuna_scoot.comparison.development import other_jobs

    n_jobs = options.jobs or os.cpu_count() or 1
    if options.list_names:
        other_jobs.list_names(console)
    elif options.suggestion_time:
        other_jobs.measure_suggestion_time(console, split(options.samplers))
    elif options.make_references is not None:
        names = select_problems(split(options.problems))
        other_jobs.make_references(console, names, options.make_references, n_jobs)
    else:
        _compare(console, options, n_jobs)


def _compare(console: Console, options: Options, n_jobs: int) -> None:
    """Run what is missing and show everything."""
    for path in (options.results, options.report, options.plots):
        if path is not None and not path.parent.is_dir():
            msg = f"There is no folder {path.parent} for {path.name}: make it, or name another."
            raise CompareError(msg)
    if is_compressed(options.results):
        msg = f"Runs are appended to --results, so {options.results} cannot be compressed: "
        raise CompareError(msg + "name another, and this one with --baseline.")
    planned = plan(
        select_problems(split(options.problems)),
        split(options.samplers),
        None if options.modes is None else [Mode.parse(mode) for mode in split(options.modes)],
        parse_numbers(options.seeds),
        batches=parse_numbers(options.batch),
        n_trials=options.trials,
    )
    sources = [*options.baseline, options.results]
    missing = _missing(planned, read_runs(sources), split(options.again))
    _run_missing(console, missing, options.results, n_jobs)
    done = read_runs(sources)
    runs = [(mode, done[key]) for mode, key in planned if key in done]
    _show(console, Comparison(runs, options.subject), options)


def _show(console: Console, comparison: Comparison, options: Options) -> None:
    """Print the tables and write the pages asked for."""
    if options.by_problem:
        entries = list(summarize(comparison.runs, by_problem=True).values())
        print_entries(console, entries if options.all_modes else best_modes(entries).values())
    else:
        shown = comparison.entries if options.all_modes else comparison.best.values()
        print_entries(console, shown)
    print_pairs(console, comparison)
    if options.report is not None:
        from optuna_scoot.comparison.reporting.markdown import write_report

        command = shlex.join(["optuna-scoot", *_words()])
        options.report.write_text(write_report(comparison, [command]))
    if options.plots is not None:
        from optuna_scoot.comparison.reporting.plots import write_plots

        options.plots.write_text(write_plots(comparison))


def _words() -> list[str]:
    """The words of the command line, from ``compare`` on."""
    words = sys.argv[1:]
    return words[words.index("compare") :] if "compare" in words else ["compare", *words]


def _missing(
    planned: Sequence[tuple[str, RunKey]], done: Mapping[RunKey, Run], again: Sequence[str]
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
