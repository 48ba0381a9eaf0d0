"""`optuna-scoot tune`: the default configuration first, then what the sampler suggests."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click
import optuna
from optuna.distributions import check_distribution_compatibility
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.redaction import MASK
from objectives.redaction import redact
from objectives.redaction import without_secrets
from objectives.serving import ObjectiveError
from objectives.serving import ServingObjective
from optuna_scoot.cli.errors import EXIT_INTERRUPTED
from optuna_scoot.cli.errors import InputError
from optuna_scoot.cli.errors import StoppedError
from optuna_scoot.cli.options import TuneOptions
from optuna_scoot.cli.options import check_combination
from optuna_scoot.cli.options import study_name
from optuna_scoot.cli.options import tune_options
from optuna_scoot.cli.progress import Progress
from optuna_scoot.cli.progress import make_console
from optuna_scoot.cli.table import report_lines
from optuna_scoot.cli.table import report_table
from optuna_scoot.cli.target import Target
from optuna_scoot.cli.target import make_target
from optuna_scoot.tuning.bookkeeping import enqueue_default
from optuna_scoot.tuning.bookkeeping import enqueue_wanted
from optuna_scoot.tuning.loop import run_trials
from optuna_scoot.tuning.loop import terminate_like_interrupt
from optuna_scoot.tuning.result_files import BEST_FILE
from optuna_scoot.tuning.result_files import RESULT_FILE
from optuna_scoot.tuning.result_files import TRIALS_FILE
from optuna_scoot.tuning.result_files import best_yaml
from optuna_scoot.tuning.result_files import check_output_dir
from optuna_scoot.tuning.result_files import make_output_dir
from optuna_scoot.tuning.result_files import result_json
from optuna_scoot.tuning.result_files import trials_csv
from optuna_scoot.tuning.result_files import write_file
from optuna_scoot.tuning.results import make_report
from optuna_scoot.tuning.samplers import make_sampler
from optuna_scoot.tuning.storage import check_storage
from optuna_scoot.tuning.storage import database_message
from optuna_scoot.tuning.storage import mask_url
from optuna_scoot.tuning.storage import open_storage
from optuna_scoot.tuning.storage import open_study


if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from rich.console import Console

    from optuna_scoot.tuning.results import Report


SETTINGS = "tuned_with"
"""Study attribute: what has to be the same for its trials to be comparable."""
USERS_FAULTS = (
    ExternalReason.NO_SUCH_MODEL,
    ExternalReason.ENGINE_MISSING,
    ExternalReason.BAD_ENGINE_ARGUMENT,
)


@click.command()
@tune_options
def tune(**values: Any) -> int:
    """Tune an LLM engine on a request trace.

    The default configuration is measured first, then what the sampler suggests. Ctrl-C ends the
    run and keeps everything; the same command again goes on. At the end, the front (or the best)
    is shown beside the default, and the output folder holds best.yaml for `vllm serve --config`,
    result.json and trials.csv.
    """
    options = TuneOptions(**values)
    check_combination(options)
    with terminate_like_interrupt(), _storage_failures(options.storage):
        return _Session(options, make_console()).run()


@contextlib.contextmanager
def _storage_failures(url: str) -> Iterator[None]:
    """Tell of a database that fails in the middle in one line."""
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raise StoppedError(
            f"storage {mask_url(url)}: {database_message(error, url)};"
            " finished trials are kept: run the same command again to go on"
        ) from error


class _Session:
    """One run of the command.

    Args:
        options: Free of contradictions.
        console: Where everything is shown.
    """

    def __init__(self, options: TuneOptions, console: Console) -> None:
        self._options = options
        self._console = console
        self._began = time.monotonic()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        name = study_name(options)
        self._output = options.output or Path("runs") / name
        # Whatever is certain to fail is found before anything is left behind.
        check_output_dir(self._output)
        check_storage(options.storage)
        self._target = make_target(options, self._output)
        self._objective = make_objective(self._target)
        storage = open_storage(options.storage)
        self._study = open_study(
            storage,
            name,
            self._objective.directions,
            make_sampler(options.sampler, self._target.space, options.seed),
        )
        self._objective.prepare(self._study)
        check_settings(self._study, self._target)
        make_output_dir(self._output)

    def run(self) -> int:
        """Run the trials that are missing, show and write the result; return the exit code."""
        self._show_header()
        try:
            enqueue_default(self._study, self._target.space.default)
            enqueue_wanted(self._study, self._options.enqueue, self._target.space.default)
            with Progress(
                self._study, self._options.trials, self._console, watch=self._target.watch
            ) as progress:
                run_trials(self._study, self._objective, self._options.trials, progress)
        except KeyboardInterrupt:
            self._finish()
            self._say("interrupted; everything is kept: run the same command again to go on")
            return EXIT_INTERRUPTED
        except ExternalFailure as failure:
            self._finish()
            if failure.reason in USERS_FAULTS:
                raise InputError(failure.detail) from failure
            raise StoppedError(
                f"stopped ({failure.reason}): {failure.detail}; everything is kept:"
                " run the same command again to go on"
            ) from failure
        self._finish()
        return 0

    def _show_header(self) -> None:
        self._say(f"tuning {self._target.title}")
        if self._target.simulated:
            self._say("SIMULATED: nothing is measured; a model of the engine predicts all times")
        parameters = ", ".join(self._target.space.parameters)
        self._say(f"{len(self._target.space.parameters)} parameters: {parameters}")
        self._say(
            f"study {self._study.study_name} in {mask_url(self._options.storage)},"
            f" {self._options.trials} trials in all, sampler {self._options.sampler}"
        )

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def _finish(self) -> None:
        """Show the table and write the files."""
        report = make_report(self._study)
        self._console.print()
        self._console.print(report_table(report, self._target.title))
        for line in report_lines(report):
            self._say(line)
        self._write(report)

    def _write(self, report: Report) -> None:
        names = [metric.name for metric in report.metrics]
        trials = self._study.get_trials(deepcopy=False)
        written = [
            write_file(self._output, RESULT_FILE, result_json(report, self._facts())),
            write_file(self._output, TRIALS_FILE, trials_csv(trials, names)),
        ]
        if report.best is not None:
            params = {**self._target.space.default, **report.best.params}
            target = self._target
            text = best_yaml(params, target.serve_args, self._heading(report), target.flags)
            written.insert(0, write_file(self._output, BEST_FILE, text))
        self._say(f"written: {', '.join(str(path) for path in written)}")

    def _heading(self, report: Report) -> list[str]:
        assert report.best is not None
        lines = [
            f"Trial {report.best.number} of study {self._study.study_name}, by optuna-scoot",
            self._target.title,
        ]
        if self._target.simulated:
            lines.append("The figures behind it are of a simulated engine.")
        return lines

    def _facts(self) -> dict[str, Any]:
        durations = [t.duration for t in self._study.trials if t.duration is not None]
        return {
            "simulated": self._target.simulated,
            "engine": self._target.engine.description,
            "load": self._target.load,
            "study": self._study.study_name,
            "options": public_options(self._options),
            "default_configuration": self._target.space.default,
            "seconds": {
                "this_run": round(time.monotonic() - self._began, 3),
                "all_trials": round(sum(d.total_seconds() for d in durations), 3),
            },
        }


def make_objective(target: Target) -> ServingObjective:
    """The objective that measures a target.

    Raises:
        InputError: The load cannot be measured by what is to be optimised.
    """
    try:
        return ServingObjective(
            target.engine, target.workload, space=target.space, mode=target.mode
        )
    except ObjectiveError as error:
        raise InputError(str(error)) from None


def check_settings(study: optuna.Study, target: Target) -> None:
    """See that the study's trials and further ones can be compared.

    Raises:
        InputError: The study was tuned with another engine, load or set of arguments, or has
            other choices for a parameter.
    """
    for trial in study.get_trials(deepcopy=False):
        for name in trial.distributions.keys() & target.space.parameters.keys():
            _check_distribution(study, trial.distributions[name], target, name)
    wanted = json.loads(json.dumps(target.settings))
    found = study.user_attrs.get(SETTINGS)
    if found is None:
        study.set_user_attr(SETTINGS, wanted)
        return
    names = dict.fromkeys([*found, *wanted])
    changed = [name for name in names if found.get(name) != wanted.get(name)]
    if changed:
        changes = ", ".join(f"{n} {found.get(n)} then, {wanted.get(n)} now" for n in changed)
        raise InputError(
            f"study {study.study_name!r} was tuned differently ({changes}):"
            " its trials could not be compared; give another name with --study"
        )


def _check_distribution(
    study: optuna.Study, found: BaseDistribution, target: Target, name: str
) -> None:
    try:
        check_distribution_compatibility(found, target.space.parameters[name])
    except ValueError:
        raise InputError(
            f"study {study.study_name!r} has other choices for {name} ({found}"
            f" then, {target.space.parameters[name]} now); give another name with --study"
        ) from None


def public_options(options: TuneOptions) -> dict[str, Any]:
    """The options without secrets, fit for a file."""
    shown = asdict(options)
    shown["storage"] = mask_url(options.storage)
    if options.engine_command is not None:
        shown["engine_command"] = redact(shlex.split(options.engine_command))
    shown["output"] = None if options.output is None else str(options.output)
    public = without_secrets(options.engine_args)
    shown["engine_args"] = {name: public.get(name, MASK) for name in options.engine_args}
    return shown
