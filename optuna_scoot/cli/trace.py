"""``optuna-scoot trace``: what a request trace holds, and traces made from it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from objectives.prompts import PromptError
from objectives.prompts import count_texts
from objectives.trace_formats.stamps import UNITS
from objectives.trace_formats.stamps import TimeUnit
from objectives.trace_tools.edits import anonymise
from objectives.trace_tools.edits import cut
from objectives.trace_tools.edits import scale_rate
from objectives.trace_tools.imitation import Likeness
from objectives.trace_tools.imitation import imitate
from objectives.trace_tools.imitation import likeness
from objectives.trace_tools.summary import Lengths
from objectives.trace_tools.summary import TraceSummary
from objectives.trace_tools.summary import summarise
from objectives.traces import Trace
from objectives.traces import TraceError
from objectives.traces import as_jsonl
from objectives.traces import load_trace
from optuna_scoot.cli.console import format_seconds
from optuna_scoot.cli.console import make_console
from optuna_scoot.cli.console import print_line
from optuna_scoot.cli.errors import BadInput
from optuna_scoot.cli.json_output import JSON
from optuna_scoot.cli.json_output import print_json
from optuna_scoot.cli.option_types import option
from optuna_scoot.cli.option_types import positive
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.private_files import write_file


_FILE = click.Path(path_type=Path, dir_okay=False)
_LINES = (".jsonl", ".ndjson")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@option("--model", help="Name or folder of the model whose tokenizer counts texts.")
@option(
    "--trace-time-unit",
    "time_unit",
    type=click.Choice(UNITS),
    help="What the times count, where the file's format does not tell it.",
)
@option(
    "--from", "begin", type=click.FloatRange(min=0.0), help="Take requests from this second on."
)
@option("--until", "end", type=float, callback=positive, help="Take requests before this second.")
@option("--requests", type=click.IntRange(min=1), help="Take the first so many of them.")
@option("--rate", type=float, callback=positive, help="Stretch the times to this many a second.")
@option("--anonymise", "anonymous", is_flag=True, help="Leave out texts and names.")
@option(
    "--synthesise",
    "synthetic",
    is_flag=True,
    help="Draw another trace like it, with none of its requests, to be shared.",
)
@option("--seed", type=click.IntRange(min=0), default=0, help="Of what is drawn.")
@option("--output", type=_FILE, help="Write what came of it, for tune --trace: a .jsonl file.")
@option("--plot", type=_FILE, help="Write a picture: an .html file.")
@JSON
def trace(
    *,
    files: tuple[str, ...],
    model: str | None,
    time_unit: TimeUnit | None,
    begin: float | None,
    end: float | None,
    requests: int | None,
    rate: float | None,
    anonymous: bool,
    synthetic: bool,
    seed: int,
    output: Path | None,
    plot: Path | None,
    as_json: bool,
) -> int:
    """Show what request traces hold: sql, bot, cls, rec, or files in any known format.

    A part of a trace, another pace, a trace without texts, or a synthetic one like it can be
    shown and written. The time of all options is in seconds from the first request.
    """
    _check_files(files, output, plot)
    made: list[Trace] = []
    alike: list[Likeness] = []
    try:
        for file in files:
            one = load_trace(file, time_unit)
            if model is not None:
                one = count_texts(one, model)
            one = cut(one, begin or 0.0, math.inf if end is None else end, requests)
            if rate is not None:
                one = scale_rate(one, rate)
            if anonymous:
                one = anonymise(one)
            made.append(one)
            if synthetic:
                made.append(imitate(one, seed))
                alike.append(likeness(one, made[-1]))
        summaries = [summarise(one) for one in made]
        written = _write(made, output, plot)
    except (TraceError, PromptError, InputError) as error:
        raise BadInput(str(error)) from error
    if as_json:
        found: dict[str, Any] = {"traces": [summary.as_dict() for summary in summaries]}
        if alike:
            found["likeness"] = [one.as_dict() for one in alike]
        print_json({**found, "written": [str(path) for path in written]})
        return 0
    _show(summaries, alike, written)
    return 0


def _check_files(files: tuple[str, ...], output: Path | None, plot: Path | None) -> None:
    """Refuse files that could not be written, before anything is read."""
    if output is not None:
        if len(files) > 1:
            raise BadInput(f"--output is one trace, and {len(files)} are given: give one")
        if output.suffix.lower() not in _LINES:
            raise BadInput(f"--output {output}: a trace is written as .jsonl: name it so")
    if plot is not None and plot.suffix.lower() != ".html":
        raise BadInput(f"--plot {plot}: the picture is a page: give it a name in .html")
    for path in filter(None, (output, plot)):
        if not path.absolute().parent.is_dir():
            raise BadInput(f"{path}: there is no folder {path.parent}: make it, or name another")
        if any(Path(file).exists() and path.exists() and path.samefile(file) for file in files):
            raise BadInput(f"{path}: that is the trace itself: give another name")


def _write(made: list[Trace], output: Path | None, plot: Path | None) -> list[Path]:
    """Write the last trace and the picture of all, and return the files."""
    written = []
    if output is not None:
        written.append(write_file(output.parent, output.name, as_jsonl(made[-1])))
    if plot is not None:
        from objectives.trace_tools.picture import trace_page

        written.append(write_file(plot.parent, plot.name, trace_page(made)))
    return written


def _show(summaries: list[TraceSummary], alike: list[Likeness], written: list[Path]) -> None:
    console = make_console()
    for summary in summaries:
        console.print(_table(summary))
        for note in summary.notes:
            print_line(console, f"{summary.name}: {note}")
    for one in alike:
        print_line(console, _describe(one))
    if written:
        print_line(console, f"written: {', '.join(map(str, written))}")


def _table(summary: TraceSummary) -> Table:
    """Return a trace's figures, a line each."""
    title = Text(f"{summary.name}: {summary.requests:,} requests", "bold")
    table = Table(title=title, title_justify="left", box=None, show_header=False, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, words in _lines(summary):
        table.add_row(Text(name, "dim"), Text(words))
    return table


def _lines(summary: TraceSummary) -> list[tuple[str, str]]:
    lines = [
        ("prompt tokens", _in_words(summary.prompt)),
        ("answer tokens", _in_words(summary.output)),
    ]
    if (arrivals := summary.arrivals) is None:
        lines.append(("arrivals", "no times; tune --rate sets how fast they come"))
    else:
        rate = f"{arrivals.rate:.3g} requests/s for {format_seconds(arrivals.duration)}"
        if arrivals.busiest_minute is not None:
            rate += f"; {arrivals.busiest_minute:.3g} in the busiest minute"
        lines.append(("arrivals", rate))
        bursts = f"coefficient of variation {arrivals.gap_cv:.2f}; 1 is Poisson"
        if arrivals.burstiness is not None:
            bursts += f" (--burstiness {arrivals.burstiness:.2g})"
        lines.append(("gaps", bursts))
        if arrivals.same_stamp > 0.1:
            share = f"{100 * arrivals.same_stamp:.0f} %"
            lines.append(("", f"{share} have the stamp of the one before: no times of arrival"))
    if (sharing := summary.sharing) is None:
        lines.append(("sharing", "as the texts have it; --anonymise finds it"))
    elif sharing.prefixes == 0:
        lines.append(("sharing", "no shared prefix is declared"))
    else:
        lines.append(
            (
                "sharing",
                f"{100 * sharing.requests:.1f} % of requests begin with one of"
                f" {sharing.prefixes:,} texts; a prefix cache finds up to"
                f" {100 * sharing.found:.1f} % of all prompt tokens",
            )
        )
    return lines


def _in_words(lengths: Lengths) -> str:
    return (
        f"mean {lengths.mean:,.0f}, p50 {lengths.p50:,.0f}, p90 {lengths.p90:,.0f},"
        f" p99 {lengths.p99:,.0f}, max {lengths.longest:,}"
    )


def _describe(one: Likeness) -> str:
    copied = f"{100 * one.copied:.2g} %" if one.copied else "none"
    return (
        "the distributions of original and synthetic differ by at most"
        f" {100 * one.prompt:.1f} % (prompts) and {100 * one.output:.1f} % (answers),"
        f" their rank correlation by {abs(one.correlation):.3f};"
        f" requests of the original among them: {copied}"
    )
