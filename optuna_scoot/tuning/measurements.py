"""Measure the winner again before it is believed (paper, section IV-H).

One measurement favours a configuration that was lucky. So the finalists and the baseline are each
measured under several arrival orders, on fresh engines.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from objectives.engines.base import ExternalFailure
from objectives.engines.server_engine import ServerEngine
from objectives.serving import CRASH_DETAIL
from objectives.serving import CRASH_REASON
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.tuning.bookkeeping import CONFIGURATION
from optuna_scoot.tuning.bookkeeping import ORDER
from optuna_scoot.tuning.bookkeeping import find_default
from optuna_scoot.tuning.bookkeeping import n_taken
from optuna_scoot.tuning.bookkeeping import not_retried
from optuna_scoot.tuning.comparable import adopt
from optuna_scoot.tuning.comparable import check_comparable
from optuna_scoot.tuning.defaults import DEFAULT_FINALISTS
from optuna_scoot.tuning.defaults import DEFAULT_ORDERS
from optuna_scoot.tuning.defaults import LEAST_ORDERS
from optuna_scoot.tuning.demands import constrained
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.errors import StoppedError
from optuna_scoot.tuning.errors import TuningInterrupted
from optuna_scoot.tuning.finalists import choose_finalists
from optuna_scoot.tuning.loop import LOOK_AGAIN_S
from optuna_scoot.tuning.loop import give_up_lost
from optuna_scoot.tuning.loop import run_trials
from optuna_scoot.tuning.lost_trials import LostTrials
from optuna_scoot.tuning.observer import Observer
from optuna_scoot.tuning.patient_storage import tell_outages
from optuna_scoot.tuning.report import flags_not_taken
from optuna_scoot.tuning.report import limits_of
from optuna_scoot.tuning.report import study_metrics
from optuna_scoot.tuning.rounds import Rounds
from optuna_scoot.tuning.rounds import find_measurement
from optuna_scoot.tuning.run import ended_by
from optuna_scoot.tuning.simplify import simplify
from optuna_scoot.tuning.storage import MEASUREMENTS
from optuna_scoot.tuning.storage import open_study
from optuna_scoot.tuning.storage import storage_failures
from optuna_scoot.tuning.task import input_errors
from optuna_scoot.tuning.verdict import Measured
from optuna_scoot.tuning.verdict import decide
from optuna_scoot.tuning.verification import Verification


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from objectives.serving import ServingObjective
    from optuna_scoot.tuning.task import TuningTask


DEFAULT = "the default"
BASELINE = "the baseline"
"""Names of what the others are compared with: the engine's defaults, or flags that were given."""
VERDICT = "verdict"
"""Study attribute of the tuned study: kind, sentence and recommendation of the last verdict."""
SAMPLER_SEED = 0
"""Of a sampler that has nothing to suggest: every measurement is enqueued whole."""


