"""A command that takes its options from a file of services, one after another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from optuna_scoot.cli.declared_options import options_of_tune
from optuna_scoot.cli.errors import BadInput
from optuna_scoot.cli.errors import one_line
from optuna_scoot.cli.option_types import option
from optuna_scoot.cli.service_file import NOT_IN_FILE
from optuna_scoot.cli.service_file import Service
from optuna_scoot.cli.service_file import read_services
from optuna_scoot.cli.signals import EXIT_INTERRUPTED


# What each service of a file has for itself.
_OF_ONE_SERVICE = ("study", "output")


FILE = option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML file of one or several services, whose keys are the options of tune; what is given "
    "besides goes before it.",
)


class ServiceCommand(click.Command):
    """A command with ``--file``; what is given besides goes before what the file says.

    Args:
        check: Refuses options that contradict each other, as ``BadInput``.
    """

    def __init__(
        self, *args: Any, check: Callable[[dict[str, Any]], object], **attributes: Any
    ) -> None:
        super().__init__(*args, **attributes)
        self._check = check

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words, with which each service of a file is run."""
        ctx.meta[__name__] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, once for each service where there is a file."""
        path = ctx.params.pop("file")
        if path is None or ctx.obj is _IN_FILE:
            return super().invoke(ctx)
        return self._run_services(ctx, path)

    def _run_services(self, ctx: click.Context, path: Path) -> int:
        services = read_services(path, options_of_tune())
        for name in _OF_ONE_SERVICE:
            given = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
            if given and len(services) > 1:
                raise BadInput(f"--{name}: each of the {len(services)} services has its own")
        # All are read before the first is run: a mistake in the last one shows at once.
        contexts = [self._context(ctx, service) for service in services]
        codes = []
        for number, (service, context) in enumerate(zip(services, contexts, strict=True), 1):
            if service.name is not None:
                click.echo(f"service {service.name} ({number} of {len(services)})", err=True)
            code = self._run_one(service, context)
            if code == EXIT_INTERRUPTED:
                return code
            codes.append(code)
        if len(services) > 1:
            for service, code in zip(services, codes, strict=True):
                how = "done" if code == 0 else f"not done, exit code {code}"
                click.echo(f"service {service.name}: {how}", err=True)
        return min((code for code in codes if code), default=0)

    def _context(self, ctx: click.Context, service: Service) -> click.Context:
        """Return the context of one service.

        Raises:
            BadInput: The command does not take its options so.
        """
        try:
            context = self.make_context(
                ctx.info_name,
                list(ctx.meta[__name__]),
                parent=ctx.parent,
                default_map=dict(service.options),
                obj=_IN_FILE,
            )
            options = {n: v for n, v in context.params.items() if n not in NOT_IN_FILE}
            self._check(options)
            return context
        except click.ClickException as error:
            raise _named(service, error) from None

    def _run_one(self, service: Service, context: click.Context) -> int:
        """Run one service and return its exit code; what goes wrong ends that one alone."""
        try:
            with context:
                code = self.invoke(context)
        except click.ClickException as error:
            if service.name is None:
                raise
            click.echo(f"optuna-scoot: {one_line(_named(service, error))}", err=True)
            return error.exit_code
        return code if isinstance(code, int) else 0


_IN_FILE = object()


class _OfService(click.ClickException):
    """An error of one service of several, which says whose it is."""

    def __init__(self, service: str, error: click.ClickException) -> None:
        super().__init__(f"service {service}: {error.format_message()}")
        vars(self)["exit_code"] = error.exit_code


def _named(service: Service, error: click.ClickException) -> click.ClickException:
    """Return an error that says whose it is, where there are several."""
    return error if service.name is None else _OfService(service.name, error)
