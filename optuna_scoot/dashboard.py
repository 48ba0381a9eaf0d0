"""A study in optuna-dashboard: its note, figures, and files beside the trials.

All of it follows from the study's finished trials, so that of several workers that end at the same
moment each writes the same.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optuna_scoot.tuning.dashboard_attributes import note_of
from optuna_scoot.tuning.dashboard_attributes import save_figure
from optuna_scoot.tuning.dashboard_attributes import save_note
from optuna_scoot.tuning.markdown import escaped
from optuna_scoot.tuning.markdown import fenced
from optuna_scoot.tuning.artifacts import save_artifact
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.measurements import VERDICT
from optuna_scoot.tuning.serving_config import Serving
from optuna_scoot.tuning.trial_notes import log_tail
from optuna_scoot.tuning.trial_notes import secrets_of
from optuna_scoot.tuning.worker_identity import ran_here


if TYPE_CHECKING:
    from optuna_scoot.tuning.result import TuningResult


FOLDER = "artifacts"
"""Name of the folder below the output of a command, for ``optuna-dashboard --artifact-dir``."""
HEADING = "## optuna-scoot"
"""Opens our part of a study's note; what stands before is somebody else's."""
_LOG_LINES = 2000


def show(
    result: TuningResult, sentence: str, *, output: Path | None = None, files: Sequence[Path] = ()
) -> None:
    """Put on optuna-dashboard what a study has found; never a reason to end.

    While trials of the study run, in another worker, note and figures are left to the worker that
    ends last.

    Args:
        result: What it has found.
        sentence: The same in words.
        output: Folder of the command's output, in which the files for the dashboard get one of
            their own; None for no files.
        files: Of its results, in text.
    """
    steps: list[Callable[[], None]] = []
    if not result.running:
        steps += [lambda: _save_note(result, sentence), lambda: _save_figures(result)]
    if output is not None:
        steps += [lambda: _save_logs(result, output / FOLDER)]
        steps += [lambda: _save_files(result, output / FOLDER, files)]
    for step in steps:
        with contextlib.suppress(Exception):  # pictures of a study are not worth the study
            step()


def study_note(result: TuningResult, sentence: str) -> str:
    """Return our part of a study's note, in Markdown.

    Args:
        result: What the study has found.
        sentence: The same in words.
    """
    parts = [HEADING, escaped(result.task.title), f"**{escaped(sentence)}**"]
    verdict = result.study.user_attrs.get(VERDICT)
    if isinstance(verdict, dict):
        parts.append(f"Measured again: {escaped(str(verdict.get('sentence')))}")
    if result.best is not None:
        params = {**result.task.objective.space.default, **result.best.params}
        words = Serving.of(result.task).command(params)
        if result.task.simulated:
            parts.append("The figures are of a simulated engine. Its flags:")
        parts.append(fenced(_in_lines(words), "sh"))
    return "\n\n".join(parts)


def _in_lines(words: Sequence[str]) -> str:
    """Return a command with a line for each of its options."""
    lines: list[str] = []
    for word in words:
        if lines and not word.startswith("--"):
            lines[-1] += f" {shlex.quote(word)}"
        else:
            lines.append(shlex.quote(word))
    return " \\\n    ".join(lines)


def _save_note(result: TuningResult, sentence: str) -> None:
    before, _, _ = note_of(result.study).partition(HEADING)
    save_note(result.study, before + study_note(result, sentence))


def _save_figures(result: TuningResult) -> None:
    pass


def _save_logs(result: TuningResult, folder: Path) -> None:
    """Save the ends of the logs of crashed engines that ran on this machine."""
    hide_secrets = secrets_of(result.task.objective)
    for trial in result.study.get_trials(deepcopy=False):
        if is_crash(trial) and ran_here(trial):
            text = log_tail(trial, _LOG_LINES, hide_secrets)
            if text:
                save_artifact(result.study, folder, "engine.log", text, trial)


def _save_files(result: TuningResult, folder: Path, files: Sequence[Path]) -> None:
    for file in files:
        save_artifact(result.study, folder, file.name, file.read_text(encoding="utf-8"))