def verify(
    task: TuningTask,
    study: Study,
    *,
    orders: int = DEFAULT_ORDERS,
    finalists: int = DEFAULT_FINALISTS,
    constraints: Sequence[str] = (),
    observer: Observer | None = None,
) -> Verification:
    """Measure a study's finalists and its default under several arrival orders, and judge.

    The measurements are trials of a study of their own in the same storage, named after this one
    with "-verify", so that they teach the sampler nothing. The same call again goes on where it
    ended, and takes what is measured: more orders cost only the further ones.

    Args:
        task: What the study was tuned with.
        study: Finished, as in ``tune(...).study``.
        orders: Arrival orders, at least 3.
        finalists: The most configurations besides the default: the best, its simplified version
            (``simplify``) where there is one, and the next best.
        constraints: What holds for every configuration that is recommended, as for ``tune``.
        observer: Told of every measurement; its ``run_began`` gets the study of measurements.

    Returns:
        The measurements and the verdict, which is a user attribute of the tuned study as well.

    Raises:
        InputError: Something that was given, or around the engine, has to be changed first.
        StoppedError: A measurement failed for a reason outside its configuration, another process
            verifies the study, or the storage does not answer. Calling again goes on.
        TuningInterrupted: Ctrl-C; what was measured is kept.
    """
    observer = Observer() if observer is None else observer
    space = constrained(task.objective.space, constraints)
    known = KnownConstraints(space.known_constraints, names=space.parameters)
    objectives = objectives_by_order(task, orders)
    tell_outages(study._storage, observer.note)
    with storage_failures(study._storage):
        check_comparable(study, task)
        plan = _plan(study, task, known, finalists)
        measurements = open_study(
            study._storage,
            f"{study.study_name}{MEASUREMENTS}",
            task.objective.directions,
            optuna.samplers.RandomSampler(seed=SAMPLER_SEED),
        )
        adopt(measurements, task, measurements=True)
        rounds = Rounds(study, measurements, known, plan, orders)
        taken = n_taken(measurements.get_trials(deepcopy=False))
        observer.run_began(measurements, taken + rounds.n_left, known)
        try:
            _measure(rounds, objectives, observer)
        except KeyboardInterrupt:
            raise TuningInterrupted(None) from None
        except ExternalFailure as failure:
            raise ended_by(failure, None) from failure
        return _judge(study, measurements, task, rounds.configurations, orders)


def objectives_by_order(task: TuningTask, orders: int) -> Callable[[int], ServingObjective]:
    """Return a function that gives the objective under an arrival order, by its number from 1.

    Raises:
        InputError: There are too few orders, or the load of one cannot be made.
    """
    if orders < LEAST_ORDERS:
        raise InputError(f"`orders` {orders}: at least {LEAST_ORDERS}")
    workloads = task.workloads
    if workloads is None:
        raise InputError(
            "the task has one workload alone: serving_task(workloads=...) makes the load of an"
            " arrival order"
        )

    @cache
    def objective(order: int) -> ServingObjective:
        test = None if task.capacity_tests is None else task.capacity_tests(order)
        return task.objective.with_workload(workloads(order), label="verify", capacity=test)

    for order in range(1, orders + 1):  # before the first engine starts
        try:
            with input_errors():
                _check_connections(objective(order))
        except InputError as error:
            raise InputError(f"arrival order {order} of the verdict: {error}") from None
    return objective


def _check_connections(objective: ServingObjective) -> None:
    if isinstance(objective.engine, ServerEngine):
        objective.engine.check_connections(objective.workload)


def _plan(
    study: Study, task: TuningTask, known: KnownConstraints, n_finalists: int
) -> dict[str, Measured]:
    """Return the configurations to measure by their names, the default first."""
    trials = not_retried(study.get_trials(deepcopy=False))
    if not any(trial.state == TrialState.COMPLETE for trial in trials):
        raise InputError(
            f"study {study.study_name!r} has no completed trial, so there is nothing to verify"
        )
    default = find_default(trials)
    space = task.objective.space
    limits = tuple(str(limit) for limit in task.objective.limits)

    def configuration(name: str, trial: FrozenTrial | None) -> Measured:
        params = {**space.default, **({} if trial is None else trial.params)}
        number = None if trial is None else trial.number
        return Measured(
            name, params, limits=limits, number=number, allowed=known.satisfied(params)
        )

    chosen = choose_finalists(study, known, n_finalists)
    plan = [configuration(f"trial {trial.number}", trial) for trial in chosen]
    if plan and n_finalists > 1:
        plan = _with_simpler(plan, simplify(study, space, known, plan[0].params))
    baseline = configuration(BASELINE if task.baseline else DEFAULT, default)
    return {one.name: one for one in (baseline, *plan[:n_finalists])}


