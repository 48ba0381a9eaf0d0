"""One run: the default configuration, then what the user wants, then what the sampler suggests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage

from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.tuning.bookkeeping import enqueue_wanted
from optuna_scoot.tuning.bookkeeping import not_retried
from optuna_scoot.tuning.comparable import adopt
from optuna_scoot.tuning.convergence import IN_A_ROW
from optuna_scoot.tuning.convergence import LEAST_SHARE
from optuna_scoot.tuning.convergence import has_converged
from optuna_scoot.tuning.defaults import DEFAULT_TRIALS
from optuna_scoot.tuning.demands import check_configurations
from optuna_scoot.tuning.demands import constrained
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.errors import StoppedError
from optuna_scoot.tuning.errors import TuningError
from optuna_scoot.tuning.errors import TuningInterrupted
from optuna_scoot.tuning.loop import run_trials
from optuna_scoot.tuning.observer import Observer
from optuna_scoot.tuning.pace import Pace
from optuna_scoot.tuning.pace import Prospect
from optuna_scoot.tuning.pace import TimeBudget
from optuna_scoot.tuning.patient_storage import tell_outages
from optuna_scoot.tuning.provenance import record
from optuna_scoot.tuning.report import make_report
from optuna_scoot.tuning.result import TuningResult
from optuna_scoot.tuning.samplers import make_sampler
from optuna_scoot.tuning.storage import check_storage
from optuna_scoot.tuning.storage import open_storage
from optuna_scoot.tuning.storage import open_study
from optuna_scoot.tuning.storage import shown_storage
from optuna_scoot.tuning.storage import storage_failures
from optuna_scoot.tuning.worker_storage import keep_unstored


if TYPE_CHECKING:
    from optuna.study import Study

    from objectives.spaces import EngineSpace
    from optuna_scoot.tuning.task import TuningTask


CONVERGED = (
    f"of each of its last {IN_A_ROW} suggestions the model expected less than {LEAST_SHARE:.0%}"
    " more gain"
)
"""Why a study ended that has converged."""
USERS_FAULTS = (
    ExternalReason.NO_SUCH_MODEL,
    ExternalReason.ENGINE_MISSING,
    ExternalReason.BAD_ENGINE_ARGUMENT,
)


def tune(
    task: TuningTask,
    *,
    n_trials: int = DEFAULT_TRIALS,
    max_hours: float | None = None,
    stop_when_converged: bool = False,
    storage: str | BaseStorage | None = None,
    study_name: str | None = None,
    sampler: str | BaseSampler = "scoot",
    seed: int | None = None,
    constraints: Sequence[str] = (),
    enqueue: Sequence[Mapping[str, Any]] = (),
    observer: Observer | None = None,
    run: Callable[[Study], str | None] | None = None,
    unstored: str | Path | None = None,
) -> TuningResult:
    """Measure the default configuration, then what the sampler suggests, up to a total of trials.

    A study that exists is resumed: the total counts its trials. A trial that failed for a
    passing reason outside its configuration, such as a busy machine, is tried again; one that was
    lost with its worker does not count. Several processes may run the same call on one storage.

    Args:
        task: What is tuned.
        n_trials: The study's total, the default configuration and crashes included.
        max_hours: Hours that this run may take, > 0. No trial begins when they are over, or when
            the trials so far let expect that it would not end in time.
        stop_when_converged: Whether to end before the total when the model expected of each of the
            last five suggestions less than 1 % more gain. For ``scoot``.
        storage: Optuna's storage or its URL, as in "sqlite:///scoot.db"; None keeps the study in
            memory.
        study_name: Made, or resumed where it exists; None lets Optuna make a name up.
        sampler: "scoot" (``ScootSampler`` with the known constraints of the space), "tpe",
            "nsga2", "gp", "random", or any sampler of Optuna's.
        seed: Of a sampler that is made here.
        constraints: What holds for every suggestion of ``scoot``, as in "max_num_seqs <= 64". A
            sampler of your own is to be given its constraints when it is made.
        enqueue: Configurations to try right after the default one, of which each changes a few
            values.
        observer: Told of every trial.
        run: Runs the trials that are missing, as by several processes, and returns why it ended
            early, None where it did not; by default they run here.
        unstored: Folder for what is measured while the storage is away. What a process that ended
            left there is stored by the next one on this machine. None: in memory alone.

    Returns:
        What the study holds: the default, the front, the best trade-off, crashes.

    Raises:
        InputError: Something that was given, or around the engine, has to be changed first. The
            study is not begun, or its finished trials are in the error's ``result``.
        StoppedError: A trial failed for a reason outside its configuration, or the storage does
            not answer. Calling again goes on.
        TuningInterrupted: Ctrl-C; a ``KeyboardInterrupt`` with the ``result`` so far.
    """
    began = time.monotonic()
    observer = Observer() if observer is None else observer
    check_hours(max_hours, task.prospect)
    if isinstance(storage, str):
        check_storage(storage)
    space = constrained(task.objective.space, constraints)
    check_configurations(enqueue, space)
    known = KnownConstraints(space.known_constraints, names=space.parameters)
    chosen = _sampler(sampler, space, seed, constraints, stop_when_converged)
    with storage_failures(storage):
        opened = open_storage(storage) if isinstance(storage, str) else storage
        tell_outages(opened, observer.note)
        keep_unstored(opened, unstored)
        study = open_study(opened, study_name, task.objective.directions, chosen)
        adopt(study, task)
        record(study, space, task.objective.workload)
        options = {
            "trials": n_trials,
            "max_hours": max_hours,
            "stop_when_converged": stop_when_converged,
            "storage": shown_storage(storage),
            "study": study.study_name,
            "sampler": sampler if isinstance(sampler, str) else type(sampler).__name__,
            "seed": seed,
            "constraints": list(constraints),
            "enqueue": [dict(params) for params in enqueue],
        }

        def result(ended_early: str | None = None) -> TuningResult:
            seconds = time.monotonic() - began
            return TuningResult.of(study, task, known, options, seconds, ended_early)

        pace = Pace(task.prospect)
        pace.learn(study.get_trials(deepcopy=False))
        budget = TimeBudget(math.inf if max_hours is None else max_hours * 3600.0, pace)

        observer.run_began(study, n_trials, known)
        try:
            task.objective.enqueue_default(study)
            enqueue_wanted(study, enqueue, space.default)
            if run is None:
                is_done = partial(_why_done, study, known) if stop_when_converged else _never_done
                ended = run_trials(study, task.objective, n_trials, observer, budget, is_done)
            else:
                ended = run(study)
        except KeyboardInterrupt:
            raise TuningInterrupted(result()) from None
        except ExternalFailure as failure:
            raise ended_by(failure, result()) from failure
        return result(ended)


def check_hours(max_hours: float | None, prospect: Prospect | None) -> None:
    """Refuse a time in which not one trial can end.

    Raises:
        InputError: It is no positive number, or the load of a trial alone takes longer.
    """
    if max_hours is None:
        return
    if not 0 < max_hours < math.inf:
        raise InputError(f"`max_hours` {max_hours}: a positive number of hours is needed")
    if prospect is not None and prospect.load_s > max_hours * 3600.0:
        raise InputError(
            f"`max_hours` {max_hours:g} is {max_hours * 3600.0:.3g} s, and the load of one trial "
            f"alone takes {prospect.load_s:g} s"
        )


def _why_done(study: Study, known: KnownConstraints) -> str | None:
    """Return why there should be no further trial where the model expects no more gain."""
    report = make_report(study, known)
    trials = not_retried(study.get_trials(deepcopy=False))
    return CONVERGED if has_converged(trials, report.metrics, report.reference) else None


def _never_done() -> None:
    """Go on up to the study's total."""


def _sampler(
    sampler: str | BaseSampler,
    space: EngineSpace,
    seed: int | None,
    constraints: Sequence[str],
    stop_when_converged: bool,
) -> BaseSampler:
    """Return the sampler to use.

    Raises:
        InputError: There is no sampler of this name, it does not say what it expects where that
            is to end the study, or the user's own would not be told the constraints or the seed.
    """
    if isinstance(sampler, str):
        made = make_sampler(sampler, space, seed)
        if stop_when_converged and sampler != "scoot":
            raise InputError(
                f"`stop_when_converged`: the sampler {sampler} does not say what it expects: "
                "use scoot"
            )
        return made
    if constraints or seed is not None:
        raise InputError(
            "`constraints` and `seed` are for a sampler that is made here: give them to"
            f" {type(sampler).__name__} itself"
        )
    return sampler


def ended_by(failure: ExternalFailure, result: TuningResult | None) -> TuningError:
    """Return the error that a failure outside of any configuration ends the run with."""
    if failure.reason in USERS_FAULTS:
        return InputError(failure.detail, result)
    return StoppedError(f"stopped ({failure.reason}): {failure.detail}", result)
