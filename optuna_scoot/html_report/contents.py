"""All that the page tells, gathered from a study: neither its engine nor its task is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from objectives.goals import GoalError
from objectives.goals import Limit
from optuna_scoot.html_report.crashes import Failures
from optuna_scoot.html_report.crashes import read_failures
from optuna_scoot.html_report.feasibility import FeasibilityMap
from optuna_scoot.html_report.feasibility import learn_feasibility
from optuna_scoot.html_report.importance import Importance
from optuna_scoot.html_report.importance import learn_importance
from optuna_scoot.html_report.measured import Judged
from optuna_scoot.html_report.outcomes import Convergence
from optuna_scoot.html_report.outcomes import Ended
from optuna_scoot.html_report.outcomes import convergence
from optuna_scoot.html_report.outcomes import ended_trials
from optuna_scoot.trials.history import History
from optuna_scoot.trials.outcomes import Outcome
from optuna_scoot.trials.spaces import conditional_space
from optuna_scoot.trials.spaces import infer_search_space
from optuna_scoot.tuning.bookkeeping import not_retried
from optuna_scoot.tuning.curves import Curve
from optuna_scoot.tuning.curves import capacity_curves
from optuna_scoot.tuning.provenance import COMMAND_LINE
from optuna_scoot.tuning.provenance import VERSIONS
from optuna_scoot.tuning.provenance import LoadProfile
from optuna_scoot.tuning.provenance import load_profile
from optuna_scoot.tuning.serving_config import SERVING
from optuna_scoot.tuning.storage import SETTINGS
from optuna_scoot.tuning.time_spent import time_spent


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna.study import Study

    from optuna_scoot.constraints.known import KnownConstraints
    from optuna_scoot.space.search_space import SearchSpace
    from optuna_scoot.trials.history import Record
    from optuna_scoot.tuning.report import Report


@dataclass(frozen=True)
class Words:
    """What the command says of a study, which the page says in the same words.

    Attributes:
        sentence: The answer.
        lines: What there is to know besides: counts, limits, failed requests.
        command: What serves the recommended configuration; None where there is nothing to serve.
    """

    sentence: str
    lines: tuple[str, ...] = ()
    command: str | None = None


@dataclass(frozen=True)
class Setting:
    """A parameter of the recommended configuration beside the default's."""

    name: str
    default: Any
    recommended: Any

    @property
    def is_changed(self) -> bool:
        """Return whether they differ."""
        return bool(self.default != self.recommended)


@dataclass(frozen=True)
class Suggested:
    """A suggestion of the model.

    Attributes:
        number: The trial's.
        pof: The probability that it runs, as the model saw it.
        threshold: Δ then: the least probability that may be suggested.
        ran: Whether it ran.
    """

    number: int
    pof: float
    threshold: float
    ran: bool


@dataclass(frozen=True)
class Contents:
    """All that the page tells. What a study does not have is None or empty.

    Attributes:
        study: Its name.
        title: Engine and load in words.
        simulated: Whether the figures are of a simulated engine.
        words: The answer.
        report: The study's summary.
        judged: The verdict and its measurements.
        settings: The recommended configuration.
        ended: The trials that count.
        convergence: How the best became better.
        curves: Latency over rate, where a capacity was looked for.
        limits: What these had to keep.
        importance: One an objective; None where the trials are too few.
        n_parameters: How many have more than one value.
        feasibility: Where configurations run.
        suggested: The model's suggestions.
        failures: What failed.
        seconds: Where the workers' time went, by part.
        n_workers: How many they were.
        load: Lengths and arrivals.
        settings_of_load: What has to be the same for trials to be comparable.
        versions: Packages with their versions.
        command_line: What repeats it.
        span: From the first trial's start to the last one's end.
    """

    study: str
    title: str | None
    simulated: bool
    words: Words
    report: Report
    judged: Judged | None
    settings: tuple[Setting, ...]
    ended: tuple[Ended, ...]
    convergence: Convergence | None
    curves: tuple[Curve, ...]
    limits: tuple[Limit, ...]
    importance: tuple[Importance | None, ...]
    n_parameters: int
    feasibility: FeasibilityMap | None
    suggested: tuple[Suggested, ...]
    failures: Failures | None
    seconds: Mapping[str, float]
    n_workers: int
    load: LoadProfile | None
    settings_of_load: Mapping[str, Any]
    versions: Mapping[str, str]
    command_line: str | None
    span: tuple[str, str] | None


