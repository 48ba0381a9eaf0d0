"""The last step of ``tune``, and all of ``verify``: measurements as lines, a table, a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import TrialState
from rich.table import Table
from rich.text import Text

from optuna_scoot.cli.answer import print_first
from optuna_scoot.cli.answer import sentence_and_command
from optuna_scoot.cli.console import format_seconds
from optuna_scoot.cli.console import print_line
from optuna_scoot.cli.errors import EXIT_LIMITS_MISSED
from optuna_scoot.cli.page import write_and_say
from optuna_scoot.cli.progress import LoadWatch
from optuna_scoot.cli.progress import TrialsDisplay
from optuna_scoot.cli.progress import outcome
from optuna_scoot.cli.table import named_texts
from optuna_scoot.tuning.bookkeeping import CONFIGURATION
from optuna_scoot.tuning.bookkeeping import ORDER
from optuna_scoot.tuning.engine_logs import secrets_of
from optuna_scoot.tuning.formats import describe_missed
from optuna_scoot.tuning.formats import format_params
from optuna_scoot.tuning.formats import format_value
from optuna_scoot.tuning.measurements import verify
from optuna_scoot.tuning.paired import summarise
from optuna_scoot.tuning.report import make_report
from optuna_scoot.tuning.unstored import FOLDER as UNSTORED
from optuna_scoot.tuning.verdict import Kind
from optuna_scoot.tuning.verdict import describe_change
from optuna_scoot.tuning.worker_storage import keep_unstored


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Sequence
    from pathlib import Path

    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from rich.console import Console
    from rich.console import RenderableType

    from optuna_scoot.tuning.task import TuningTask
    from optuna_scoot.tuning.verdict import Measured
    from optuna_scoot.tuning.verification import Verification


def verify_and_show(
    console: Console,
    task: TuningTask,
    study: Study,
    *,
    output: Path,
    orders: int,
    finalists: int,
    constraints: Sequence[str],
    watch: LoadWatch,
    should_stop: Callable[[], bool],
) -> int:
    """Verify a study, show the table and the sentence, write the files.

    Args:
        console: Where everything is shown.
        task: What was tuned.
        study: Holds the trials.
        output: Folder of the files.
        orders: As for the library's ``verify``, like the next two.
        finalists: See there.
        constraints: See there.
        watch: Told by the engine how far the load is.
        should_stop: Asked before each measurement whether to end.

    Returns:
        The exit code.
    """
    keep_unstored(study._storage, output / UNSTORED)
    with MeasurementsDisplay(
        console,
        heading=["", f"verdict on study {study.study_name}: {orders} arrival orders"],
        watches=[watch],
        should_stop=should_stop,
        prospect=task.prospect,
    ) as display:
        display.learn_pace(study.get_trials(deepcopy=False))
        found = verify(
            task,
            study,
            orders=orders,
            finalists=finalists,
            constraints=constraints,
            observer=display,
        )
    console.print()
    print_first(console, _answer(found))
    console.print()
    console.print(verdict_table(found))
    if (params := verdict_params(found)) is not None:
        console.print(params)
    written = ", ".join(str(path) for path in found.save(output))
    print_line(console, f"written: {written}")
    write_and_say(console, study, output, secrets_of(task.objective))
    return EXIT_LIMITS_MISSED if found.verdict.kind is Kind.NOTHING_HOLDS else 0


def _answer(found: Verification) -> RenderableType:
    """Return the sentence, and how to serve what it recommends instead of the baseline."""
    sentence, chosen = found.verdict.sentence, found.verdict.recommended
    if chosen is None or chosen is found.baseline:
        return Text(sentence, "bold")
    return sentence_and_command(sentence, found.task, chosen.params)


class MeasurementsDisplay(TrialsDisplay):
    """Shows measurements as they end; a context manager."""

    def learn_pace(self, trials: Sequence[FrozenTrial]) -> None:
        """Take how long a measurement lasts from the trials of the study that is verified.

        Args:
            trials: Those that completed are looked at: a finalist is not expected to crash.
        """
        self._pace.learn(t for t in trials if t.state == TrialState.COMPLETE)

    def trial_ended(self, trial: FrozenTrial, worker: int = 0) -> None:
        """Write the line of a measurement that ended.

        Args:
            trial: As stored, in a finished state.
            worker: Which of several workers ran it, from 0.
        """
        seconds = self._pace.trial_ended(trial, worker)
        self._running.pop(worker, None)
        self._report = make_report(self._study, self._known)
        attrs = trial.user_attrs
        what = f"order {attrs.get(ORDER, '-')}, {attrs.get(CONFIGURATION, 'a check')}"
        line = f"[{self._report.counted}/{self._n_trials}] {what}: {self._values(trial)}"
        line += f" in {format_seconds(seconds)}"
        left = self.seconds_left()
        if left is not None and self._report.counted < self._n_trials:
            line += f"; about {format_seconds(left)} left"
        self.note(line)

    def _values(self, trial: FrozenTrial) -> str:
        if trial.state != TrialState.COMPLETE:
            return outcome(self._report, trial)
        pairs = zip(self._report.metrics, trial.values, strict=True)
        values = ", ".join(f"{metric.name} {format_value(value)}" for metric, value in pairs)
        missed = describe_missed(trial)
        return f"{values}, misses {missed}" if missed else values

    def _last_line(self) -> str:
        return ""


def verdict_table(found: Verification) -> Table:
    """Return the configurations with the worst value, median, spread and change of each metric.

    Args:
        found: The baseline, which is the first, and the finalists.
    """
    title = f"{found.task.title}, {found.orders} arrival orders"
    table = Table(title=Text(title, "table.title"), title_justify="left")
    for name in ("configuration", "metric"):
        table.add_column(name)
    for name in ("worst", "median", "spread", "change [95 %]"):
        table.add_column(name, justify="right")
    for one in found.configurations:
        style = "bold green" if one is found.verdict.recommended else ""
        rows = list(_rows(found, one))
        named = [one.name] if one.holds else [one.name, one.fault]
        for i, cells in enumerate(rows):
            whole = ["\n".join(named) if i == 0 else "", *cells]
            table.add_row(*(Text(c, style=style) for c in whole), end_section=i == len(rows) - 1)
    return table


def verdict_params(found: Verification) -> Table | None:
    """Return what each configuration changes, None where none changes anything.

    Args:
        found: As for ``verdict_table``.
    """
    pairs = []
    for one in found.configurations:
        params = "" if one is found.baseline else format_params(found.changed(one))
        if one.not_taken:
            params += f"\nbut the engine has {format_params(one.not_taken)}"
        pairs.append((one.name, params.strip()))
    return named_texts("changed parameters", pairs)


def _rows(found: Verification, one: Measured) -> Iterator[list[str]]:
    """Yield a configuration's cells: metric or limit, worst, median, spread, change."""
    for j, metric in enumerate(found.metrics):
        change = None if one is found.baseline else one.change(found.baseline, j)
        shown = "" if change is None else describe_change(change)
        summary = one.summary(j, metric.maximise)
        yield [metric.name, *_cells(summary.worst, summary.median, summary.spread), shown]
    for j, limit in enumerate(found.limits):
        values = np.array(found.limit_values(one, j))
        summary = summarise(values, limit.is_rate)
        kept = int(np.sum(one.excess[:, j] <= 0.0))
        cells = _cells(summary.worst, summary.median, summary.spread)
        yield [str(limit), *cells, f"kept under {kept} of {one.n_measured}"]


def _cells(*values: float) -> list[str]:
    return ["-" if np.isnan(value) else format_value(value) for value in values]
