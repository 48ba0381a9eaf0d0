"""The report as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from objectives.capacity import CAPACITY
from objectives.metrics import Admission
from objectives.metrics import queue_grows
from objectives.serving import ENGINE
from objectives.serving import LOAD
from objectives.serving import OTHER
from objectives.serving import SUGGESTION
from objectives.trial_metrics import metrics_of
from optuna_scoot.tuning.formats import changed_params
from optuna_scoot.tuning.formats import describe_missed
from optuna_scoot.tuning.formats import format_change
from optuna_scoot.tuning.formats import format_params
from optuna_scoot.tuning.formats import format_value
from optuna_scoot.tuning.report import flags_not_taken
from optuna_scoot.tuning.report import keeps_limits
from optuna_scoot.tuning.report import relative_change
from optuna_scoot.tuning.time_spent import STORAGE
from optuna_scoot.tuning.time_spent import time_spent


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from optuna_scoot.tuning.report import Metric
    from optuna_scoot.tuning.report import Report


BEST_MARK = "best"
PART_NAMES = {
    LOAD: "load",
    ENGINE: "engine starts",
    SUGGESTION: "sampler",
    STORAGE: "storage",
    OTHER: "waiting and the rest",
}
MAX_ROWS = 12


def report_table(report: Report, title: str) -> Table:
    """Return the default configuration, then the front (or the best) compared with it.

    Args:
        report: What the study found.
        title: Stands above the table; says what was measured, and whether it was simulated.
    """
    table = Table(title=Text(title, "table.title"), title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("")
    for metric in report.metrics:
        table.add_column(metric.name, justify="right")
    if report.default is not None:
        table.add_row(*_row(report, report.default), end_section=True)
    for trial in _shown(report):
        table.add_row(*_row(report, trial))
    return table


def params_table(report: Report) -> Table | None:
    """Return what each configuration of the table changes, None where there is only the default.

    Beside the values there is no room for flags: they would be cut.
    """
    told = [(trial, _told_params(report, trial)) for trial in _with_default(report)]
    return named_texts("changed parameters", [(f"trial {t.number}", text) for t, text in told])


def named_texts(heading: str, pairs: Sequence[tuple[str, str]]) -> Table | None:
    """Return texts beside their names, which break between words; None where there is no text.

    Args:
        heading: Stands above.
        pairs: Names and texts; those without a text are left out.
    """
    table = Table.grid(padding=(0, 2))
    table.title, table.title_justify, table.title_style = Text(heading), "left", ""
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in pairs:
        if text:
            table.add_row(Text(f"  {name}"), Text(text))
    return table if table.row_count else None


def report_lines(report: Report) -> list[str]:
    """Return what the table does not say: what its values rest on, and counts."""
    lines = [*_overload_lines(report), *_failed_lines(report)]
    lines += [_counts_line(report), *_limit_lines(report)]
    hidden = len(_front_without_default(report)) - len(_shown(report))
    if hidden > 0:
        lines.append(f"{hidden} more configurations of the front are in trials.csv")
    return lines


def time_lines(study: Study) -> list[str]:
    """Return in a line where its workers' time went, in none where nobody took it."""
    workers = time_spent(study.get_trials(deepcopy=False))
    by_part = {part: sum(spent[part] for spent in workers.values()) for part in PART_NAMES}
    total = sum(by_part.values())
    if total <= 0.0:
        return []
    shares = [f"{100 * by_part[part] / total:.0f} % {name}" for part, name in PART_NAMES.items()]
    whose = "1 worker" if len(workers) == 1 else f"{len(workers)} workers"
    return [f"time of {whose}: {', '.join(shares)}"]


def _counts_line(report: Report) -> str:
    parts = [f"{report.counted} trials", f"{report.completed} completed"]
    parts.append(f"{report.crashed} crashed")
    if report.cut:
        parts.append(f"{report.cut} ended early")
    if report.external:
        parts.append(f"{report.external} failed for other reasons and do not count")
    if report.running:
        parts.append(f"{report.running} still running in other workers")
    return ", ".join(parts)


def _limit_lines(report: Report) -> list[str]:
    """Return how many configurations keep the limits, and by how much the default misses them."""
    if not report.limits:
        return []
    lines = [f"limits: {'; '.join(report.limits)}; kept by {report.kept} of {report.completed}"]
    if report.default is not None and (missed := describe_missed(report.default)):
        lines.append(f"the default configuration misses {missed}")
    return lines


def best_line(report: Report) -> str:
    """Return what the study found in one sentence."""
    if report.nearest is not None:
        # Who looks for a capacity has had the rate lowered as far as a load of this length allows.
        capacity = CAPACITY in report.nearest.user_attrs
        lower = "try longer loads (--duration) at lower rates" if capacity else "lower the rate"
        return (
            "no configuration keeps the limits; the nearest is trial"
            f" {report.nearest.number}, which misses {describe_missed(report.nearest)}:"
            f" {lower}, loosen a limit, or try more trials"
        )
    if report.best is None:
        if report.completed:
            return "no configuration that may be used completed: there is nothing to recommend"
        if not report.crashes:
            return "no trial has ended yet: there is nothing to recommend"
        reason, count = next(iter(report.crashes.items()))
        return (
            f"nothing completed, so there is nothing to recommend: {count} of {report.counted}"
            f" trials crashed with {reason}"
        )
    if report.best is report.default:
        return "no configuration was better than the default in every objective"
    how = (
        "best trade-off (largest hypervolume of one point)" if len(report.metrics) > 1 else "best"
    )
    if report.reference is None:
        return f"{how}: trial {report.best.number}; the default configuration gave no values"
    of = f"of {report.counted} trials" if report.counted > 1 else "of 1 trial"
    return f"{how} {of}: trial {report.best.number}, {_against_default(report, report.best)}"


