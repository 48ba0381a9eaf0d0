"""``optuna-scoot table``: a cache file of Kernel Tuner as a table for ``optuna-scoot compare``."""

from __future__ import annotations

from pathlib import Path

import click

from optuna_scoot.comparison.tables.description import description_file
from optuna_scoot.comparison.tables.kernel_tuner import read_rules
from optuna_scoot.comparison.tables.kernel_tuner import write_table


_READ = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("table")
@click.argument("cache", type=_READ)
@click.argument("table", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--rules", type=_READ, help="T1 file with the rules and the default.")
def table_command(*, cache: Path, table: Path, rules: Path | None) -> int:
    """Turn a CACHE file of Kernel Tuner into a TABLE for `optuna-scoot compare`.

    CACHE is in Kernel Tuner's own layout or in T4, plain or .gz. TABLE ends in .csv or .csv.gz;
    beside it a .yaml file says what its columns mean.
    """
    try:
        known, default = read_rules(rules) if rules is not None else ([], {})
        n_rows, n_failed = write_table(cache, table, known, default)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"written: {table}, {n_rows} configurations of which {n_failed} failed")
    click.echo(f"written: {description_file(table)}, what its columns mean")
    return 0
