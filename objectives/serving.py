"""The objective: an engine with the trial's parameters, a workload on it, and its metrics.

``ServingObjective`` is a plain Optuna objective, which any sampler can tune:

    objective = ServingObjective(engine, workload, space=space, mode="ttft-tpot")
    study = optuna.create_study(directions=objective.directions, sampler=...)
    objective.prepare(study)
    study.optimize(objective, n_trials=30, catch=(EngineCrash,))

The three modes are the paper's (section III, eq. 1): mean TTFT and mean TPOT for interactive
applications, p95 latency for other online ones, throughput for periodic ones. With the goal
``maximize rate`` a trial is several loads: see ``objectives.capacity``.
"""

from __future__ import annotations

import copy
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Self
from typing import get_args

from optuna.exceptions import TrialPruned
from optuna.study import StudyDirection
from optuna.trial import TrialState

from objectives.capacity import CAPACITY
from objectives.capacity import check_aims
from objectives.capacity import measure_capacity
from objectives.capacity import request_slo
from objectives.early_end import EarlyEnd
from objectives.engines.base import LOG
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.stated_config import FLAGS
from objectives.engines.stated_config import as_attributes
from objectives.goals import PRESETS
from objectives.goals import Goal
from objectives.goals import GoalError
from objectives.goals import Limit
from objectives.goals import Metric
from objectives.goals import Mode
from objectives.goals import goodput_slo
from objectives.metrics import PERCENTILES
from objectives.metrics import OwnShare
from objectives.metrics import peaks
from objectives.metrics import summarize
from objectives.metrics.record_files import write_records
from objectives.run_checks import check_completed
from objectives.run_checks import check_measurement
from objectives.run_checks import check_own_share
from objectives.spaces import suggest
from objectives.trial_metrics import store_metrics
from objectives.trial_metrics import written_together


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    import optuna
    from optuna.trial import FrozenTrial

    from objectives.capacity import CapacityTest
    from objectives.capacity import Measured
    from objectives.early_end import Verdict
    from objectives.engines.base import Engine
    from objectives.engines.base import RunningEngine
    from objectives.metrics import GoodputSLO
    from objectives.metrics import LoadResult
    from objectives.spaces import EngineSpace
    from objectives.workload import Workload


# User attributes of a trial.
CRASH_REASON = "crash_reason"
CRASH_DETAIL = "crash_detail"
FAILURE_IS_EXTERNAL = "failure_is_external"
EXTERNAL_REASON = "external_reason"
EXTERNAL_DETAIL = "external_detail"
DEFAULT_CONFIGURATION = "default_configuration"
ENDED_EARLY = "ended_early"  # why, in words
ENDED_AFTER = "ended_after_s"  # seconds of load until then
REQUESTS = "requests"  # file with a line for each request

# Phases of a trial.
SUGGESTION = "suggestion"  # the sampler draws parameters
ENGINE = "engine"  # the engine starts, or ends
LOAD = "load"
OTHER = "other"

MIN_COMPLETED_SHARE = 0.95


class ObjectiveError(ValueError):
    """An objective cannot be used in this way; the message says what to do."""


def is_external(trial: FrozenTrial) -> bool:
    """Return whether a trial failed for a reason that says nothing about its parameters."""
    return trial.state == TrialState.FAIL and bool(trial.user_attrs.get(FAILURE_IS_EXTERNAL))


