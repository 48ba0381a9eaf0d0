"""The tables of the page, as texts in cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from objectives.goals import GoalError
from objectives.goals import Limit
from optuna_scoot.html_report.outcomes import Fate
from optuna_scoot.tuning.formats import changed_params
from optuna_scoot.tuning.formats import format_change
from optuna_scoot.tuning.formats import format_params
from optuna_scoot.tuning.formats import format_value
from optuna_scoot.tuning.paired import summarise
from optuna_scoot.tuning.report import flags_not_taken
from optuna_scoot.tuning.report import keeps_limits
from optuna_scoot.tuning.report import relative_change
from optuna_scoot.tuning.verdict import describe_change


if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping
    from typing import Any

    from optuna.trial import FrozenTrial

    from optuna_scoot.html_report.contents import Contents
    from optuna_scoot.html_report.measured import Judged
    from optuna_scoot.html_report.outcomes import Ended
    from optuna_scoot.tuning.report import Report
    from optuna_scoot.tuning.verdict import Measured


MOST_ROWS = 200
"""Of a table of trials; trials.csv has all."""
MOST_OF_FRONT = 20
"""Of the front, beside the best."""


@dataclass(frozen=True)
class Column:
    """A column: what stands above it, and whether it holds numbers."""

    name: str
    is_number: bool = True


@dataclass(frozen=True)
class Row:
    """A row; the mark is "best", "default", "crashed" or nothing."""

    cells: tuple[str, ...]
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table. The first cell of each row names it.

    Attributes:
        caption: What it shows.
        columns: Its columns.
        rows: Its rows, each with a cell a column.
        n_hidden: Rows that are left out.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    n_hidden: int = 0


@dataclass(frozen=True)
class Group:
    """A configuration of the verdict: its rows are metrics and limits.

    Attributes:
        name: Of the configuration.
        note: What it changes, and why it does not hold where it does not.
        fault: Why it does not hold; empty where it does.
        is_recommended: Whether it is what to use.
        rows: Metric or limit, change over the default, median, worst, spread.
    """

    name: str
    note: str
    fault: str
    is_recommended: bool
    rows: tuple[Row, ...]


def verdict_groups(contents: Contents) -> tuple[Group, ...]:
    """Return the configurations that were measured under several arrival orders."""
    judged = contents.judged
    if judged is None:
        return ()
    return tuple(_group(judged, one) for one in judged.configurations)


def _group(judged: Judged, one: Measured) -> Group:
    note = ""
    if judged.baseline is not None and one is not judged.baseline:
        base = judged.baseline.params
        note = format_params({k: v for k, v in one.params.items() if base.get(k) != v})
    if one.not_taken:
        note += f"; but the engine has {format_params(one.not_taken)}"
    is_recommended = one is judged.recommended
    return Group(one.name, note, one.fault, is_recommended, tuple(_verdict_rows(judged, one)))


def _verdict_rows(judged: Judged, one: Measured) -> Iterator[Row]:
    for j, metric in enumerate(judged.metrics):
        baseline = judged.baseline
        change = None if baseline is None or one is baseline else one.change(baseline, j)
        told = "" if change is None else describe_change(change)
        summary = one.summary(j, metric.maximise)
        yield Row((metric.name, told, *_cells(summary.median, summary.worst, summary.spread)))
    for j, name in enumerate(one.limits):
        kept = f"kept under {int(np.sum(one.excess[:, j] <= 0.0))} of {one.n_measured}"
        try:
            limit = Limit.parse(name)
        except GoalError:
            yield Row((name, kept, "–", "–", "–"))
            continue
        values = np.array([limit.value(float(excess)) for excess in one.excess[:, j]])
        summary = summarise(values, limit.is_rate)
        yield Row((name, kept, *_cells(summary.median, summary.worst, summary.spread)))


def _cells(*values: float) -> list[str]:
    return ["–" if np.isnan(value) else format_value(value) for value in values]


def configurations_table(contents: Contents) -> Table | None:
    """Return the default and the front (or the best) with what each changes; None without any."""
    report = contents.report
    front = [t for t in report.front if t is not report.default]
    if report.nearest is not None:
        front = [report.nearest]
    chosen = _spread(front, report.best)
    shown = [*([] if report.default is None else [report.default]), *chosen]
    if not shown:
        return None
    columns = (
        Column("trial"),
        *(Column(metric.name) for metric in report.metrics),
        Column(_what(report), is_number=False),
    )
    rows = tuple(Row(_configuration(report, t), _mark(report, t)) for t in shown)
    what = "front" if len(report.metrics) > 1 else "best"
    return Table(f"The default and the {what}", columns, rows, len(front) - len(chosen))


def _spread(front: list[FrozenTrial], best: FrozenTrial | None) -> list[FrozenTrial]:
    """Return at most ``MOST_OF_FRONT`` and the best, evenly along the front with its ends."""
    if len(front) <= MOST_OF_FRONT:
        return front
    step = (len(front) - 1) / (MOST_OF_FRONT - 1)
    kept = {round(i * step) for i in range(MOST_OF_FRONT)}
    return [trial for i, trial in enumerate(front) if i in kept or trial is best]


def _what(report: Report) -> str:
    return "parameters" if report.default is None else "changed parameters"


def _configuration(report: Report, trial: FrozenTrial) -> tuple[str, ...]:
    is_default = trial is report.default
    what = "the default" if is_default else format_params(changed_params(trial, report.default))
    if not keeps_limits(trial):
        what += "; misses limits"
    if other := flags_not_taken(trial):
        what += f"; but the engine has {format_params(other)}"
    values = () if trial.values is None else tuple(trial.values)
    return (str(trial.number), *values_with_change(report, values), what)


def _mark(report: Report, trial: FrozenTrial) -> str:
    if trial is report.best:
        return "best"
    return "default" if trial is report.default else ""


def values_with_change(report: Report, values: tuple[float, ...]) -> list[str]:
    """Return values as "123 (-45 %)", without the change for the default's own."""
    if not values:
        return ["–"] * len(report.metrics)
    reference = report.reference
    if reference is None or values == reference:
        return [format_value(value) for value in values]
    return [
        f"{format_value(value)} ({format_change(relative_change(value, base))})"
        for value, base in zip(values, reference, strict=True)
    ]


