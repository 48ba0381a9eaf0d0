"""``optuna-scoot proxy``: one process in front of a database, for hundreds of workers."""

from __future__ import annotations

import click
import optuna

from optuna_scoot.cli.declared_options import STORAGE
from optuna_scoot.cli.json_output import JSON
from optuna_scoot.cli.json_output import print_json
from optuna_scoot.cli.option_types import option
from optuna_scoot.cli.signals import interrupt_ends_at_once
from optuna_scoot.cli.tune import errors_in_words_of
from optuna_scoot.tuning.proxies import make_proxy


@click.command()
@STORAGE
@option(
    "--host",
    default="localhost",
    show_default=True,
    help="Name or address to listen on; 0.0.0.0 for workers on other machines.",
)
@option("--port", type=click.IntRange(1, 65535), default=13000, show_default=True)
@JSON
def proxy(*, storage: str, host: str, port: int, as_json: bool) -> int:
    """Let workers share a database through one process, with --storage grpc://HOST:PORT.

    It asks nobody who they are and encrypts nothing: whoever reaches the port can read and change
    every study of the database. Workers wait for a proxy that is started again.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with errors_in_words_of(proxy), interrupt_ends_at_once():
        server = make_proxy(storage, host, port)
        server.start()
        if as_json:
            print_json({"storage": f"grpc://{host}:{port}"})
        else:
            click.echo(f"listening: --storage grpc://{host}:{port}; Ctrl-C ends it")
        server.wait_for_termination()
    return 0
