"""``optuna-scoot tune``: options in, lines, a table and files out.

What happens between is ``optuna_scoot.tuning``.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click
import optuna
from rich.text import Text

from objectives.redaction import MASK
from objectives.redaction import hide
from objectives.redaction import redact
from objectives.redaction import secrets_in
from objectives.redaction import without_secrets
from optuna_scoot import tuning
from optuna_scoot.cli.answer import answer
from optuna_scoot.cli.answer import print_first
from optuna_scoot.cli.console import print_line
from optuna_scoot.cli.crashes import crash_lines
from optuna_scoot.cli.crashes import last_words
from optuna_scoot.cli.curves import curve_table
from optuna_scoot.cli.errors import EXIT_LIMITS_MISSED
from optuna_scoot.cli.errors import EXIT_NOTHING_COMPLETED
from optuna_scoot.cli.errors import BadInput
from optuna_scoot.cli.errors import Stopped
from optuna_scoot.cli.front_plot import front_plot
from optuna_scoot.cli.json_output import console_for_people
from optuna_scoot.cli.options import TaskOptions
from optuna_scoot.cli.options import TuneOptions
from optuna_scoot.cli.options import output_folder
from optuna_scoot.cli.options import study_name
from optuna_scoot.cli.page import record_command_line
from optuna_scoot.cli.page import write_and_say
from optuna_scoot.cli.progress import LoadWatch
from optuna_scoot.cli.progress import TrialsDisplay
from optuna_scoot.cli.signals import EXIT_INTERRUPTED
from optuna_scoot.cli.signals import terminate_like_interrupt
from optuna_scoot.cli.table import params_table
from optuna_scoot.cli.table import report_lines
from optuna_scoot.cli.table import report_table
from optuna_scoot.cli.table import time_lines
from optuna_scoot.cli.task import make_task
from optuna_scoot.cli.verdict import verify_and_show
from optuna_scoot.cli.workers import Workers
from optuna_scoot.cli.workers import check_sharing
from optuna_scoot.cli.workers import shared_gpus
from optuna_scoot.tuning.curves import capacity_curves
from optuna_scoot.tuning.engine_logs import secrets_of
from optuna_scoot.tuning.measurements import objectives_by_order
from optuna_scoot.tuning.result_files import RESULT_FILE
from optuna_scoot.tuning.result_files import check_output_dir
from optuna_scoot.tuning.run import CONVERGED
from optuna_scoot.tuning.storage import check_storage
from optuna_scoot.tuning.storage_urls import mask_url
from optuna_scoot.tuning.unstored import FOLDER as UNSTORED


if TYPE_CHECKING:
    import threading

    from rich.console import Console


LONG_SIMULATION_SECONDS = 2000.0
LOGS_IN_OUTPUT = "engine-logs"
NO_MORE = "the study has all its trials; a larger --trials adds some"
GO_ON = "run the same command again to go on"


def run(options: TuneOptions, declared: click.Command, *, as_json: bool = False) -> int:
    """Tune as the options say, show what was found, and return the exit code.

    Args:
        options: Free of contradictions.
        declared: Whose options they are, for what errors call them.
        as_json: Whether stdout gets what result.json holds, and nothing else.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    with (
        terminate_like_interrupt() as interrupted,
        errors_in_words_of(declared),
        shared_gpus(options.workers) as gpu_locks,
    ):
        command = _Command(options, declared, console_for_people(as_json=as_json), gpu_locks)
        try:
            result = command.run(interrupted)
            command.show(result)
            command.write_page(result)
            return command.verify(result, interrupted)
        except tuning.TuningInterrupted as stop:
            command.show_where_any(stop.result)
            command.write_page(stop.result)
            command.say(f"interrupted; everything is kept: {GO_ON}")
            return EXIT_INTERRUPTED
        except tuning.TuningError as error:
            command.show_where_any(error.result)
            raise
        finally:
            if as_json and command.result_file is not None:
                click.echo(command.result_file.read_text(encoding="utf-8"), nl=False)


