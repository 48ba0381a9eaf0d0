"""The command ``optuna-scoot compare``: reads its options, prints what the library returns."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from optuna_scoot.cli.json_output import JSON
from optuna_scoot.cli.json_output import print_json
from optuna_scoot.comparison import CompareError
from optuna_scoot.comparison import Comparison
from optuna_scoot.comparison import PeerMode
from optuna_scoot.comparison import compare
from optuna_scoot.comparison.reporting.documents import comparison_document
from optuna_scoot.comparison.reporting.documents import names_document
from optuna_scoot.comparison.reporting.documents import suggestion_times_document
from optuna_scoot.comparison.reporting.tables import print_entries
from optuna_scoot.comparison.reporting.tables import print_names
from optuna_scoot.comparison.reporting.tables import print_pairs
from optuna_scoot.comparison.reporting.tables import print_suggestion_times
from optuna_scoot.comparison.running.planning import parse_numbers
from optuna_scoot.comparison.running.planning import split
from optuna_scoot.comparison.running.runs import Run
from optuna_scoot.comparison.tables.description import Table
from optuna_scoot.comparison.tables.description import describe_table
from optuna_scoot.comparison.tables.description import parse_default


PIPED_WIDTH = 110
"""Columns of a table that does not go to a terminal."""

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("compare")
@click.argument("tables", nargs=-1)
@click.option("--problems", help="Names, families or sets.  [default: fresh, or the tables]")
@click.option("--minimize", multiple=True, help="Of tables: a column to minimise.")
@click.option("--maximize", multiple=True, help="Of tables: a column to maximise.")
@click.option("--cost", default="", help="Of tables: columns that a trial's cost is the sum of.")
@click.option("--constraint", multiple=True, help="Of tables: a rule such as 'a * b <= 1024'.")
@click.option("--default", default="", help="Of tables: configuration to begin with, a=1,b=2.")
@click.option("--categories", default="", help="Of tables: parameters without an order.")
@click.option("--parameters", default="", help="Of tables: if not those left of the values.")
@click.option("--status", help="Of tables: column that says ok.  [default: status or state]")
@click.option("--missing-crashes", is_flag=True, help="Of tables: what has no row crashes.")
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
@click.option("--list", "list_names", is_flag=True, help="List problems and samplers instead.")
@JSON
def compare_command(**options: Any) -> None:
    """Compare samplers at an equal budget on crash-prone and ordinary problems.

    TABLES are CSV files of your own measurements, plain or .csv.gz: a configuration a line.

    Finished runs are kept in the results file: the same command again goes on where it ended.
    """
    console = Console(stderr=options["as_json"])
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH, stderr=options["as_json"])
    try:
        _dispatch(console, Options(**options))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


@dataclass(frozen=True)
class Options:
    """The command's options, named as on the command line."""

    tables: tuple[str, ...]
    problems: str | None
    minimize: tuple[str, ...]
    maximize: tuple[str, ...]
    cost: str
    constraint: tuple[str, ...]
    default: str
    categories: str
    parameters: str
    status: str | None
    missing_crashes: bool
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
    list_names: bool
    as_json: bool


def _dispatch(console: Console, options: Options) -> None:
    """Do what the options ask for."""
    if options.list_names:
        if options.as_json:
            print_json(names_document())
        else:
            print_names(console)
    elif options.suggestion_time:
        times = _measure_suggestion_time(split(options.samplers))
        if options.as_json:
            print_json(suggestion_times_document(times))
        else:
            print_suggestion_times(console, times)
    else:
        _show(console, _compare(console, options), options)


def _measure_suggestion_time(samplers: list[str]) -> dict[str, Any]:
    from optuna_scoot.comparison.running.suggestion_time import TIMED_STUDIES
    from optuna_scoot.comparison.running.suggestion_time import measure

    names = dict.fromkeys(["gp", *samplers])
    return {study.name: measure(study, names) for study in TIMED_STUDIES}


def _compare(console: Console, options: Options) -> Comparison:
    """Return the comparison asked for, with a line of progress on a terminal."""
    for path in (options.report, options.plots):
        if path is not None and not path.parent.is_dir():
            msg = f"There is no folder {path.parent} for {path.name}: make it, or name another."
            raise CompareError(msg)
    start = time.monotonic()
    n_done = 0
    with console.status("") as status:

        def progress(run: Run, left: int) -> None:
            nonlocal n_done
            n_done += 1
            each = (time.monotonic() - start) / n_done
            status.update(f"{n_done} of {n_done + left} runs, {each * left:.0f} s left")

        return compare(
            None if options.problems is None else split(options.problems),
            split(options.samplers),
            results=options.results,
            tables=_tables(options),
            modes=None
            if options.modes is None
            else [PeerMode.parse(m) for m in split(options.modes)],
            seeds=parse_numbers(options.seeds),
            batches=parse_numbers(options.batch),
            n_trials=options.trials,
            baselines=options.baseline,
            again=split(options.again),
            subject=options.subject,
            jobs=options.jobs,
            progress=progress,
        )


def _tables(options: Options) -> list[Table]:
    """Return the tables named, with what the options say of their columns."""
    given = {
        "minimize": options.minimize,
        "maximize": options.maximize,
        "status": options.status,
        "parameters": tuple(split(options.parameters)),
        "categories": tuple(split(options.categories)),
        "cost": tuple(split(options.cost)),
        "known_constraints": options.constraint,
        "default": parse_default(options.default),
        "missing_crashes": options.missing_crashes,
    }
    if not options.tables and any(given.values()):
        named = next(key for key, value in given.items() if value).replace("known_", "")
        msg = f"--{named.replace('_', '-').removesuffix('s')} says something of a table: name one."
        raise CompareError(msg)
    return [describe_table(name, given) for name in options.tables]


def _show(console: Console, comparison: Comparison, options: Options) -> None:
    """Print the tables and write the pages asked for."""
    entries = comparison.shown(by_problem=options.by_problem, all_modes=options.all_modes)
    if options.as_json:
        print_json(comparison_document(comparison, entries))
    else:
        print_entries(console, entries)
        print_pairs(console, comparison)
    if options.report is not None:
        from optuna_scoot.comparison.reporting.markdown import write_report

        command = shlex.join(["optuna-scoot", *_words()])
        options.report.write_text(write_report(comparison, [command]))
    if options.plots is not None:
        from optuna_scoot.comparison.reporting.plots import write_plots

        options.plots.write_text(write_plots(comparison))


def _words() -> list[str]:
    """Return the words of the command line, from ``compare`` on."""
    words = sys.argv[1:]
    return words[words.index("compare") :] if "compare" in words else ["compare", *words]
