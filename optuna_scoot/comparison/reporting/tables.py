"""Tables of a comparison on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from optuna_scoot.comparison.peers.contestants import contestants
from optuna_scoot.comparison.problems.registry import registry
from optuna_scoot.comparison.reporting.comparison import Comparison
from optuna_scoot.comparison.reporting.summary import Entry


def print_entries(console: Console, entries: Iterable[Entry]) -> None:
    """Print one table a group: mean scores at 10, 20 and 30 trials, crash share, seconds.

    What no sampler of a group has (errors, violated known constraints, costs) is left out.
    """
    groups: dict[str, list[dict[str, str]]] = {}
    for entry in entries:
        groups.setdefault(entry.group, []).append(_cells(entry))
    for group, rows in groups.items():
        columns = [name for name in rows[0] if any(row[name] for row in rows)]
        table = _table(group, columns[:2], columns[2:])
        for row in rows:
            table.add_row(*(row[name] for name in columns))
        console.print(table)


def _cells(entry: Entry) -> dict[str, str]:
    name = entry.sampler if entry.batch == 1 else f"{entry.sampler} (batch {entry.batch})"
    cost, at_cost = costs_shown(entry) or ("", "")
    return {
        "sampler": name,
        "mode": entry.mode,
        "runs": str(len(entry.cases)),
        **{f"at {trial}": f"{entry.at(trial):.3f}" for trial in (10, 20, 30)},
        "crashes": f"{entry.crashes.mean():.3f}",
        "known": str(entry.n_known_violations or ""),
        "seconds": f"{entry.seconds.mean():.3f}",
        "errors": str(len(entry.errors) or ""),
        "cost": cost,
        "at cost": at_cost,
    }


def costs_shown(entry: Entry) -> tuple[str, ...]:
    """Return an entry's cost over the equal cost and its score there; nothing without costs."""
    if entry.spending is None or entry.at_cost is None:
        return ()
    return f"{entry.spending.mean():.2f}", f"{entry.at_cost.mean():.3f}"


def print_pairs(console: Console, comparison: Comparison) -> None:
    """Print the subject against each peer on their common cases."""
    headings = ("cases", "difference", "win rate", "trial")
    for group in comparison.groups:
        pairs = comparison.pairs(group)
        if not pairs:
            continue
        title = f"{group}: {comparison.subject} against"
        costly = any(pair.at_cost is not None for pair in pairs)
        columns = (*headings, "at cost") if costly else headings
        table = _table(title, ("peer", "mode"), columns)
        for pair in pairs:
            table.add_row(
                pair.theirs.sampler,
                pair.theirs.mode,
                str(pair.n_cases),
                str(pair.difference),
                str(pair.wins),
                f"{pair.median_trial:g}",
                *([str(pair.at_cost or "")] if costly else []),
            )
        console.print(table)


def print_names(console: Console) -> None:
    """Print the problems by family and set, and the samplers that can be run with their modes."""
    table = _table(None, ("problem", "family", "set"))
    for entry in registry().values():
        table.add_row(entry.name, str(entry.family), str(entry.problem_set))
    console.print(table)
    table = _table(None, ("sampler", "modes"))
    for contestant in contestants().values():
        if contestant.missing is None:
            table.add_row(contestant.name, " ".join(map(str, contestant.modes)))
    console.print(table)


def print_suggestion_times(console: Console, times: Mapping[str, Mapping[str, float]]) -> None:
    """Print the seconds of one suggestion next to GPSampler's.

    Args:
        console: Where to print.
        times: Median seconds by study and sampler, ``"gp"`` among them.
    """
    table = _table(None, ("case", "sampler"), ("median seconds", "over GPSampler's"))
    for case, seconds in times.items():
        for name, median in seconds.items():
            table.add_row(case, name, f"{median:.3f}", f"{median / seconds['gp']:.2f}")
    console.print(table)


def _table(title: str | None, left: Sequence[str], right: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in left:
        table.add_column(heading, no_wrap=True)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
