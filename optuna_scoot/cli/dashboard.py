"""What a command leaves in optuna-dashboard at its end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from optuna_scoot.tuning.trial_notes import secrets_of


if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from optuna.study import Study

    from optuna_scoot.tuning.task import TuningTask


def show_in_dashboard(study: Study, task: TuningTask, output: Path, files: Sequence[Path]) -> None:
    """Put on optuna-dashboard what a study has found; never a reason to end.

    Args:
        study: Holds the trials.
        task: What was tuned.
        output: Folder of the command's output.
        files: What was written there.
    """
    from optuna_scoot.cli.report import read_contents
    from optuna_scoot.dashboard import show

    with contextlib.suppress(Exception):  # what was measured is worth more than its pictures
        hide = secrets_of(task.objective)
        show(study, read_contents(study), output=output, files=files, hide_secrets=hide)
