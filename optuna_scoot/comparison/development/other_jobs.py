"""What ``optuna-scoot compare`` does beside comparing: listing, timing, searching for optima."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.registry import registry
from optuna_scoot.comparison.running.workers import worker_pool
from optuna_scoot.comparison.samplers.peers import contestants


def list_names(console: Console) -> None:
    """Print the problems by family and set, and the samplers with their modes."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("problem", "family", "set"):
        table.add_column(heading)
    for entry in registry().values():
        table.add_row(entry.name, str(entry.family), str(entry.problem_set))
    console.print(table)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("sampler", "modes"):
        table.add_column(heading)
    for contestant in contestants().values():
        table.add_row(contestant.name, " ".join(map(str, contestant.modes)))
    console.print(table)


def measure_suggestion_time(console: Console, samplers: Sequence[str]) -> None:
    """Print the seconds of one suggestion beside GPSampler's."""
    from optuna_scoot.comparison.running.suggestion_time import CASES
    from optuna_scoot.comparison.running.suggestion_time import measure

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("case", "sampler", "median seconds", "over GPSampler's"):
        table.add_column(heading, justify="left" if heading in ("case", "sampler") else "right")
    for case in CASES:
        seconds = measure(case, dict.fromkeys(["gp", *samplers]))
        for name, median in seconds.items():
            table.add_row(case.name, name, f"{median:.3f}", f"{median / seconds['gp']:.2f}")
    console.print(table)


def make_references(
    console: Console, problems: Sequence[str], n_evaluations: int, jobs: int
) -> None:
    """Search for the optima of the services among the problems, and keep them.

    Args:
        console: Where each finished search is told.
        problems: Names; those that are no services are left out.
        n_evaluations: Of each search.
        jobs: Searches at a time, each in a process of its own.

    Raises:
        CompareError: If there is no service among them.
    """
    from optuna_scoot.comparison.development.reference_search import search
    from optuna_scoot.comparison.problems.services import write_reference

    entries = registry()
    services = [name for name in problems if entries[name].family is Family.SERVICE]
    if not services:
        msg = "None of these problems is a service; try --problems service."
        raise CompareError(msg)
    with worker_pool(min(jobs, len(services))) as pool:
        searches = {
            pool.submit(search, name, n_evaluations=n_evaluations): name for name in services
        }
        with console.status(f"{len(services)} searches of {n_evaluations} evaluations"):
            for future in as_completed(searches):
                name, reference = searches[future], future.result()
                write_reference(name, reference)
                n_points, n_known = len(reference.front), reference.evaluations
                console.print(f"{name}: {n_points} point(s) from {n_known} evaluations")
