"""Run a study's trials up to its total, so that the same command again goes on where it ended."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING

from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.serving import EXTERNAL_REASON
from objectives.serving import FAILURE_IS_EXTERNAL
from optuna_scoot.cli.trials import claim
from optuna_scoot.cli.trials import fail_lost_trials
from optuna_scoot.cli.trials import fail_own_trials
from optuna_scoot.cli.trials import n_taken
from optuna_scoot.cli.trials import try_again


if TYPE_CHECKING:
    from types import FrameType

    import optuna
    from optuna.trial import FrozenTrial

    from optuna_scoot.cli.progress import Progress


TRANSIENT = (ExternalReason.LATE_GENERATOR, ExternalReason.PORT_TAKEN)
"""Failures that may not come again, as of a machine that was busy for a moment."""
MOST_RETRIES = 2

Objective = Callable[["optuna.Trial"], float | Sequence[float]]


def run_trials(
    study: optuna.Study, objective: Objective, n_trials: int, progress: Progress
) -> None:
    """Run trials until `n_trials` of the study have completed or crashed or are running.

    A trial that failed for a passing reason outside its configuration is tried again, twice at
    most in a row.

    Args:
        study: With its sampler and what is enqueued.
        objective: What a trial is.
        n_trials: The study's total.
        progress: Told of every trial.

    Raises:
        ExternalFailure: A trial failed for a reason outside its configuration.
        KeyboardInterrupt: Somebody stopped the run; no trial of this process is left running.
    """
    retries = 0
    while True:
        if _interrupted.is_set():
            raise KeyboardInterrupt
        lost = fail_lost_trials(study)
        if lost:
            progress.note(f"{lost} trials were lost with their workers; they do not count")
        if n_taken(study.get_trials(deepcopy=False)) >= n_trials:
            return
        try:
            _run_one(study, objective, progress)
            retries = 0
        except ExternalFailure as failure:
            retries += 1
            if failure.reason not in TRANSIENT or retries > MOST_RETRIES:
                raise
            progress.note(f"trying the configuration again: {failure.detail}")


def _run_one(study: optuna.Study, objective: Objective, progress: Progress) -> None:
    """Run one trial and tell the progress display of its end, whatever the end is."""
    began: list[int] = []

    def watched(trial: optuna.Trial) -> float | Sequence[float]:
        began.append(trial.number)
        try:
            claim(trial)
            progress.trial_began(trial.number)
            return objective(trial)
        except EngineCrash:
            raise
        except BaseException as error:
            # Whatever this is, it is no crash of the engine's, and nothing to learn from.
            trial.set_user_attr(FAILURE_IS_EXTERNAL, True)
            trial.set_user_attr(EXTERNAL_REASON, _external_reason(error))
            raise

    try:
        study.optimize(watched, n_trials=1, catch=(EngineCrash,))
    except ExternalFailure as failure:
        trial = _finished(study, began)
        if trial is not None and failure.reason in TRANSIENT:
            try_again(study, trial)
        raise
    finally:
        fail_own_trials(study)
        trial = _finished(study, began)
        if trial is not None:
            progress.trial_ended(trial)


def _finished(study: optuna.Study, numbers: Sequence[int]) -> FrozenTrial | None:
    """The trial that ended, None when none began."""
    trials = study.get_trials(deepcopy=False)
    return next((t for t in trials if t.number in numbers and t.state.is_finished()), None)


def _external_reason(error: BaseException) -> str:
    if isinstance(error, ExternalFailure):
        return error.reason
    if isinstance(error, KeyboardInterrupt):
        return ExternalReason.INTERRUPTED.value
    return type(error).__name__


# Python drops an exception that a signal raises inside a finaliser or a callback of a C library:
# what was meant to end the run would then end nothing. The loop looks here between two trials.
_interrupted = threading.Event()


@contextlib.contextmanager
def terminate_like_interrupt() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end the run as Ctrl-C does: engine stopped, everything kept."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        _interrupted.set()
        signal.default_int_handler(number, frame)

    _interrupted.clear()
    numbers = [signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in a shell's background job
        numbers.append(signal.SIGINT)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        _interrupted.clear()
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
