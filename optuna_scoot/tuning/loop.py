"""Run a study's trials up to its total, so that the same call again goes on where it ended."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna.exceptions import UpdateFinishedTrialError

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.serving import CRASH_DETAIL
from objectives.serving import CRASH_REASON
from objectives.serving import EXTERNAL_REASON
from objectives.serving import FAILURE_IS_EXTERNAL
from objectives.serving import is_external
from objectives.serving import mark_external
from objectives.trial_metrics import written_together
from optuna_scoot.trials.measured import copy_for_dashboard
from optuna_scoot.tuning.bookkeeping import claim
from optuna_scoot.tuning.bookkeeping import fail_own_trials
from optuna_scoot.tuning.bookkeeping import has_run
from optuna_scoot.tuning.bookkeeping import is_duplicate
from optuna_scoot.tuning.bookkeeping import is_surplus
from optuna_scoot.tuning.bookkeeping import n_taken
from optuna_scoot.tuning.bookkeeping import purpose
from optuna_scoot.tuning.bookkeeping import try_again
from optuna_scoot.tuning.lost_trials import WORKER_LOST
from optuna_scoot.tuning.lost_trials import LostTrials
from optuna_scoot.tuning.pace import TimeBudget
from optuna_scoot.tuning.suspicion import DEFAULT_CRASHED
from optuna_scoot.tuning.suspicion import SAME_WORDS
from optuna_scoot.tuning.suspicion import suspect
from optuna_scoot.tuning.suspicion import take_back
from optuna_scoot.tuning.time_spent import Stopwatch
from optuna_scoot.tuning.trial_notes import note_trial
from optuna_scoot.tuning.worker_identity import ran_here
from optuna_scoot.tuning.worker_storage import WorkerStorage


if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from optuna_scoot.tuning.observer import Observer


BUSY_MACHINE = (ExternalReason.LATE_GENERATOR, ExternalReason.GENERATOR_SHARE)
"""The load generator did not get the processor when it needed it."""
TRANSIENT = (
    *BUSY_MACHINE,
    ExternalReason.PORT_TAKEN,
    ExternalReason.DEVICE_BUSY,
    ExternalReason.HUB_UNREACHABLE,
)
"""Failures that may not come again, as of a machine that was busy for a moment."""
MOST_RETRIES = 2
SURPLUS = "surplus"
"""External reason of a trial that another worker's made unnecessary before it had parameters."""
LOOK_AGAIN_S = 1.0
"""Pause before the workers of trials are looked at again, where all other work is done."""
PAUSE_SECONDS = 5.0  # before the first retry, and twice as long before the next

Objective = Callable[["optuna.Trial"], float | Sequence[float]]


def run_trials(
    study: optuna.Study,
    objective: Objective,
    n_trials: int,
    observer: Observer,
    budget: TimeBudget | None = None,
    is_done: Callable[[], str | None] = lambda: None,
) -> str | None:
    """Run trials until ``n_trials`` of the study have completed or crashed or are running.

    Any number of workers may do this at once: together they make exactly so many. What was lost
    with a worker does not count, and runs again where it was enqueued.

    A trial that failed for a passing reason outside its configuration is tried again, twice at
    most in a row. A configuration that keeps the load generator from its work each time, though
    others did not, cannot be measured here, which counts as a crash. Crashes that may be
    the fault of the surroundings end the run: see ``optuna_scoot.tuning.suspicion``.

    Args:
        study: With its sampler and what is enqueued.
        objective: What a trial is.
        n_trials: The study's total.
        observer: Told of every trial, and asked before each whether to stop.
        budget: Asked before each trial whether it fits into the time.
        is_done: Asked before each trial why there should be no further one, None where one should.

    Returns:
        Why the run ended before the study's total, None where it did not.

    Raises:
        ExternalFailure: A trial failed for a reason outside its configuration.
        KeyboardInterrupt: Somebody stopped the run; no trial of this process is left running.
    """
    budget = TimeBudget() if budget is None else budget
    lost = LostTrials(study)
    stopwatch = Stopwatch(study)
    retries = 0
    while True:
        if observer.should_stop():
            raise KeyboardInterrupt
        trials = give_up_lost(study, lost, observer)
        if n_taken(trials) >= n_trials:
            if lost.any_suspected:
                time.sleep(LOOK_AGAIN_S)
                continue
            return None
        if (reason := budget.is_spent() or is_done()) is not None:
            return reason
        try:
            _run_one(study, objective, n_trials, observer, budget, stopwatch)
            retries = 0
        except ExternalFailure as failure:
            retries += 1
            if failure.reason not in TRANSIENT or retries > MOST_RETRIES:
                raise
            pause = PAUSE_SECONDS * 2 ** (retries - 1)
            observer.note(f"trying the configuration again in {pause:g} s: {failure.detail}")
            time.sleep(pause)