def trials_table(contents: Contents) -> Table:
    """Return the trials that count, of very many the latest."""
    report, ended = contents.report, contents.ended[-MOST_ROWS:]
    columns = (
        Column("trial"),
        Column("outcome", is_number=False),
        *(Column(metric.name) for metric in report.metrics),
        Column("seconds"),
        Column(_what(report), is_number=False),
    )
    rows = tuple(Row(_trial(report, one), _trial_mark(report, one)) for one in ended)
    return Table("All trials", columns, rows, len(contents.ended) - len(ended))


def _trial(report: Report, one: Ended) -> tuple[str, ...]:
    is_default = report.default is not None and one.number == report.default.number
    outcome = "completed" if one.fate is Fate.USABLE else f"{one.fate}: {one.why}"
    if one.fate is Fate.MISSES:
        outcome = one.why
    seconds = "–" if one.seconds is None else f"{one.seconds:,.1f}"
    changed = "the default" if is_default else one.changed
    return (str(one.number), outcome, *values_with_change(report, one.values), seconds, changed)


def _trial_mark(report: Report, one: Ended) -> str:
    if report.best is not None and one.number == report.best.number:
        return "best"
    return "crashed" if one.fate is Fate.CRASHED else ""


def curve_tables(contents: Contents) -> tuple[Table, ...]:
    """Return for each curve of latency over rate the loads as a table."""
    metrics = list(dict.fromkeys(limit.metric for limit in contents.limits))
    columns = (
        Column("requests/s"),
        Column("requests"),
        Column("failed"),
        Column("within limits"),
        *(Column(metric.label) for metric in metrics),
        Column("limits", is_number=False),
    )
    flat = [metric.flat for metric in metrics]
    return tuple(
        Table(curve.name, columns, tuple(Row(_load(point, flat)) for point in curve.points))
        for curve in contents.curves
    )


def _load(point: Mapping[str, Any], metrics: list[str]) -> tuple[str, ...]:
    values = [point.get(name) for name in metrics]
    why = f" ({point['why']})" if "why" in point else ""
    return (
        format_value(point["rate"]),
        str(point["requests"]),
        str(point["failed"]),
        f"{100 * point['share_within_limits']:.1f} %",
        *("–" if value is None else format_value(value) for value in values),
        "kept" if point["kept"] else f"missed{why}",
    )