class ServingObjective:
    """What a serving engine achieves on a workload with a trial's parameters.

    A trial's user attributes hold each metric of the run (``objectives.trial_metrics``), and each
    entry of the engine's ``info`` (version, command line, log file) under its own name. A crash
    sets ``crash_reason`` and ``crash_detail``. A failure that says nothing about the parameters,
    an interrupt included, sets ``failure_is_external`` and ``external_reason``.

    Args:
        engine: Started once for every trial.
        workload: The same for every trial.
        space: The parameters to draw.
        mode: What is optimised; see the head of this module.
        goals: What is optimised instead, one value each, as in
            ``[Goal.parse("p99 ttft", "minimize")]``.
        limits: What a configuration has to keep, as in ``[Limit.parse("p99 ttft <= 500 ms")]``.
            Each becomes a constraint of the trial (``trial.set_constraint``), whose value is the
            share of the limit by which it is missed, ≤ 0 where it is kept.
        min_completed_share: Share of the requests, in (0, 1], that has to complete. With fewer
            the trial has crashed. With as many, a failed request counts in the values as one that
            was answered as late as a request may be (``ServingMetrics.value``).
        slo: Limits for the goodput among the metrics; by default those of ``limits``, each kept by
            a request on its own.
        capacity: How the goal ``maximize rate`` is measured; not needed for another one. The
            trial's metrics are then those of its load at the highest rate that was kept, and
            the user attribute ``capacity`` has the curve of all its loads.
        early_end: Whether a trial that cannot become the best, or misses its limits, is ended
            before all requests are answered (``objectives.early_end``), on engines that can. It
            is pruned (``TrialPruned``) after ``trial.report`` of an estimate of what it
            would have come to. For one goal alone: Optuna has no reports for several.

    Attributes:
        on_phase: Told when a phase of a trial begins, as in ``"load"``; may be replaced.

    Raises:
        ObjectiveError: When mode, goals or share are out of range, or do not suit this workload.
    """

    def __init__(
        self,
        engine: Engine,
        workload: Workload,
        *,
        space: EngineSpace,
        mode: Mode = "ttft-tpot",
        goals: Sequence[Goal] | None = None,
        limits: Sequence[Limit] = (),
        min_completed_share: float = MIN_COMPLETED_SHARE,
        slo: GoodputSLO | None = None,
        capacity: CapacityTest | None = None,
        early_end: bool = False,
    ) -> None:
        if mode not in get_args(Mode):
            raise ObjectiveError(f"the mode is one of {', '.join(get_args(Mode))}, not {mode!r}")
        if not 0 < min_completed_share <= 1:
            raise ObjectiveError(f"min_completed_share is in (0, 1], not {min_completed_share}")
        self.goals = PRESETS[mode] if goals is None else tuple(goals)
        self.limits = tuple(limits)
        self.slo = goodput_slo(limits) if slo is None else slo
        self._check_metrics(workload)
        self.capacity = self._capacity_test(capacity)
        if early_end and len(self.goals) > 1:
            raise ObjectiveError(
                "`early_end` is for one goal: with several, Optuna takes no report of a trial "
                "that is ended early"
            )
        if early_end and self.capacity is not None:
            raise ObjectiveError("`early_end`: not with maximize rate, whose loads end early")
        self.early_end = early_end
        self.engine = engine
        self.workload = workload
        self.space = space
        self.mode = mode
        self.min_completed_share = min_completed_share
        self.label = "trial"
        self.on_phase: Callable[[str], None] = _nobody_is_told

    @property
    def directions(self) -> list[str]:
        """Return the directions for ``optuna.create_study(directions=...)``."""
        return [goal.direction for goal in self.goals]

    @property
    def metric_names(self) -> list[str]:
        """Return the names of the values, with their units."""
        return [goal.metric.label for goal in self.goals]

    def with_workload(
        self, workload: Workload, label: str = "trial", capacity: CapacityTest | None = None
    ) -> Self:
        """Return the same objective on another workload.

        Args:
            workload: What its engines face.
            label: What its runs are called, before the trial's number, in the names of files.
            capacity: How the capacity is measured there, where it is what is optimised; None: as
                before.

        Raises:
            ObjectiveError: Goals or limits do not suit it.
        """
        self._check_metrics(workload)
        other = copy.copy(self)
        other.workload = workload
        other.label = label
        other.early_end = False  # what is measured again is measured whole
        if self.capacity is not None and capacity is not None:
            other.capacity = capacity
        return other

    def prepare(self, study: optuna.Study) -> None:
        """Set the names of the metrics on a study.

        Raises:
            ObjectiveError: When the study was made for other directions.
        """
        wanted = [StudyDirection[direction.upper()] for direction in self.directions]
        if study.directions != wanted:
            raise ObjectiveError(
                f"study {study.study_name!r} has other directions than {self._named()}: create "
                f"it with directions={self.directions}"
            )
        study.set_metric_names(self.metric_names)

    def enqueue_default(self, study: optuna.Study) -> None:
        """Have the engine's default configuration run first, unless it was, is or waits to be.

        It is what the tuned configurations are compared with, and ``ScootSampler`` takes its
        values as reference point. One that failed for an outside reason, such as an interrupt,
        was not run.
        """
        trials = study.get_trials(deepcopy=False)
        marked = [trial for trial in trials if trial.user_attrs.get(DEFAULT_CONFIGURATION)]
        if all(is_external(trial) for trial in marked):
            study.enqueue_trial(self.space.default, user_attrs={DEFAULT_CONFIGURATION: True})

    def __call__(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Measure the configuration that a trial suggests.

        Returns:
            The value, or the values in the order of ``metric_names``.

        Raises:
            EngineCrash: The configuration does not serve this workload: let Optuna catch it.
            ExternalFailure: Something else went wrong, of which nothing can be learned.
            TrialPruned: The trial was ended early.
        """
        self.on_phase(SUGGESTION)
        try:
            params = suggest(trial, self.space)
        finally:
            self.on_phase(OTHER)
        try:
            values, excess = self._measure(trial, params)
        except EngineCrash as crash:
            told = {CRASH_REASON: crash.reason.value, CRASH_DETAIL: crash.detail}
            _set_attrs(trial, {**crash.info, **told})
            raise
        except TrialPruned:
            raise
        except BaseException as error:
            mark_external(trial, error)
            raise
        finally:
            self.on_phase(OTHER)
        with written_together(trial):
            for limit, over in excess.items():
                trial.set_constraint(limit, over)
        return values[0] if len(values) == 1 else values

    def _named(self) -> str:
        return ", ".join(f"{goal.direction} {goal.metric}" for goal in self.goals)

    def _metrics(self) -> list[Metric]:
        """Return every metric that goals and limits are about."""
        return [goal.metric for goal in self.goals] + [limit.metric for limit in self.limits]

    def _check_metrics(self, workload: Workload) -> None:
        """Refuse goals and limits on what this workload does not define.

        Raises:
            ObjectiveError: Says which.
        """
        if not self.goals:
            raise ObjectiveError("there is nothing to optimise: give a goal")
        if len({goal.metric for goal in self.goals}) < len(self.goals):
            raise ObjectiveError(f"a metric is there twice among the goals: {self._named()}")
        names = {metric.name for metric in self._metrics()}
        if "goodput" in names and self.slo is None:
            raise ObjectiveError(
                "goodput counts the requests that keep limits: give one on a latency, such as "
                "'p99 ttft <= 500 ms'"
            )
        if names & {"tpot", "itl"} and all(r.request.output_tokens < 2 for r in workload.requests):
            raise ObjectiveError(
                "every answer of this workload has one token, so that there is no time per "
                "output token: choose another mode"
            )

    def _capacity_test(self, capacity: CapacityTest | None) -> CapacityTest | None:
        """Return how the capacity is measured, None where it is not what is optimised.

        Raises:
            ObjectiveError: It is, and goals, limits or the test do not suit.
        """
        try:
            if not check_aims(self.goals, self.limits):
                return None
        except GoalError as error:
            raise ObjectiveError(str(error)) from None
        if capacity is None:
            raise ObjectiveError("maximize rate: `capacity` has to say how loads are made")
        self.slo = request_slo(self.limits)
        return capacity

    def _measure(
        self, trial: optuna.Trial, params: dict[str, Any]
    ) -> tuple[tuple[float, ...], dict[str, float]]:
        """Return the values that a fresh engine reaches, and by how much it misses each limit."""
        self.on_phase(ENGINE)
        with self.engine.start(params, f"{self.label}-{trial.number}") as running:
            _set_attrs(trial, running.info)
            if self.capacity is not None:
                found = measure_capacity(
                    self.capacity,
                    self.limits,
                    lambda workload: self._serve(running, workload, trial),
                    _earlier_rates(trial),
                )
                trial.set_user_attr(CAPACITY, found.as_dict())
                store_metrics(trial, found.shown.metrics)
                return (found.rate,), found.excess
            judge = self._judge(trial, running)
            metrics, flat = self._serve(running, self.workload, trial, judge)
        store_metrics(trial, flat)
        excess = {str(x): x.excess(metrics.value(x.metric.flat)) for x in self.limits}
        return tuple(metrics.value(goal.metric.flat) for goal in self.goals), excess

    def _serve(
        self,
        running: RunningEngine,
        workload: Workload,
        trial: optuna.Trial,
        judge: EarlyEnd | None = None,
    ) -> Measured:
        """Run a workload on an engine.

        Raises:
            EngineCrash: Too few requests completed, or the engine ended.
            TrialPruned: The trial was ended early.
            ExternalFailure: The measurement is worthless for another reason.
        """
        self.on_phase(LOAD)
        try:
            if judge is None:
                result = running.serve(workload)
            else:
                result = running.serve(workload, should_end=judge)  # type: ignore[call-arg]
        finally:
            self.on_phase(ENGINE)
        check_measurement(result)
        if result.ended_early is not None and judge is not None and judge.verdict is not None:
            _end_early(trial, judge.verdict, result)
        check_completed(result, self.min_completed_share)
        metrics = summarize(
            result.records,
            result.duration,
            self.slo,
            result.longest_s,
            percentiles=sorted(
                {m.percentile for m in self._metrics() if m.percentile is not None}
                - set(PERCENTILES)
            ),
        )
        self._keep_records(running, trial, result)
        own = OwnShare.of(result.records)
        check_own_share(own, metrics, self._metrics())
        notes = {
            **peaks(result.records),
            **own.as_dict(),
            "max_lateness_s": result.max_lateness_s,
            "p99_lateness_s": result.p99_lateness_s,
            "short_outputs": result.short_outputs,
            "prompt_length_mismatches": result.prompt_length_mismatches,
        }
        return metrics, {**metrics.as_dict(), **notes}

    def _keep_records(
        self, running: RunningEngine, trial: optuna.Trial, result: LoadResult
    ) -> None:
        """Write the records beside the engine's log, where it has one and the load is the trial's.

        What was measured is worth more than the file: one that cannot be written is left out.
        """
        log = running.info.get(LOG)
        if log is None or self.capacity is not None:
            return
        path = Path(log).with_suffix(".requests.csv.gz")
        try:
            write_records(path, result.records, getattr(self.engine, "hide_secrets", str))
        except OSError:
            return
        trial.set_user_attr(REQUESTS, str(path))

    def _judge(self, trial: optuna.Trial, running: RunningEngine) -> EarlyEnd | None:
        """Return what may end the trial early, None where nothing may."""
        if not self.early_end or "should_end" not in signature(running.serve).parameters:
            return None
        goal = self.goals[0]
        if (best := best_value(trial.study, goal)) is None:
            return None
        return EarlyEnd(self.workload, goal, best, self.limits, self.slo)


def _nobody_is_told(phase: str) -> None:
    """Take no note of a phase; a function of the module, so that objectives pickle."""


def _earlier_rates(trial: optuna.Trial) -> list[float]:
    """Return the capacities that earlier trials of the study have told."""
    study = getattr(trial, "study", None)  # a fixed trial has none
    if study is None:
        return []
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [float(t.user_attrs[CAPACITY]["rate"]) for t in done if CAPACITY in t.user_attrs]


def best_value(study: optuna.Study, goal: Goal) -> float | None:
    """Return the best value of a trial that keeps all limits, None where there is none.

    The default configuration's does not count: it is run whatever the user's constraints say, and
    may be one that cannot be used.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    values = [
        float(trial.values[0])
        for trial in trials
        if not trial.user_attrs.get(DEFAULT_CONFIGURATION)
        and all(excess <= 0.0 for excess in dict(trial.constraints).values())
    ]
    if not values:
        return None
    return max(values) if goal.direction == "maximize" else min(values)


def _end_early(trial: optuna.Trial, verdict: Verdict, result: LoadResult) -> None:
    """Tell Optuna that a trial was ended, and what is known of it.

    Raises:
        TrialPruned: Always.
    """
    trial.set_user_attr(ENDED_EARLY, verdict.reason)
    trial.set_user_attr(ENDED_AFTER, round(result.duration, 3))
    trial.report(verdict.value, step=0)
    for name, excess in verdict.excess.items():
        trial.set_constraint(name, excess)
    raise TrialPruned(verdict.reason)


def mark_external(trial: optuna.Trial, error: BaseException) -> None:
    """Note on the trial that its failure says nothing about its parameters."""
    trial.set_user_attr(FAILURE_IS_EXTERNAL, True)
    if isinstance(error, ExternalFailure):
        _set_attrs(trial, error.info)
        trial.set_user_attr(EXTERNAL_REASON, error.reason)
        trial.set_user_attr(EXTERNAL_DETAIL, error.detail)
    elif isinstance(error, KeyboardInterrupt):
        trial.set_user_attr(EXTERNAL_REASON, ExternalReason.INTERRUPTED.value)
    else:
        trial.set_user_attr(EXTERNAL_REASON, type(error).__name__)


def _set_attrs(trial: optuna.Trial, info: Any) -> None:
    stated = as_attributes(info[FLAGS]) if FLAGS in info else {}
    with written_together(trial):
        for name, value in {**info, **stated}.items():
            if name != FLAGS:
                trial.set_user_attr(name, value)
