"""The command ``python -m optuna_scoot.comparison.development``."""

from __future__ import annotations

import os
from concurrent.futures import as_completed
from pathlib import Path

import click

from optuna_scoot.comparison.development.page import write_again
from optuna_scoot.comparison.development.reference_search import search
from optuna_scoot.comparison.development.reference_search import services_among
from optuna_scoot.comparison.development.reference_search import write_optimum
from optuna_scoot.comparison.problems.registry import select_problems
from optuna_scoot.comparison.running.runs import read_runs
from optuna_scoot.comparison.running.workers import worker_pool


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def cli() -> None:
    """Do what only the development of the comparison needs."""


@cli.command()
@click.argument("problems", nargs=-1, required=True)
@click.option("--evaluations", default=2000, show_default=True, type=click.IntRange(1))
@click.option("--jobs", default=None, type=click.IntRange(1), help="Processes; default: cores.")
def references(problems: tuple[str, ...], evaluations: int, jobs: int | None) -> None:
    """Search for the optima of services and keep them.

    PROBLEMS are names, families or sets; what is not a service is left out.
    """
    try:
        services = services_among(select_problems(problems))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with worker_pool(min(jobs or os.cpu_count() or 1, len(services))) as pool:
        searches = {
            pool.submit(search, name, n_evaluations=evaluations): name for name in services
        }
        for future in as_completed(searches):
            name, found = searches[future], future.result()
            write_optimum(name, found)
            n_points, n_known = len(found.front), found.evaluations
            click.echo(f"{name}: {n_points} point(s) from {n_known} evaluations")


@cli.command()
@click.argument("page", type=_FILE)
@click.argument("runs", type=_FILE)
def page(page: Path, runs: Path) -> None:
    """Write PAGE again from the published RUNS of the commands that it names."""
    page.write_text(write_again(page.read_text(), read_runs([runs])))


if __name__ == "__main__":
    cli(prog_name="python -m optuna_scoot.comparison.development")
