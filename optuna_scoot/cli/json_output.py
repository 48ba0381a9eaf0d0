"""``--json``: one document on stdout for a program, and what is for people on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING
from typing import Any

import click

from optuna_scoot.cli.console import make_console


if TYPE_CHECKING:
    from rich.console import Console


JSON = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the result as JSON; what is said besides goes to stderr.",
)


def console_for_people(*, as_json: bool) -> Console:
    """Return where people are told of what happens.

    Args:
        as_json: Whether stdout is a program's.
    """
    return make_console(sys.stderr) if as_json else make_console()


def print_json(document: Any) -> None:
    """Print a document on stdout; NaN and infinite numbers have to be null by then."""
    click.echo(json.dumps(document, indent=2, allow_nan=False))
