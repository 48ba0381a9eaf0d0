"""One of the processes of ``tune --workers``, which the command starts with ``python -m``.

    command --one JSON object--> worker --a JSON object a line--> command

What it is to do comes on standard input, whose end tells it that the command is gone. What happens
goes to standard output, an event a line:

    {"event": "began", "number": 7}         a trial runs
    {"event": "load", "done": 3, "total": 50}
    {"event": "ended", "number": 7}
    {"event": "note", "line": "..."}        what a person should know
    {"event": "finished", "why": null}      it ends, for lack of trials or for this reason
    {"event": "failed", "reason": "...", "detail": "..."}  it ends, for a fault
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import optuna

from objectives.engines.base import ExternalFailure
from optuna_scoot import tuning
from optuna_scoot.cli.options import TuneOptions
from optuna_scoot.cli.options import study_name
from optuna_scoot.cli.signals import EXIT_INTERRUPTED
from optuna_scoot.cli.signals import terminate_like_interrupt
from optuna_scoot.cli.task import make_task
from optuna_scoot.own_objectives import use_own_objectives
from optuna_scoot.tuning.observer import Observer


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from objectives.loadgen import Progress


LOAD_EVENT_SECONDS = 0.5
_PATHS = ("output", "baseline")  # options that are paths, the second not always


def order_for(
    options: TuneOptions, *, log_dir: Path, unstored: Path, gpu_locks: Path | None, n_threads: int
) -> dict[str, Any]:
    """Return what a worker is told to do, as JSON takes it.

    Args:
        options: Of the command.
        log_dir: Folder of the worker's engine logs.
        unstored: Folder of what is measured while the storage is away.
        gpu_locks: Folder by which the workers share the GPUs, None where they share none.
        n_threads: Threads of its sampler.
    """
    given = asdict(options)
    paths = {name: str(given[name]) for name in _PATHS if isinstance(given[name], Path)}
    return {
        "options": {**given, **paths},
        "paths": list(paths),
        "log_dir": str(log_dir),
        "unstored": str(unstored),
        "gpu_locks": None if gpu_locks is None else str(gpu_locks),
        "n_threads": n_threads,
    }


def _options_of(order: dict[str, Any]) -> TuneOptions:
    given: dict[str, Any] = dict(order["options"])
    for name, value in given.items():
        if name in order["paths"]:
            given[name] = Path(value)
        elif isinstance(value, list):
            given[name] = tuple(value)
    return TuneOptions(**given)


class _Events(Observer):
    """Tells the command what happens."""

    def __init__(self, stream: int, interrupted: threading.Event) -> None:
        self._stream = stream
        self._interrupted = interrupted
        self._next_load = 0.0

    def tell(self, event: str, **fields: object) -> None:
        """Write one event; whoever is not there to read it has ended this process's work."""
        try:
            os.write(self._stream, json.dumps({"event": event, **fields}).encode() + b"\n")
        except OSError:
            self._interrupted.set()

    def load(self, progress: Progress) -> None:
        """Tell how far the load is, now and then."""
        if time.monotonic() >= self._next_load:
            self._next_load = time.monotonic() + LOAD_EVENT_SECONDS
            self.tell("load", done=progress.completed + progress.failed, total=progress.total)

    def trial_began(self, number: int) -> None:
        """Tell that a trial runs.

        Args:
            number: The trial's number in its study.
        """
        self.tell("began", number=number)

    def trial_ended(self, trial: FrozenTrial) -> None:
        """Tell that a trial has ended.

        Args:
            trial: As stored, in a finished state.
        """
        self.tell("ended", number=trial.number)

    def note(self, line: str) -> None:
        """Tell what a person should know.

        Args:
            line: In words.
        """
        self.tell("note", line=line)

    def should_stop(self) -> bool:
        """Return whether the run should end before its next trial."""
        return self._interrupted.is_set()


def work(order: dict[str, Any], events: _Events) -> int:
    """Run trials until the study has all of them, and return the exit code.

    Args:
        order: As ``order_for`` gave it.
        events: Told of everything.
    """
    options = _options_of(order)
    import torch  # takes a second, and the command itself reads this module

    torch.set_num_threads(order["n_threads"])
    try:
        task = make_task(options, Path(order["log_dir"]), events.load, order["gpu_locks"])
        result = tuning.tune(
            task,
            n_trials=options.trials,
            max_hours=options.max_hours,
            stop_when_converged=options.stop_when_converged,
            storage=options.storage,
            study_name=study_name(options),
            sampler=options.sampler,
            seed=options.seed,
            constraints=options.constraints,
            observer=events,
            unstored=order["unstored"],
        )
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except tuning.TuningError as error:
        cause = error.__cause__
        if isinstance(cause, ExternalFailure):
            events.tell("failed", reason=cause.reason, detail=cause.detail)
        else:
            events.tell("failed", reason=None, detail=str(error))
        return 1
    events.tell("finished", why=result.ended_early)
    return 0


def _first_line() -> bytes:
    """Return the first line of standard input, and leave the rest unread."""
    line = b""
    while not line.endswith(b"\n") and (character := os.read(0, 1)):
        line += character
    return line


def _end_with_the_command() -> None:
    """Wait until standard input ends, which it does with the command, and end then too."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Run as the module's docstring says."""
    use_own_objectives()
    stream = os.dup(1)
    os.dup2(2, 1)  # what else is printed is not an event
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    with terminate_like_interrupt() as interrupted:
        order = json.loads(_first_line())
        threading.Thread(target=_end_with_the_command, daemon=True).start()
        return work(order, _Events(stream, interrupted))


if __name__ == "__main__":
    sys.exit(main())