class _Command:
    """One run of the command.

    Args:
        options: Free of contradictions.
        declared: Whose options they are.
        console: Where everything is shown.
        gpu_locks: Folder by which several workers share the GPUs; None for one.
    """

    def __init__(
        self,
        options: TuneOptions,
        declared: click.Command,
        console: Console,
        gpu_locks: Path | None,
    ) -> None:
        self._options = options
        self._declared = declared
        self._console = console
        self._gpu_locks = gpu_locks
        self._watches = [LoadWatch() for _ in range(options.workers)]
        self._study_name = study_name(options)
        self._output = output_folder(options)
        self.result_file: Path | None = None  # once it is written

    def run(self, interrupted: threading.Event) -> tuning.TuningResult:
        """Check the options and run the trials that are missing."""
        options = self._options
        # Seconds pass before an engine has said what it takes: what needs no engine comes first.
        check_output_dir(self._output, self._study_name)
        check_storage(options.storage)
        if options.engine != "simulated":
            self.say("asking the engine what it is and takes: some seconds")
        elif (options.duration or 0.0) >= LONG_SIMULATION_SECONDS:
            self.say(
                f"{options.duration:g} s of load are simulated request by request, once before"
                " the first trial and in each: minutes"
            )
        logs = self._output / LOGS_IN_OUTPUT
        task = make_task(options, logs, self._watches[0], self._gpu_locks)
        sharing = check_sharing(options, task)
        if options.orders:
            objectives_by_order(task, options.orders)  # refuses what cannot be measured then
        with TrialsDisplay(
            self._console,
            heading=[*self._heading(task), *sharing],
            watches=self._watches,
            should_stop=interrupted.is_set,
            prospect=task.prospect,
            max_hours=options.max_hours,
        ) as progress:
            unstored = self._output / UNSTORED
            workers = Workers(options, progress, self._watches, logs, unstored, self._gpu_locks)
            result = tuning.tune(
                task,
                n_trials=options.trials,
                max_hours=options.max_hours,
                stop_when_converged=options.stop_when_converged,
                storage=options.storage,
                study_name=self._study_name,
                sampler=options.sampler,
                seed=options.seed,
                constraints=options.constraints,
                enqueue=options.enqueue,
                observer=progress,
                run=workers.run if options.workers > 1 else None,
                unstored=unstored,
            )
        if not (progress.n_ended or result.running or result.ended_early):
            self.say(f"nothing was left to do: {NO_MORE}")
        return result

    def show(self, result: tuning.TuningResult) -> None:
        """Show the answer and the table, and write the files."""
        self._console.print()
        print_first(self._console, answer(result))
        self._console.print()
        if result.completed:
            self._console.print(report_table(result, result.task.title))
            if (params := params_table(result)) is not None:
                self._console.print(params)
            for line in front_plot(result):
                self._console.print(Text(line), no_wrap=True)
        for line in [
            *report_lines(result),
            *crash_lines(result.study),
            *([] if result.completed else last_words(result.study)),
            *time_lines(result.study),
        ]:
            self.say(line)
        self._show_curves(result)
        if result.ended_early is not None:
            total = self._options.trials
            done = result.ended_early == CONVERGED
            how = "without --stop-when-converged it goes on" if done else GO_ON
            self.say(
                f"ended before trial {result.counted + 1} of {total}:"
                f" {in_options_of(self._declared, result.ended_early)}; everything is kept: {how}"
            )
        written = result.save(self._output, options=public_options(self._options))
        self.result_file = self._output / RESULT_FILE
        self.say(f"written: {', '.join(str(path) for path in written)}")

    def verify(self, result: tuning.TuningResult, interrupted: threading.Event) -> int:
        """Measure the finalists again where that is wanted, and return the exit code."""
        options = self._options
        if result.nearest is not None:
            return EXIT_LIMITS_MISSED
        if result.crashed and not (result.completed or result.running):
            return EXIT_NOTHING_COMPLETED
        if not options.orders or result.best is None:
            return 0
        if result.running:
            self.say("the verdict is left to the worker that ends last, or: optuna-scoot verify")
            return 0
        return verify_and_show(
            self._console,
            result.task,
            result.study,
            output=self._output,
            orders=options.orders,
            finalists=options.finalists,
            constraints=options.constraints,
            watch=self._watches[0],
            should_stop=interrupted.is_set,
        )

    def _show_curves(self, result: tuning.TuningResult) -> None:
        """Show latency against rate of the default and the best, where it was measured."""
        for curve in capacity_curves(result):
            self._console.print(curve_table(curve, result.task.objective.limits))

    def show_where_any(self, result: tuning.Report | None) -> None:
        """Show what was measured before an end that came too soon."""
        if isinstance(result, tuning.TuningResult):
            self.show(result)

    def write_page(self, result: tuning.Report | None) -> None:
        """Write the page of a study in which some trial has ended."""
        if isinstance(result, tuning.TuningResult) and result.counted:
            record_command_line(result.study)
            hide_secrets = secrets_of(result.task.objective)
            write_and_say(self._console, result.study, self._output, hide_secrets)

    def say(self, line: str) -> None:
        """Print a line as it is."""
        print_line(self._console, line)

    def _heading(self, task: tuning.TuningTask) -> list[str]:
        parameters = task.objective.space.parameters
        lines = [f"tuning {task.title}"]
        if task.simulated:
            lines.append(
                "SIMULATED: nothing is measured; a model of the engine predicts all times"
            )
        if self._options.baseline is not None:
            default = ", ".join(f"{k}={v}" for k, v in task.objective.space.default.items())
            lines.append(f"baseline, instead of the engine's defaults: {default}")
        options = self._options
        lines += [
            f"{len(parameters)} parameters: {', '.join(parameters)}",
            f"trials are kept in {mask_url(options.storage)}",
        ]
        if options.orders:
            lines.append(
                f"then a verdict: up to {options.orders * (options.finalists + 1)} measurements"
                f" more, of {options.finalists} finalists at most and the default under"
                f" {options.orders} arrival orders; --verify 0 leaves it out"
            )
        return lines