def _against_default(report: Report, trial: FrozenTrial) -> str:
    """Return a trial's values beside the default's: "TTFT 232.6 instead of 443.8 (-47.6 %)"."""
    assert report.reference is not None
    parts = []
    for metric, value, base in zip(report.metrics, trial.values, report.reference, strict=True):
        change = format_change(relative_change(value, base))
        values = f"{format_value(value)} instead of {format_value(base)}"
        parts.append(f"{metric.name} {values} ({change})")
    return ", ".join(parts)


def _failed_lines(report: Report) -> list[str]:
    """Return what is behind the values of the default and the best where requests failed."""
    lines = []
    shown = {t.number: t for t in (report.default, report.best) if t is not None}
    for trial in shown.values():
        metrics = metrics_of(trial)
        failed = int(metrics.get("failed", 0))
        if failed and trial.values is not None:
            total = failed + int(metrics.get("completed", 0))
            lines.append(
                f"trial {trial.number}: {failed} of {total} requests failed; in its values they"
                " count as answers that came as late as one can"
            )
    return lines


def _overload_lines(report: Report) -> list[str]:
    """Return of the default and the best whether more requests came than they took up."""
    named = {"the default": report.default}
    if report.best is not report.default:
        named["the best"] = report.best
    paces = {name: _pace_of_growing_queue(trial) for name, trial in named.items()}
    told = [
        f"{name} takes up {pace.admission_rate:.3g} of {pace.arrival_rate:.3g} requests/s"
        for name, pace in paces.items()
        if pace is not None
    ]
    if not told:
        return []
    return [f"overload: {', '.join(told)}; the queue grows, and TTFT with the length of the load"]


def _pace_of_growing_queue(trial: FrozenTrial | None) -> Admission | None:
    """Return the pace of a trial whose queue grew, None of any other and of a capacity's loads."""
    if trial is None or trial.values is None or CAPACITY in trial.user_attrs:
        return None
    metrics = metrics_of(trial)
    if "admission_rate" not in metrics:
        return None
    pace = Admission(metrics["arrival_rate"], metrics["admission_rate"])
    n_requests = int(metrics["completed"] + metrics["failed"])
    return pace if queue_grows(pace, n_requests) else None


def describe_values(report: Report, trial: FrozenTrial) -> str:
    """Return a trial's values in one line, with the change against the default, if any."""
    cells = value_cells(report.metrics, trial, report.reference)
    return ", ".join(f"{m.name} {c}" for m, c in zip(report.metrics, cells, strict=True))


def value_cells(
    metrics: tuple[Metric, ...], trial: FrozenTrial, reference: tuple[float, ...] | None
) -> list[str]:
    """Return each value as "123 (-45 %)"; without the change for the reference itself."""
    if trial.values is None:
        return ["crashed"] * len(metrics)
    if reference is None or tuple(trial.values) == reference:
        return [format_value(value) for value in trial.values]
    return [
        f"{format_value(value)} ({format_change(relative_change(value, base))})"
        for value, base in zip(trial.values, reference, strict=True)
    ]


def _row(report: Report, trial: FrozenTrial) -> list[Text]:
    is_default = trial is report.default
    mark = BEST_MARK if trial is report.best else ""
    if is_default:
        mark = f"default, {mark}" if mark else "default"
        if not keeps_limits(trial):
            mark += ", misses limits"
    style = "bold green" if trial is report.best else ""
    cells = value_cells(report.metrics, trial, report.reference)
    return [Text(cell, style=style) for cell in (str(trial.number), mark, *cells)]


def _told_params(report: Report, trial: FrozenTrial) -> str:
    """Return what a trial changes, and what of it the engine did not take."""
    is_default = trial is report.default
    params = "" if is_default else format_params(changed_params(trial, report.default))
    if other := flags_not_taken(trial):
        params += f"\nbut the engine has {format_params(other)}"
    return params.strip()


def _with_default(report: Report) -> list[FrozenTrial]:
    return [*([] if report.default is None else [report.default]), *_shown(report)]


def _front_without_default(report: Report) -> list[FrozenTrial]:
    return [trial for trial in report.front if trial is not report.default]


def _shown(report: Report) -> list[FrozenTrial]:
    """Return at most ``MAX_ROWS`` of the front, evenly along it, with its ends and the best."""
    front = _front_without_default(report)
    if len(front) <= MAX_ROWS:
        return front
    last = len(front) - 1
    chosen = {round(i * last / (MAX_ROWS - 1)) for i in range(MAX_ROWS)}
    return [t for i, t in enumerate(front) if i in chosen or t is report.best]
