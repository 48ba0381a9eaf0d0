"""``optuna-scoot report``: any study as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click
import optuna

from optuna_scoot.cli.declared_options import STORAGE
from optuna_scoot.cli.json_output import JSON
from optuna_scoot.cli.json_output import print_json
from optuna_scoot.cli.option_types import option
from optuna_scoot.cli.page import REPORT_FILE
from optuna_scoot.cli.page import write_report
from optuna_scoot.cli.tune import errors_in_words_of
from optuna_scoot.tuning.storage import load_study
from optuna_scoot.tuning.storage import storage_failures


@click.command()
@STORAGE
@option("--study", help="Name of the study.  [default: the only one]")
@option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(REPORT_FILE),
    show_default=True,
    help="File to write.",
)
@JSON
def report(*, storage: str, study: str | None, output: Path, as_json: bool) -> int:
    """Write a study as one HTML page that opens without a network.

    Any study in the storage can be taken while it runs or later; neither the engine nor what was
    tuned is needed. `tune` and `verify` write the same page into their output folder.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with errors_in_words_of(report), storage_failures(storage):
        found = load_study(storage, study, of_anybody=True)
        written = write_report(found, output)
    if as_json:
        print_json({"study": found.study_name, "written": str(written)})
    else:
        click.echo(f"written: {written}")
    return 0
