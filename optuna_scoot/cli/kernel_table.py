"""``optuna-scoot table``: a cache file of Kernel Tuner as a table for ``optuna-scoot compare``."""

from __future__ import annotations

from pathlib import Path

import click

from optuna_scoot.cli.json_output import JSON
from optuna_scoot.cli.json_output import print_json
from optuna_scoot.comparison.tables.description import description_file
from optuna_scoot.comparison.tables.kernel_tuner import read_rules
from optuna_scoot.comparison.tables.kernel_tuner import write_table


_READ = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("table")
@click.argument("cache", type=_READ)
@click.argument("table", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--rules", type=_READ, help="T1 file with the rules and the default.")
@JSON
def table_command(*, cache: Path, table: Path, rules: Path | None, as_json: bool) -> int:
    """Turn a CACHE file of Kernel Tuner into a TABLE for `optuna-scoot compare`.

    CACHE is in Kernel Tuner's own layout or in T4, plain or .gz. TABLE ends in .csv or .csv.gz;
    beside it a .yaml file says what its columns mean.
    """
    try:
        known, default = read_rules(rules) if rules is not None else ([], {})
        n_rows, n_failed = write_table(cache, table, known, default)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    description = description_file(table)
    click.echo(f"written: {table}, {n_rows} configurations, {n_failed} failed", err=as_json)
    click.echo(f"written: {description}, what its columns mean", err=as_json)
    if as_json:
        written = {"written": str(table), "description": str(description)}
        print_json({**written, "configurations": n_rows, "failed": n_failed})
    return 0
