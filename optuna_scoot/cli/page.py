"""A study's page, in the words of the terminal: ``tune`` and ``verify`` end with it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from objectives.redaction import hide
from objectives.redaction import redact
from objectives.redaction import secrets_in
from optuna_scoot.cli.answer import shell_lines
from optuna_scoot.cli.console import print_line
from optuna_scoot.cli.table import best_line
from optuna_scoot.cli.table import report_lines
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.provenance import COMMAND_LINE
from optuna_scoot.tuning.provenance import known_constraints
from optuna_scoot.tuning.report import make_report
from optuna_scoot.tuning.serving_config import SERVING
from optuna_scoot.tuning.serving_config import Serving


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from typing import Any

    from optuna.study import Study
    from rich.console import Console

    from optuna_scoot.html_report.contents import Contents
    from optuna_scoot.html_report.contents import Words
    from optuna_scoot.html_report.measured import Judged
    from optuna_scoot.tuning.report import Report


REPORT_FILE = "report.html"


def record_command_line(study: Study) -> None:
    """Write down in a study the command that measures it, without secrets."""
    words = click.get_current_context().find_root().obj
    if words is not None:
        shown = hide(redact(["optuna-scoot", *words]), secrets_in(os.environ))
        study.set_user_attr(COMMAND_LINE, shown)


def write_and_say(
    console: Console, study: Study, output: Path, hide_secrets: Callable[[str], str]
) -> None:
    """Write a study's page among its results, say where it is, and fill optuna-dashboard.

    Whatever goes wrong with it is said in a line and ends nothing: the results are written, and a
    verdict may be still to come.

    Args:
        console: Where it is said.
        study: With at least one trial that has ended.
        output: Folder of the results.
        hide_secrets: Takes them out of the engines' logs.
    """
    try:
        from optuna_scoot.dashboard import show
        from optuna_scoot.html_report.page import write_page

        contents = read_contents(study)
        written = write_page(contents, output, REPORT_FILE)
        print_line(console, f"all of it as a page, for any browser: {written}")
        show(study, contents, output, hide_secrets)
    except Exception as error:  # of plots, templates, storages, disks
        why = hide_secrets(" ".join(f"{type(error).__name__}: {error}".split()))
        print_line(console, f"the page could not be written ({why}): try optuna-scoot report")


def write_report(study: Study, path: Path) -> Path:
    """Write a study's page.

    Args:
        study: With at least one trial that has ended.
        path: The file.

    Returns:
        The same path.

    Raises:
        InputError: There is nothing to show, or the file cannot be written.
    """
    from optuna_scoot.html_report.page import write_page

    return write_page(read_contents(study), path.parent, path.name)


def read_contents(study: Study) -> Contents:
    """Return all that there is to tell of a study.

    Args:
        study: With at least one trial that has ended.

    Raises:
        InputError: It has none.
    """
    from optuna_scoot.html_report.contents import gather
    from optuna_scoot.html_report.measured import read_verdict

    known = known_constraints(study)
    found = make_report(study, known)
    if not found.counted and not found.external:
        raise InputError(f"study {study.study_name!r} has no trial that ended: nothing to report")
    judged = read_verdict(study, known)
    words = _words(study, found, judged)
    return gather(study, found, words, judged, known)


def _words(study: Study, found: Report, judged: Judged | None) -> Words:
    """Return what the terminal says of a study."""
    from optuna_scoot.html_report.contents import Words

    tuned = best_line(found)
    lines = report_lines(found)
    if judged is None:
        chosen = found.best
        params = None if chosen is None or chosen is found.default else chosen.params
        return Words(tuned, tuple(lines), _command(study, params))
    recommended = judged.recommended
    stays = recommended is None or recommended is judged.baseline
    served = None if recommended is None or stays else recommended.params
    return Words(judged.sentence, (f"while tuning: {tuned}", *lines), _command(study, served))


def _command(study: Study, params: Mapping[str, Any] | None) -> str | None:
    """Return what serves a configuration, None where there is none or nothing serves it."""
    if params is None or SERVING not in study.user_attrs:
        return None
    serving = Serving.load(study)
    words = serving.command({**serving.default, **params})
    return shlex.join(words) if serving.simulated else "\n".join(shell_lines(words))
