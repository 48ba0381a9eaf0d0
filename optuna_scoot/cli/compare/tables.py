"""Tables of a comparison on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from optuna_scoot.cli.compare.summary import Entry


def print_modes(console: Console, entries: Iterable[Entry]) -> None:
    """Print one table a group: mean scores at 10, 20 and 30 trials, crash share, seconds."""
    tables: dict[str, Table] = {}
    for entry in entries:
        table = tables.setdefault(entry.group, _new_table(entry.group))
        name = entry.sampler if entry.batch == 1 else f"{entry.sampler} (batch {entry.batch})"
        table.add_row(
            name,
            entry.mode,
            str(len(entry.cases)),
            *(f"{entry.at(trial):.3f}" for trial in (10, 20, 30)),
            f"{entry.crashes.mean():.2f}",
            str(entry.n_known_violations),
            f"{entry.seconds.mean():.3f}",
            str(len(entry.errors)) if entry.errors else "",
        )
    for table in tables.values():
        console.print(table)


def _new_table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("sampler", no_wrap=True)
    table.add_column("mode", no_wrap=True)
    columns = ("runs", "at 10", "at 20", "at 30", "crashes", "known", "seconds", "errors")
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
