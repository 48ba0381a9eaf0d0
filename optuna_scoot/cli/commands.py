"""The subcommands of ``optuna-scoot``, and one line for every error."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence

import click

from optuna_scoot import __version__
from optuna_scoot.cli.errors import EXIT_STOPPED
from optuna_scoot.cli.errors import one_line
from optuna_scoot.cli.signals import EXIT_INTERRUPTED
from optuna_scoot.cli.signals import INTERRUPTED
from optuna_scoot.cli.signals import interrupt_ends_at_once
from optuna_scoot.own_objectives import use_own_objectives


# Name: (module, attribute, one line of help). A module is imported when its command is used:
# torch and botorch take seconds, and ``optuna-scoot --help`` needs neither.
COMMANDS = {
    "tune": ("optuna_scoot.cli.tune_command", "tune", "Tune an LLM engine on a request trace."),
    "space": ("optuna_scoot.cli.space", "space", "What would be tuned, in which ranges and why."),
    "verify": ("optuna_scoot.cli.verify", "verify", "Measure a study's winner again; judge it."),
    "report": ("optuna_scoot.cli.report", "report", "A study as one HTML page."),
    "export": ("optuna_scoot.cli.export", "export", "A trial as a file for vllm serve --config."),
    "audit": ("optuna_scoot.cli.audit", "audit", "What has to hold for a study, checked."),
    "trace": (
        "optuna_scoot.cli.trace",
        "trace",
        "What a request trace holds; a part, a likeness.",
    ),
    "proxy": (
        "optuna_scoot.cli.proxy",
        "proxy",
        "One process before a database.",
    ),
    "compare": ("optuna_scoot.cli.compare", "compare_command", "Compare samplers."),
    "table": (
        "optuna_scoot.cli.kernel_table",
        "table_command",
        "Kernel Tuner's files for compare.",
    ),
}


_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LazyGroup(click.Group):
    """A group whose commands are imported on use and listed without being imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order in which they are documented."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or return None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        with interrupt_ends_at_once():
            command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands of ``--help``."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Find engine flags that beat the defaults for your traffic.

    The finished trials are always kept: the same command again goes on where it ended.
    """


def run_command(arguments: Sequence[str] | None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: The words after ``optuna-scoot``; None takes them from ``sys.argv``.
    """
    use_own_objectives()
    _print_what_has_no_letter()
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = cli.main(
            args=words, prog_name="optuna-scoot", standalone_mode=False, obj=tuple(words)
        )
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"optuna-scoot: {one_line(error)}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(INTERRUPTED, err=True)
        return EXIT_INTERRUPTED
    except OSError as error:
        if error.filename is not None or error.errno not in _DISK_FULL:
            raise
        _leave_standard_output()
        click.echo(f"optuna-scoot: the output cannot be written: {error.strerror}", err=True)
        return EXIT_STOPPED
    return code if isinstance(code, int) else 0


def _print_what_has_no_letter() -> None:
    """Have a terminal show a mark where its encoding has no letter, as for a study's name."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _leave_standard_output() -> None:
    """Have what is still to be printed go nowhere: Python would try again as it ends."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
