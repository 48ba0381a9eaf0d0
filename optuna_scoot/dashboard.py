"""A study in optuna-dashboard: its note, figures, and files beside the trials.

All of it follows from the study's finished trials, so that of several workers that end at the same
moment each writes the same.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.tuning.artifacts import save_artifact
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.dashboard_attributes import note_of
from optuna_scoot.tuning.dashboard_attributes import save_note
from optuna_scoot.tuning.formats import format_value
from optuna_scoot.tuning.markdown import escaped
from optuna_scoot.tuning.markdown import fenced
from optuna_scoot.tuning.serving_config import Serving
from optuna_scoot.tuning.trial_notes import log_tail
from optuna_scoot.tuning.trial_notes import secrets_of
from optuna_scoot.tuning.worker_identity import ran_here


if TYPE_CHECKING:
    from optuna.study import Study

    from optuna_scoot.tuning.report import Report
    from optuna_scoot.tuning.task import TuningTask


FOLDER = "artifacts"
"""Name of the folder below the output of a command, for ``optuna-dashboard --artifact-dir``."""
HEADING = "## optuna-scoot"
"""Opens our part of a study's note; what stands before is somebody else's."""
_LOG_LINES = 2000


@dataclass(frozen=True)
class Answer:
    """What a study comes to.

    Attributes:
        sentence: In words.
        params: The configuration to use; None where there is none.
    """

    sentence: str
    params: Mapping[str, Any] | None


def show(
    study: Study,
    task: TuningTask,
    report: Report,
    answer: Answer,
    *,
    output: Path | None = None,
    files: Sequence[Path] = (),
) -> None:
    """Put on optuna-dashboard what a study has found; never a reason to end.

    While trials of the study run, in another worker, note and figures are left to the worker that
    ends last.

    Args:
        study: Holds the trials.
        task: What was tuned.
        report: The study's summary.
        answer: What it comes to.
        output: Folder of the command's output, in which the files for the dashboard get one of
            their own; None for no files.
        files: Of its results, in text.
    """
    steps: list[Callable[[], None]] = []
    if not report.running:
        steps.append(lambda: _save_note(study, study_note(task, report, answer)))
    if output is not None:
        folder = output / FOLDER
        hide_secrets = secrets_of(task.objective)
        steps.append(lambda: save_logs(study, folder, hide_secrets))
        steps += [partial(_save_file, study, folder, file) for file in files]
    for step in steps:
        with contextlib.suppress(Exception):  # what was measured is worth more than its pictures
            step()


def study_note(task: TuningTask, report: Report, answer: Answer) -> str:
    """Return our part of a study's note, in Markdown.

    Args:
        task: What was tuned.
        report: The study's summary.
        answer: What it comes to.
    """
    parts = [HEADING, escaped(task.title), f"**{escaped(answer.sentence)}**"]
    if answer.params is not None:
        words = Serving.of(task).command({**task.objective.space.default, **answer.params})
        if task.simulated:
            parts.append("The figures are of a **simulated** engine. Its flags:")
        parts.append(fenced(_in_lines(words) or "# none: the default configuration", "sh"))
    parts += [_values_table(report), _counts(report)]
    return "\n\n".join(parts)


def save_logs(study: Study, folder: Path, hide_secrets: Callable[[str], str]) -> None:
    """Save the ends of the logs of the crashed engines that ran on this machine.

    Args:
        study: Holds their trials.
        folder: Of artifacts.
        hide_secrets: Takes them out.
    """
    for trial in study.get_trials(deepcopy=False):
        if is_crash(trial) and ran_here(trial):
            text = log_tail(trial, _LOG_LINES, hide_secrets)
            if text:
                save_artifact(study, folder, "engine.log", text, trial)


def _save_note(study: Study, text: str) -> None:
    before, _, _ = note_of(study).partition(HEADING)
    save_note(study, before + text)


def _save_file(study: Study, folder: Path, file: Path) -> None:
    save_artifact(study, folder, file.name, file.read_text(encoding="utf-8"))


def _in_lines(words: Sequence[str]) -> str:
    """Return a command with a line for each of its options."""
    lines: list[str] = []
    for word in map(shlex.quote, words):
        if lines and not word.startswith("--"):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return " \\\n    ".join(lines)


def _values_table(report: Report) -> str:
    """Return the values of the default and of the best, or what is nearest to one."""
    best = report.best or report.nearest
    named = [("default", report.default), ("best" if report.best else "nearest", best)]
    rows = [["", "trial", *(escaped(metric.name) for metric in report.metrics)]]
    rows.append(["---"] * len(rows[0]))
    for name, trial in named:
        if trial is not None and (name == "default" or trial is not report.default):
            values = ["crashed"] * len(report.metrics)
            if trial.values is not None:
                values = [format_value(value) for value in trial.values]
            rows.append([name, str(trial.number), *values])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _counts(report: Report) -> str:
    crashed = f"{report.crashed} crashed"
    if report.crashes:
        reasons = (f"{name.replace('_', ' ')} {n}" for name, n in report.crashes.items())
        crashed += f" ({', '.join(reasons)})"
    parts = [f"{report.counted} trials: {report.completed} completed", crashed]
    parts += [f"{report.cut} ended early"] if report.cut else []
    if report.limits:
        limits = "; ".join(report.limits)
        parts.append(f"{report.kept} of {report.completed} keep {limits}")
    return escaped(", ".join(parts))