def gather(
    study: Study,
    report: Report,
    words: Words,
    judged: Judged | None,
    known: KnownConstraints | None,
) -> Contents:
    """Return all that there is to tell of a study.

    Args:
        study: Any; of one that ``tune`` made there is more to tell.
        report: Its summary.
        words: What is said of it.
        judged: Its verdict.
        known: The known constraints that a configuration has to satisfy to be recommended.
    """
    ended = tuple(ended_trials(study, report, known))
    serving = study.user_attrs.get(SERVING)
    serving = serving if isinstance(serving, dict) else {}
    curves = tuple(capacity_curves(report))
    space, records = _space_of(study)
    spent = time_spent(study.get_trials(deepcopy=False))
    seconds: dict[str, float] = {}
    for worker in spent.values():
        for part, value in worker.items():
            seconds[part] = seconds.get(part, 0.0) + value
    return Contents(
        study=study.study_name,
        title=serving.get("title"),
        simulated=bool(serving.get("simulated")),
        words=words,
        report=report,
        judged=judged,
        settings=_settings(report, judged),
        ended=ended,
        convergence=convergence(ended, report),
        curves=curves,
        limits=_limits(report),
        importance=_importance(space, records, len(report.metrics)),
        n_parameters=0 if space is None else space.n_dimensions,
        feasibility=None if space is None else learn_feasibility(records, space, known),
        suggested=_suggested(study),
        failures=read_failures(study, report),
        seconds=seconds,
        n_workers=len(spent),
        load=load_profile(study),
        settings_of_load=_mapping(study, SETTINGS),
        versions=_mapping(study, VERSIONS),
        command_line=study.user_attrs.get(COMMAND_LINE),
        span=_span(study),
    )


def _mapping(study: Study, name: str) -> Mapping[str, Any]:
    found = study.user_attrs.get(name)
    return found if isinstance(found, dict) else {}


def _settings(report: Report, judged: Judged | None) -> tuple[Setting, ...]:
    """Return the recommended configuration; empty where that is the default or none."""
    chosen = report.best or report.nearest
    if judged is not None:
        if judged.recommended is None or judged.recommended is judged.baseline:
            return ()
        params: Mapping[str, Any] = judged.recommended.params
    elif chosen is None or chosen is report.default:
        return ()
    else:
        params = chosen.params
    default = {} if report.default is None else report.default.params
    return tuple(Setting(name, default.get(name), value) for name, value in params.items())


def _limits(report: Report) -> tuple[Limit, ...]:
    """Return the limits that were measured, as far as they are limits on metrics of a run."""
    limits = []
    for name in report.limits:
        try:
            limits.append(Limit.parse(name))
        except GoalError:  # a constraint of the user's own
            continue
    return tuple(limits)


def _space_of(study: Study) -> tuple[SearchSpace | None, list[Record]]:
    """Return the space that the trials show, None where it is empty, and what they say of it."""
    trials = study.get_trials(deepcopy=False)
    distributions = infer_search_space(trials)
    if not distributions:
        return None, []
    history = History.of(trials)
    records = history.records(distributions)
    return conditional_space(records, distributions), records


def _importance(
    space: SearchSpace | None, records: Sequence[Record], n_metrics: int
) -> tuple[Importance | None, ...]:
    completed = [r for r in records if r.outcome is Outcome.COMPLETED]
    if space is None or not completed:
        return (None,) * n_metrics
    x = space.to_unit([r.params for r in completed])
    values = np.array([r.trial.values for r in completed], dtype=float)
    return tuple(learn_importance(space, x, values[:, j]) for j in range(n_metrics))


def _suggested(study: Study) -> tuple[Suggested, ...]:
    trials = not_retried(study.get_trials(deepcopy=False))
    outcomes = dict(zip((t.number for t in trials), History.of(trials).outcomes, strict=True))
    found = []
    for trial in sorted(trials, key=lambda t: t.number):
        pof, threshold = (trial.user_attrs.get(f"scoot:{k}") for k in ("pof", "threshold"))
        outcome = outcomes[trial.number]
        if pof is None or threshold is None or outcome in (Outcome.NOTHING, Outcome.RUNNING):
            continue
        ran = outcome is not Outcome.CRASHED
        found.append(Suggested(trial.number, float(pof), float(threshold), ran))
    return tuple(found)


def _span(study: Study) -> tuple[str, str] | None:
    trials = study.get_trials(deepcopy=False)
    starts = [t.datetime_start for t in trials if t.datetime_start is not None]
    ends = [t.datetime_complete for t in trials if t.datetime_complete is not None]
    if not starts or not ends:
        return None
    return f"{min(starts):%Y-%m-%d %H:%M}", f"{max(ends):%Y-%m-%d %H:%M}"