def _with_simpler(plan: list[Measured], params: dict[str, Any] | None) -> list[Measured]:
    """Return the finalists with the first one's simplified version after it, if there is one."""
    if params is None:
        return plan
    best, *others = plan
    simpler = replace(best, name=f"{best.name} simplified", params=params, number=None)
    simpler = next((one for one in others if one.params == params), simpler)
    others = [one for one in others if one.params != params]
    return [best, replace(simpler, simplifies=best.name), *others]


def _measure(
    rounds: Rounds, objectives: Callable[[int], ServingObjective], observer: Observer
) -> None:
    """Measure what is missing, one after the other."""
    measurements = rounds.measurements

    def objective(trial: optuna.Trial) -> float | tuple[float, ...]:
        # A check of the surroundings (``suspicion``) has no order of its own.
        return objectives(trial.user_attrs.get(ORDER, 1))(trial)

    lost = LostTrials(measurements)
    while True:
        give_up_lost(measurements, lost, observer)
        if lost.any_suspected:
            time.sleep(LOOK_AGAIN_S)
            continue
        one, order = rounds.next(observer.note) or (None, 0)
        if one is None:
            return
        trials = measurements.get_trials(deepcopy=False)
        if any(trial.state == TrialState.RUNNING for trial in trials):
            raise StoppedError(f"another process measures for {measurements.study_name!r}")
        if not any(_waits(trial, one.name, order) for trial in trials):
            attrs = {ORDER: order, CONFIGURATION: one.name}
            measurements.enqueue_trial(dict(one.params), user_attrs=attrs)
        run_trials(measurements, objective, n_taken(trials) + 1, observer)


def _waits(trial: FrozenTrial, name: str, order: int) -> bool:
    attrs = trial.user_attrs
    waits = trial.state == TrialState.WAITING
    return waits and (attrs.get(CONFIGURATION), attrs.get(ORDER)) == (name, order)


def _judge(
    study: Study,
    measurements: Study,
    task: TuningTask,
    plan: Mapping[str, Measured],
    orders: int,
) -> Verification:
    """Return the verdict, and write it down in the tuned study."""
    metrics = study_metrics(measurements)
    measured = [with_values(measurements, one, orders, len(metrics)) for one in plan.values()]
    baseline, *finalists = measured
    verdict = decide(baseline, finalists, metrics)
    recommended = verdict.recommended
    study.set_user_attr(
        VERDICT,
        {
            "kind": verdict.kind.value,
            "sentence": verdict.sentence,
            "recommended": None if recommended is None else recommended.name,
            "orders": orders,
            "measurements": measurements.study_name,
        },
    )
    return Verification(
        metrics=metrics,
        limits=task.objective.limits,
        baseline=baseline,
        finalists=tuple(finalists),
        verdict=verdict,
        orders=orders,
        study=study,
        measurements=measurements,
        task=task,
    )


def with_values(measurements: Study, one: Measured, orders: int, n_metrics: int) -> Measured:
    """Return a configuration with what was measured of it.

    Args:
        measurements: Holds a trial for each measurement.
        one: The configuration.
        orders: Under how many arrival orders.
        n_metrics: Objectives of the study.
    """
    values = np.full((orders, n_metrics), np.nan)
    excess = np.full((orders, len(one.limits)), np.nan)
    crashes = {}
    not_taken: dict[str, Any] = {}
    n_unmeasured = 0
    for order in range(1, orders + 1):
        trial = find_measurement(measurements, one, order)
        if trial is None:
            n_unmeasured += 1
            continue
        not_taken |= flags_not_taken(trial)
        if trial.state == TrialState.COMPLETE:
            values[order - 1] = trial.values
            found = limits_of(trial)
            excess[order - 1] = [found[name] for name in one.limits]
        else:
            attrs = trial.user_attrs
            reason = attrs.get(CRASH_REASON, "unknown")
            crashes[order] = f"{reason}: {attrs.get(CRASH_DETAIL, '')}"
    return replace(
        one,
        values=values,
        excess=excess,
        crashes=crashes,
        not_taken=not_taken,
        n_unmeasured=n_unmeasured,
    )
