"""A study in optuna-dashboard: its note, figures, and files beside the trials.

The same words and figures as on the HTML page. All of it follows from the study's finished trials,
so that of several workers that end at the same moment each writes the same.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING
from typing import Any

from objectives.serving import REQUESTS
from optuna_scoot.html_report.figures.feasible import feasibility_figure
from optuna_scoot.html_report.figures.judged import capacity_figure
from optuna_scoot.html_report.figures.tried import convergence_figure
from optuna_scoot.html_report.figures.tried import front_figure
from optuna_scoot.tuning.artifacts import is_saved
from optuna_scoot.tuning.artifacts import save_artifact
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.dashboard_attributes import note_of
from optuna_scoot.tuning.dashboard_attributes import save_figure
from optuna_scoot.tuning.dashboard_attributes import save_note
from optuna_scoot.tuning.engine_logs import end_of_log
from optuna_scoot.tuning.formats import format_value
from optuna_scoot.tuning.markdown import escaped
from optuna_scoot.tuning.markdown import fenced
from optuna_scoot.tuning.result_files import BEST_FILE
from optuna_scoot.tuning.result_files import RESULT_FILE
from optuna_scoot.tuning.result_files import TRIALS_FILE
from optuna_scoot.tuning.result_files import finite
from optuna_scoot.tuning.verification import SLO_FILE
from optuna_scoot.tuning.worker_identity import ran_here


if TYPE_CHECKING:
    from optuna.study import Study

    from optuna_scoot.html_report.contents import Contents
    from optuna_scoot.html_report.figures.base import Figure
    from optuna_scoot.tuning.report import Report


FOLDER = "artifacts"
"""Name of the folder below the output of a command, for ``optuna-dashboard --artifact-dir``."""
FILES = (
    "report.html",
    BEST_FILE,
    RESULT_FILE,
    SLO_FILE,
    TRIALS_FILE,
    "default.bench.json",
    "best.bench.json",
)
"""Results that the dashboard offers, as far as they are there."""
HEADING = "## optuna-scoot"
"""Opens our part of a study's note; what stands before is somebody else's."""
SHOWN: tuple[tuple[str, Callable[[Contents], Figure | None]], ...] = (
    ("Front and default configuration", front_figure),
    ("Latency over request rate", capacity_figure),
    ("Convergence", convergence_figure),
    ("Where configurations run, as learnt from crashes", feasibility_figure),
)
"""Figures that the dashboard does not draw itself, with their titles."""
LOG_FILE = "engine.log"
REQUESTS_FILE = "requests.csv.gz"
_MOST_LOGS = 30
_HEIGHT = 450  # of the dashboard's own figures
_TITLE_CHARACTERS = 36  # of an axis
# On a light ground and on a dark one.
_COLOURS = {
    "ink": "#76808c",
    "muted": "#9aa1ab",
    "grid": "rgba(128,128,128,0.25)",
    "surface": "rgba(0,0,0,0)",
    "accent": "#3b82d6",
    "default": "#e08a00",
    "good": "#2a9d55",
    "bad": "#d64550",
    "heat-low": "#f0aaa6",
    "heat-mid": "#f3ead2",
    "heat-high": "#b7d6f2",
}


def show(
    study: Study, contents: Contents, output: Path, hide_secrets: Callable[[str], str]
) -> None:
    """Put on optuna-dashboard what a study has found; never a reason to end.

    While trials of the study run, in another worker, note and figures are left to the worker that
    ends last.

    Args:
        study: Holds the trials.
        contents: What there is to tell of it.
        output: Folder of the results, in which those for the dashboard get one of their own.
        hide_secrets: Takes them out of the engines' logs.
    """
    steps: list[Callable[[], None]] = []
    if not contents.report.running:
        steps.append(lambda: _save_note(study, study_note(contents)))
        steps += [partial(_draw, study, contents, title, make) for title, make in SHOWN]
    folder = output / FOLDER
    steps.append(lambda: save_logs(study, folder, hide_secrets))
    steps.append(lambda: save_requests(study, folder, contents.report))
    files = [output / name for name in FILES if (output / name).is_file()]
    steps += [partial(save_artifact, study, folder, file.name, file) for file in files]
    for step in steps:
        with contextlib.suppress(Exception):  # what was measured is worth more than its pictures
            step()


def study_note(contents: Contents) -> str:
    """Return our part of a study's note, in Markdown.

    Args:
        contents: What there is to tell.
    """
    words = contents.words
    parts = [HEADING, escaped(contents.title or ""), f"**{escaped(words.sentence)}**"]
    if words.command:
        if contents.simulated:
            parts.append("The figures are of a **simulated** engine. Its flags:")
        parts.append(fenced(words.command, "sh"))
    parts.append(_values_table(contents.report))
    parts += [escaped(line) for line in words.lines]
    return "\n\n".join(part for part in parts if part)


def dashboard_figure(figure: Figure, title: str) -> dict[str, Any]:
    """Return a figure of the page as the dashboard shows it: with its title, on any ground.

    Args:
        figure: Its colours are roles.
        title: Stands above.
    """
    text = json.dumps(finite({"data": figure.data, "layout": figure.layout}))
    for role, colour in _COLOURS.items():
        text = text.replace(f'"role:{role}"', f'"{colour}"')
    drawn: dict[str, Any] = json.loads(text)
    layout = drawn["layout"]
    for name in [n for n in layout if n[1:5] == "axis"]:
        axis = {"gridcolor": _COLOURS["grid"], "automargin": True, **layout[name]}
        words = axis.get("title", {}).get("text", "")
        layout[name] = {**axis, "title": {"text": "<br>".join(wrap(words, _TITLE_CHARACTERS))}}
    layout |= {
        "title": {"text": title},
        "paper_bgcolor": _COLOURS["surface"],
        "plot_bgcolor": _COLOURS["surface"],
        "font": {"color": _COLOURS["ink"]},
        "legend": {"orientation": "h", "y": -0.2, "yanchor": "top"},  # a panel is narrow
        "margin": {"l": 70, "r": 20, "t": 60, "b": 60},
        "height": _HEIGHT,
    }
    return drawn


def save_logs(study: Study, folder: Path, hide_secrets: Callable[[str], str]) -> None:
    """Save the ends of the logs of the latest engines that crashed on this machine.

    Args:
        study: Holds their trials.
        folder: Of artifacts.
        hide_secrets: Takes them out.
    """
    trials = study.get_trials(deepcopy=False)
    for trial in [t for t in trials if is_crash(t) and ran_here(t)][-_MOST_LOGS:]:
        if is_saved(study, folder, LOG_FILE, trial):
            continue
        if text := end_of_log(trial, hide_secrets):
            save_artifact(study, folder, LOG_FILE, text, trial)


def save_requests(study: Study, folder: Path, report: Report) -> None:
    """Save the requests of the default and of the best, where they were sent from this machine.

    Args:
        study: Holds their trials.
        folder: Of artifacts.
        report: Names the two.
    """
    shown = {t.number: t for t in (report.default, report.best) if t is not None}
    for trial in shown.values():
        path = trial.user_attrs.get(REQUESTS)
        if isinstance(path, str) and ran_here(trial) and Path(path).is_file():
            save_artifact(study, folder, REQUESTS_FILE, Path(path), trial)


def _draw(
    study: Study, contents: Contents, title: str, make: Callable[[Contents], Figure | None]
) -> None:
    figure = make(contents)
    if figure is not None:
        save_figure(study, figure.name, dashboard_figure(figure, title))


def _save_note(study: Study, text: str) -> None:
    before, _, _ = note_of(study).partition(HEADING)
    save_note(study, before + text)


def _values_table(report: Report) -> str:
    """Return the values of the default and of the best, or what is nearest to one."""
    best = report.best or report.nearest
    found = "best while tuning" if report.best else "nearest to the limits"
    named = [("default", report.default), (found, best)]
    rows = [["", "trial", *(escaped(metric.name) for metric in report.metrics)]]
    rows.append(["---"] * len(rows[0]))
    for name, trial in named:
        if trial is not None and (name == "default" or trial is not report.default):
            values = ["crashed"] * len(report.metrics)
            if trial.values is not None:
                values = [format_value(value) for value in trial.values]
            rows.append([name, str(trial.number), *values])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
