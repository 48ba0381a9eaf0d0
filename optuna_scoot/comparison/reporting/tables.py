"""Tables of a comparison on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from optuna_scoot.comparison.reporting.comparison import Comparison
from optuna_scoot.comparison.reporting.summary import Entry


def print_entries(console: Console, entries: Iterable[Entry]) -> None:
    """Print one table a group: mean scores at 10, 20 and 30 trials, crash share, seconds."""
    tables: dict[str, Table] = {}
    headings = ("runs", "at 10", "at 20", "at 30", "crashes", "known", "seconds", "errors")
    for entry in entries:
        table = tables.setdefault(entry.group, _table(entry.group, ("sampler", "mode"), headings))
        name = entry.sampler if entry.batch == 1 else f"{entry.sampler} (batch {entry.batch})"
        table.add_row(
            name,
            entry.mode,
            str(len(entry.cases)),
            *(f"{entry.at(trial):.3f}" for trial in (10, 20, 30)),
            f"{entry.crashes.mean():.3f}",
            str(entry.n_known_violations),
            f"{entry.seconds.mean():.3f}",
            str(len(entry.errors)) if entry.errors else "",
        )
    for table in tables.values():
        console.print(table)


def print_pairs(console: Console, comparison: Comparison) -> None:
    """Print the subject against each peer on their common cases."""
    headings = ("cases", "difference", "win rate", "trial")
    for group in comparison.groups:
        pairs = comparison.pairs(group)
        if not pairs:
            continue
        title = f"{group}: {comparison.subject} against"
        table = _table(title, ("peer", "mode"), headings)
        for pair in pairs:
            table.add_row(
                pair.theirs.sampler,
                pair.theirs.mode,
                str(pair.n_cases),
                str(pair.difference),
                str(pair.wins),
                f"{pair.median_trial:g}",
            )
        console.print(table)


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in left:
        table.add_column(heading, no_wrap=True)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
