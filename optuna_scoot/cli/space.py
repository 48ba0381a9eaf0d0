"""``optuna-scoot space``: what would be tuned, in which ranges, and why the rest is not."""

from __future__ import annotations

import textwrap
from typing import Any

import click

from objectives.engines.command import option
from objectives.parameter_values import values_of
from objectives.redaction import without_secrets
from objectives.spaces import EngineSpace
from objectives.spaces import parse_change
from optuna_scoot.cli.declared_options import space_options
from optuna_scoot.cli.json_output import JSON
from optuna_scoot.cli.json_output import print_json
from optuna_scoot.cli.options import check_engine
from optuna_scoot.cli.service_command import FILE
from optuna_scoot.cli.service_command import ServiceCommand
from optuna_scoot.cli.tune import errors_in_words_of
from optuna_scoot.tuning.demands import constrained
from optuna_scoot.tuning.server import server_space_report
from optuna_scoot.tuning.simulated import simulated_space_report
from optuna_scoot.tuning.space_report import SpaceReport


WIDTH = 78
MOST_NAMED = 4  # flags of a group, of which --json has all


@click.command(cls=ServiceCommand, check=check_engine)
@FILE
@space_options
@JSON
def space(*, as_json: bool, **values: Any) -> int:
    """Show what `tune` would tune of an engine, and why the rest is not tuned.

    Takes the options of `tune` that choose the engine and change its space. The installed engine
    is asked what it takes; no model is loaded.
    """
    check_engine(values)
    with errors_in_words_of(space):
        report = _report(values)
        together = constrained(report.space, values["constraints"])
    report = SpaceReport(report.engine, together, report.fixed, report.untuned)
    if as_json:
        print_json(report.to_json())
    else:
        click.echo("\n".join(lines(report)))
    return 0


def _report(values: dict[str, Any]) -> SpaceReport:

    def chosen(*names: str) -> dict[str, Any]:
        return {name: values[name] for name in names if values[name] is not None}

    given = chosen("engine_args", "baseline")
    given["params"] = dict(map(parse_change, values["params"]))
    if values["engine"] == "simulated":
        return simulated_space_report(**chosen("service"), **given)
    click.echo("asking the engine what it is and takes: some seconds", err=True)
    return server_space_report(
        **chosen("engine", "model", "python", "engine_command", "n_gpus"), **given
    )


def lines(report: SpaceReport) -> list[str]:
    """Return a report in lines of a terminal's usual width; flags are never cut."""
    space = report.space
    shown = [f"{report.engine}: {len(space.parameters)} parameters are tuned", ""]
    shown += _table(space)
    if space.known_constraints:
        shown += ["", "known constraints, which every suggestion keeps:"]
        shown += [f"  {constraint}" for constraint in space.known_constraints]
    if report.fixed:
        shown += ["", "the same in every trial:"]
        shown += [f"  {option(n)} {v}" for n, v in without_secrets(report.fixed).items()]
    if space.offered:
        shown += ["", "not tuned, as each costs trials; --param NAME adds it:"]
        for name, parameter in space.offered.items():
            shown.append(f"  {option(name)}: {values_of(parameter.distribution)}")
            shown += _wrapped(f"now {parameter.default}; {parameter.why}", "      ")
    if report.untuned:
        shown += ["", "not tuned, and why; --param NAME=VALUES takes a flag all the same:"]
        for why, flags in report.untuned.items():
            if len(flags) == 1:
                shown += _wrapped(f"{flags[0]}: {why}", "  ", "      ")
                continue
            shown += _wrapped(f"{len(flags)} flags: {why}", "  ", "      ")
            more = f", {len(flags) - MOST_NAMED} more" if len(flags) > MOST_NAMED else ""
            shown += _wrapped(", ".join(flags[:MOST_NAMED]) + more, "      ")
    return shown


def _table(space: EngineSpace) -> list[str]:
    """Return a line for each parameter with its values and default, and below it why."""
    shown = []
    for name, distribution in space.parameters.items():
        scale = ", by its logarithm" if getattr(distribution, "log", False) else ""
        shown.append(f"  {option(name)}: {values_of(distribution)}{scale}")
        why = f"; {space.why[name]}" if name in space.why else ""
        shown += _wrapped(f"by default {space.default[name]}{why}", "      ")
    return shown


def _wrapped(text: str, indent: str, further: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if further is None else further,
        break_long_words=False,
        break_on_hyphens=False,
    )