def give_up_lost(study: optuna.Study, lost: LostTrials, observer: Observer) -> list[FrozenTrial]:
    """Fail the trials that were lost with their workers, and have again what was enqueued.

    What a worker had measured and not got stored, as far as it is on this disk, is no loss.

    Args:
        study: Theirs.
        lost: Of the same study, kept from one look to the next.
        observer: Told of each.

    Returns:
        The study's trials as they are then.
    """
    storage = study._storage
    if isinstance(storage, WorkerStorage) and storage.unstored is not None:
        storage.unstored.store(study, observer.note)
    # With many workers it takes time to read the study, all running trials with it.
    trials = study.get_trials(deepcopy=False)
    found = lost.fail(trials)
    for trial in found:
        observer.note(f"trial {trial.number} was lost with its worker and does not count")
        if purpose(trial):
            try_again(study, trial)
    return study.get_trials(deepcopy=False) if found else trials


def _run_one(
    study: optuna.Study,
    objective: Objective,
    n_trials: int,
    observer: Observer,
    budget: TimeBudget,
    stopwatch: Stopwatch,
) -> None:
    """Run one trial and tell the observer of its end, whatever the end is."""
    one = _OneTrial(study, objective, n_trials, observer, stopwatch)
    budget.pace.trial_began()
    try:
        one.run()
    finally:
        trial = one.finished()
        if trial is None:
            fail_own_trials(study)
            trial = one.finished()
        if trial is not None:
            budget.pace.trial_ended(trial)
            observer.trial_ended(trial)
            note_trial(study, trial)
            if n_retried := take_back(study, trial):
                observer.note(f"{n_retried} crashes were of the surroundings: tried again")


