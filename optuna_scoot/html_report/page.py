"""The page: what was gathered and its figures, put into the template.

Everything that comes from a study is text: Jinja escapes it in the HTML, and what goes into a
script is JSON without a character that could end it.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot import __version__
from optuna_scoot.html_report.contents import Contents
from optuna_scoot.html_report.figures.circumstances import arrivals_figure
from optuna_scoot.html_report.figures.circumstances import lengths_figure
from optuna_scoot.html_report.figures.circumstances import quantiles
from optuna_scoot.html_report.figures.circumstances import shares
from optuna_scoot.html_report.figures.circumstances import time_figure
from optuna_scoot.html_report.figures.feasible import feasibility_figure
from optuna_scoot.html_report.figures.judged import capacity_figure
from optuna_scoot.html_report.figures.judged import verdict_figure
from optuna_scoot.html_report.figures.learnt import importance_figure
from optuna_scoot.html_report.figures.learnt import threshold_figure
from optuna_scoot.html_report.figures.tried import convergence_figure
from optuna_scoot.html_report.figures.tried import front_figure
from optuna_scoot.html_report.importance import LEAST_TRIALS
from optuna_scoot.html_report.tables import configurations_table
from optuna_scoot.html_report.tables import curve_tables
from optuna_scoot.html_report.tables import trials_table
from optuna_scoot.html_report.tables import verdict_groups
from optuna_scoot.tuning.formats import format_param
from optuna_scoot.tuning.private_files import write_file
from optuna_scoot.tuning.result_files import finite
from optuna_scoot.tuning.result_files import make_output_dir


if TYPE_CHECKING:
    import jinja2

    from optuna_scoot.html_report.figures.base import Figure


_TEMPLATES = Path(__file__).parent / "templates"


def write_page(contents: Contents, folder: str | Path, name: str) -> Path:
    """Write the page.

    Args:
        contents: What it tells.
        folder: Made where it is missing.
        name: Of the file.

    Returns:
        The file's path.

    Raises:
        InputError: It cannot be written.
    """
    return write_file(make_output_dir(Path(folder)), name, render(contents))


def render(contents: Contents) -> str:
    """Return the page as HTML, in which everything is that it needs."""
    drawn = all_figures(contents)
    return _template().render(
        c=contents,
        report=contents.report,
        metrics=contents.report.metrics,
        verdict=verdict_groups(contents),
        configurations=configurations_table(contents),
        curve_tables=curve_tables(contents),
        trials=trials_table(contents),
        figures={figure.name: figure for figure in drawn},
        figures_json={f.name: finite({"data": f.data, "layout": f.layout}) for f in drawn},
        least_trials=LEAST_TRIALS,
        plotly=_plotly() if drawn else "",
        written=f"{datetime.now():%Y-%m-%d %H:%M}",
        version=__version__,
    )


def all_figures(contents: Contents) -> list[Figure]:
    """Return the figures that the study has something for, in their order on the page."""
    makers = (
        verdict_figure,
        front_figure,
        convergence_figure,
        capacity_figure,
        importance_figure,
        feasibility_figure,
        threshold_figure,
        time_figure,
        lengths_figure,
        arrivals_figure,
    )
    return [figure for make in makers if (figure := make(contents)) is not None]


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    return script


@cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["param"] = _param
    environment.globals |= {"shares": shares, "quantiles": quantiles}
    return environment.get_template("page.html.jinja")


def _param(value: Any) -> str:
    return "–" if value is None else format_param(value)
