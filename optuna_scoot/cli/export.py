"""``optuna-scoot export``: a trial of a study as the file of ``vllm serve --config``."""

from __future__ import annotations

from pathlib import Path

import click
import optuna
import yaml

from optuna_scoot import tuning
from optuna_scoot.cli.declared_options import STORAGE
from optuna_scoot.cli.json_output import JSON
from optuna_scoot.cli.json_output import print_json
from optuna_scoot.cli.option_types import option
from optuna_scoot.cli.tune import errors_in_words_of
from optuna_scoot.tuning.private_files import write_file
from optuna_scoot.tuning.result_files import make_output_dir
from optuna_scoot.tuning.storage import load_study
from optuna_scoot.tuning.storage import storage_failures


@click.command()
@option("--trial", type=click.IntRange(min=0), required=True, help="The trial's number.")
@STORAGE
@option("--study", help="Name of the study.  [default: the only one]")
@option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write.  [default: it is printed]",
)
@JSON
def export(
    *, trial: int, storage: str, study: str | None, output: Path | None, as_json: bool
) -> int:
    """Print a trial's configuration for `vllm serve --config`.

    Any trial that completed can be taken, as from the front or from optuna-dashboard.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with errors_in_words_of(export), storage_failures(storage):
        text = tuning.export(load_study(storage, study), trial)
        written = None
        if output is not None:
            written = write_file(make_output_dir(output.absolute().parent), output.name, text)
    if as_json:
        flags = yaml.safe_load(text) or {}
        print_json({"trial": trial, "flags": flags, "written": written and str(written)})
    elif written is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"written: {written}")
    return 0