def public_options(options: TaskOptions) -> dict[str, Any]:
    """Return the options without secrets, fit for a file."""
    words = shlex.split(options.engine_command or "")
    secrets = secrets_in(os.environ, words)
    shown = {name: _shown(value, secrets) for name, value in asdict(options).items()}
    shown["storage"] = mask_url(options.storage)
    if words:
        shown["engine_command"] = hide(redact(words), secrets)
    if not isinstance(options.baseline, Path):
        shown["baseline"] = without_secrets(options.baseline or {})
    public = without_secrets(options.engine_args)
    shown["engine_args"] = {name: public.get(name, MASK) for name in options.engine_args}
    return shown


def _shown(value: Any, secrets: frozenset[str]) -> Any:
    """Return an option's value as a file may hold it."""
    return hide(str(value), secrets) if isinstance(value, str | Path) else value


def in_options_of(command: click.Command, message: str) -> str:
    """Return a message of the library with a command's options for its arguments."""
    names = {parameter.name: parameter.opts[0] for parameter in command.params}
    names["study_name"] = "--study"
    return re.sub(r"`(\w+)`", lambda found: names.get(found[1], found[0]), message)


@contextlib.contextmanager
def errors_in_words_of(command: click.Command) -> Iterator[None]:
    """Name the options for the arguments in the library's errors, and say how to go on.

    Args:
        command: Whose options they are.
    """
    try:
        yield
    except tuning.TuningError as error:
        message = in_options_of(command, str(error))
        if isinstance(error, tuning.InputError):
            raise BadInput(message) from error
        kept = "finished trials are kept" if error.result is None else "everything is kept"
        raise Stopped(f"{message}; {kept}: {GO_ON}") from error