@dataclass
class _OneTrial:
    """One trial under Optuna's loop, which tells what became of it by exceptions alone."""

    study: optuna.Study
    objective: Objective
    n_trials: int
    observer: Observer
    stopwatch: Stopwatch
    _began: optuna.Trial | None = None

    def run(self) -> None:
        """Have Optuna run it; only an engine's crash is no error.

        Raises:
            ExternalFailure: It failed for a reason outside its configuration. It waits once more
                where the next try may end otherwise.
            KeyboardInterrupt: Somebody stopped it.
        """
        try:
            with self.stopwatch.watching(self.objective):
                self.study.optimize(self._measure, n_trials=1, catch=(EngineCrash,))
        except UnboundLocalError as error:
            # Optuna's own, where Ctrl-C comes while it stores the end of a trial.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise error.__context__ from None
            raise
        except (UpdateFinishedTrialError, ValueError) as error:
            trial = self.finished()
            if trial is None or not _is_of_another_end(error):
                raise
            how = "ended from elsewhere"
            if trial.user_attrs.get(EXTERNAL_REASON) == WORKER_LOST:
                how = "taken for lost while this machine did not answer"
            self.observer.note(f"trial {trial.number} was {how}; what it measured is left out")
        except ExternalFailure as failure:
            trial = self.finished()
            if trial is not None and failure.reason in (*TRANSIENT, DEFAULT_CRASHED, SAME_WORDS):
                try_again(self.study, trial)
            raise

    def finished(self) -> FrozenTrial | None:
        """Return it as stored once it has ended, None before and where none began."""
        if self._began is None:
            return None
        trial = self.study._storage.get_trial(self._began._trial_id)
        return trial if trial.state.is_finished() else None

    def _measure(self, trial: optuna.Trial) -> float | Sequence[float]:
        """Return what the objective does, and mark what else than its engine's crash ends it."""
        study = self.study
        try:
            claim(trial)
            gives_way = _gives_way(study, trial, self.n_trials)
        except BaseException as error:
            mark_external(trial, error)
            raise
        if gives_way:
            return math.nan  # which fails it
        self._began = trial
        try:
            self.observer.trial_began(trial.number)
            return self.objective(trial)
        except EngineCrash as crash:
            _note_crash(trial, crash)
            if (failure := suspect(study, trial, crash)) is None:
                raise
            mark_external(trial, failure)
            raise failure from crash
        except BaseException as error:
            if isinstance(error, ExternalFailure) and _cannot_be_measured(study, trial, error):
                too_late = EngineCrash(CrashReason.UNMEASURABLE, error.detail)
                _note_crash(trial, too_late)
                raise too_late from error
            # Whatever this is, it is not a crash of the engine, and nothing to learn from.
            mark_external(trial, error)
            raise
        finally:
            _store_last(study, trial, self.stopwatch)


def _is_of_another_end(error: Exception) -> bool:
    """Return whether an error says that somebody else has ended the trial before."""
    return isinstance(error, UpdateFinishedTrialError) or str(error).startswith("Cannot tell a ")


def _gives_way(study: optuna.Study, trial: optuna.Trial, n_trials: int) -> bool:
    """Return whether a trial without parameters yet is one too many, and write down that it is."""
    trials = study.get_trials(deepcopy=False)
    this = next(t for t in trials if t.number == trial.number)
    duplicate = is_duplicate(this, trials)
    if not duplicate and not is_surplus(this, trials, n_trials):
        return False
    trial.set_user_attr(FAILURE_IS_EXTERNAL, True)
    trial.set_user_attr(EXTERNAL_REASON, SURPLUS)
    if not duplicate and purpose(this):
        try_again(study, this)
    return True


def _cannot_be_measured(
    study: optuna.Study, trial: optuna.Trial, failure: ExternalFailure
) -> bool:
    """Return whether it is the trial's configuration that keeps the load generator from its work.

    It does each time it is tried, though others were measured here; or still when the run is
    started again over it.
    """
    if failure.reason not in BUSY_MACHINE:
        return False
    others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
    before = [t for t in others if is_external(t) and t.params == trial.params]
    late = [t for t in before if t.user_attrs.get(EXTERNAL_REASON) in BUSY_MACHINE]
    ran = any(has_run(t) and ran_here(t) for t in others)
    return len(late) > MOST_RETRIES or (ran and len(late) == MOST_RETRIES)


def _store_last(study: optuna.Study, trial: optuna.Trial, stopwatch: Stopwatch) -> None:
    """Store what is known of a trial only as it is about to end, for all that still takes it."""
    with contextlib.suppress(UpdateFinishedTrialError), written_together(trial):
        copy_for_dashboard(study, trial)
        stopwatch.store(trial)


def _note_crash(trial: optuna.Trial, crash: EngineCrash) -> None:
    """Write down why the trial crashed, and that this counts."""
    trial.set_user_attr(CRASH_REASON, crash.reason.value)
    trial.set_user_attr(CRASH_DETAIL, crash.detail)
    if trial.user_attrs.get(FAILURE_IS_EXTERNAL):
        trial.set_user_attr(FAILURE_IS_EXTERNAL, False)
