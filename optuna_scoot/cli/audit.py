"""``optuna-scoot audit``: what has to hold for a study, looked up in its storage."""

from __future__ import annotations

import click
import optuna

from optuna_scoot.cli.declared_options import STORAGE
from optuna_scoot.cli.json_output import JSON
from optuna_scoot.cli.json_output import print_json
from optuna_scoot.cli.option_types import option
from optuna_scoot.cli.tune import errors_in_words_of
from optuna_scoot.tuning.audit import audit as look_at
from optuna_scoot.tuning.storage import load_study
from optuna_scoot.tuning.storage import storage_failures


EXIT_FAULTY = 1


@click.command()
@STORAGE
@option("--study", help="Name of the study.  [default: the only one]")
@option("--trials", type=click.IntRange(min=1), help="How many trials were asked for.")
@JSON
def audit(*, storage: str, study: str | None, trials: int | None, as_json: bool) -> int:
    """Look whether a study is as it has to be, once its workers have ended.

    Whatever killed, cut off or stopped workers: the trials asked for are there once each, and the
    sampler learnt from the crashes of configurations alone. Exit code 1 where something is not so.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with errors_in_words_of(audit), storage_failures(storage):
        checks = look_at(load_study(storage, study), trials)
    holds = all(check.holds for check in checks)
    if as_json:
        found = [{"name": c.name, "holds": c.holds, "faults": list(c.faults)} for c in checks]
        print_json({"holds": holds, "checks": found})
        return 0 if holds else EXIT_FAULTY
    for check in checks:
        click.echo(f"{'holds' if check.holds else 'FAULT'}  {check.name}")
        for fault in check.faults:
            click.echo(f"       {fault}")
    return 0 if holds else EXIT_FAULTY
