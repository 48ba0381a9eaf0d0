"""``optuna-scoot tune`` as it is declared: what it does loads once its options are in order."""

from __future__ import annotations

from typing import Any

import click

from optuna_scoot.cli.console import print_line
from optuna_scoot.cli.declared_options import tune_options
from optuna_scoot.cli.json_output import JSON
from optuna_scoot.cli.json_output import console_for_people
from optuna_scoot.cli.options import TuneOptions
from optuna_scoot.cli.options import check_combination
from optuna_scoot.cli.options import study_name
from optuna_scoot.cli.service_command import FILE
from optuna_scoot.cli.service_command import ServiceCommand
from optuna_scoot.cli.signals import interrupt_ends_at_once


@click.command(cls=ServiceCommand, check=lambda values: check_combination(TuneOptions(**values)))
@FILE
@tune_options
@JSON
def tune(*, as_json: bool, **values: Any) -> int:
    """Tune an LLM engine on a request trace.

    The default configuration is measured first, then what the sampler suggests. Ctrl-C ends the
    run and keeps everything; the same command again goes on. At the end, the front (or the best)
    is shown next to the default, and the output folder holds best.yaml for `vllm serve --config`,
    result.json, trials.csv, and all of it as a page: report.html.
    """
    options = TuneOptions(**values)
    check_combination(options)
    print_line(
        console_for_people(as_json=as_json),
        f"study {study_name(options)}, {options.trials} trials in all, sampler {options.sampler}",
    )
    with interrupt_ends_at_once():
        from optuna_scoot.cli.tune import run  # takes seconds, which a mistyped option need not

    return run(options, tune, as_json=as_json)
