"""``optuna-scoot verify``: options in, lines, a table, a sentence and files out.

What happens between is ``optuna_scoot.tuning.verify``.
"""

from __future__ import annotations

import warnings
from typing import Any

import click
import optuna

from optuna_scoot import tuning
from optuna_scoot.cli.console import print_line
from optuna_scoot.cli.declared_options import verify_options
from optuna_scoot.cli.json_output import JSON
from optuna_scoot.cli.json_output import console_for_people
from optuna_scoot.cli.options import TaskOptions
from optuna_scoot.cli.options import check_combination
from optuna_scoot.cli.options import output_folder
from optuna_scoot.cli.options import study_name
from optuna_scoot.cli.progress import LoadWatch
from optuna_scoot.cli.service_command import FILE
from optuna_scoot.cli.service_command import ServiceCommand
from optuna_scoot.cli.signals import EXIT_INTERRUPTED
from optuna_scoot.cli.signals import terminate_like_interrupt
from optuna_scoot.cli.task import make_task
from optuna_scoot.cli.tune import GO_ON
from optuna_scoot.cli.tune import LOGS_IN_OUTPUT
from optuna_scoot.cli.tune import errors_in_words_of
from optuna_scoot.cli.verdict import verify_and_show
from optuna_scoot.tuning.result_files import check_output_dir
from optuna_scoot.tuning.storage import load_study
from optuna_scoot.tuning.verification import SLO_FILE


def _check(values: dict[str, Any]) -> None:
    own = ("orders", "finalists")
    check_combination(TaskOptions(**{n: v for n, v in values.items() if n not in own}))


@click.command(cls=ServiceCommand, check=_check)
@FILE
@verify_options
@JSON
def verify(*, orders: int, finalists: int, as_json: bool, **values: Any) -> int:
    """Measure a tuned study's finalists and the default under several arrival orders.

    Takes the options of the `tune` that made the study. A configuration that fails or misses a
    limit under another order gives way to the next. One sentence says whether to keep the winner;
    the output folder holds slo.json, and best.yaml with what is recommended. What is measured
    already is not measured again.
    """
    options = TaskOptions(**values)
    check_combination(options)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    console = console_for_people(as_json=as_json)
    name = study_name(options)
    output = output_folder(options)
    with terminate_like_interrupt() as interrupted, errors_in_words_of(verify):
        check_output_dir(output, name)
        study = load_study(options.storage, name)
        watch = LoadWatch()
        task = make_task(options, output / LOGS_IN_OUTPUT, watch)
        try:
            code = verify_and_show(
                console,
                task,
                study,
                output=output,
                orders=orders,
                finalists=finalists,
                constraints=options.constraints,
                watch=watch,
                should_stop=interrupted.is_set,
            )
        except tuning.TuningInterrupted:
            print_line(console, f"interrupted; everything is kept: {GO_ON}")
            return EXIT_INTERRUPTED
    if as_json:
        click.echo((output / SLO_FILE).read_text(encoding="utf-8"), nl=False)
    return code
