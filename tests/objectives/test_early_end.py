"""A trial that is ended early: what Optuna is told, and what a sampler learns."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from objectives.engines.base import RunningEngine
from objectives.goals import Goal
from objectives.goals import Limit
from objectives.metrics import LoadResult
from objectives.metrics import RequestRecord
from objectives.metrics import ShouldEnd
from objectives.serving import ObjectiveError
from objectives.serving import ServingObjective
from objectives.spaces import EngineSpace
from objectives.traces import TraceRequest
from objectives.trial_metrics import metrics_of
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


N = 20
SPACE = EngineSpace({"x": IntDistribution(1, 9)}, (), {"x": 2})
GOAL = [Goal.parse("mean ttft", "minimize")]


def load() -> Workload:
    request = TraceRequest(prompt_tokens=8, output_tokens=1)
    return Workload(tuple(ScheduledRequest(i, 0.1 * i, request) for i in range(N)), "w", 2.0)


class Engine:
    """Answers every request after x seconds; looks at the run once a second."""

    description = "by the clock"
    can_end = True

    def __init__(self) -> None:
        self.x = 0
        self.seconds: list[float] = []

    def start(self, params: Mapping[str, Any], label: str) -> RunningEngine:
        self.x = params["x"]
        return _Ends(self) if self.can_end else _Runs(self)


class _Runs(RunningEngine):
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def info(self) -> Mapping[str, Any]:
        return {}

    def records(self, now: float) -> list[RequestRecord]:
        x, out = float(self.engine.x), []
        for i in range(N):
            sent = 0.1 * i
            if sent <= now:
                end = sent + x if sent + x <= now else None
                out.append(RequestRecord(i, sent, sent, end, end, 8, 1 if end else 0))
        return out

    def whole(self) -> LoadResult:
        duration = 0.1 * (N - 1) + self.engine.x
        self.engine.seconds.append(duration)
        return LoadResult(tuple(self.records(1e9)), duration)

    def serve(self, workload: Workload) -> LoadResult:
        return self.whole()

    def stop(self) -> None:
        pass


class _Ends(_Runs):
    def serve(self, workload: Workload, should_end: ShouldEnd | None = None) -> LoadResult:
        for second in range(1, 2 + self.engine.x):
            reason = should_end and should_end(self.records(float(second)), float(second))
            if reason:
                self.engine.seconds.append(second)
                records = tuple(self.records(float(second)))
                return LoadResult(records, float(second), ended_early=reason)
        return self.whole()


def run(engine: Engine, xs: Sequence[int], **more: Any) -> optuna.Study:
    objective = ServingObjective(engine, load(), space=SPACE, goals=GOAL, early_end=True, **more)
    study = optuna.create_study(directions=objective.directions)
    objective.enqueue_default(study)
    for x in xs:
        study.enqueue_trial({"x": x})
    study.optimize(objective, n_trials=1 + len(xs))
    return study


def test_a_trial_that_cannot_become_the_best_is_pruned_with_what_it_had_come_to() -> None:
    engine = Engine()
    trials = run(engine, [3, 9, 1]).trials

    assert [t.state.name for t in trials] == ["COMPLETE", "COMPLETE", "PRUNED", "COMPLETE"]
    # All have waited 3 s and more on average once 0.95 s + 3 s are over: at the look after 4 s.
    assert engine.seconds == pytest.approx([3.9, 4.9, 4.0, 2.9])
    assert trials[2].intermediate_values == {0: pytest.approx(1000 * (4.0 - 0.95))}
    assert "mean ttft is certain to be no better" in trials[2].user_attrs["ended_early"]
    assert trials[2].user_attrs["ended_after_s"] == 4.0
    assert metrics_of(trials[2]) == {}


def test_the_default_alone_ends_nothing() -> None:
    assert [t.state.name for t in run(Engine(), [9]).trials] == ["COMPLETE", "COMPLETE"]


def test_what_misses_a_limit_is_no_best_and_ends_nothing() -> None:
    limits = [Limit.parse("p99 ttft <= 500 ms")]
    states = [t.state.name for t in run(Engine(), [3, 9], limits=limits).trials]
    assert states == ["COMPLETE", "COMPLETE", "COMPLETE"]


def test_a_limit_that_is_missed_for_certain_is_told_as_a_constraint() -> None:
    limit = Limit.parse("p99 ttft <= 3500 ms")
    trial = run(Engine(), [3, 9], limits=[limit]).trials[2]
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["ended_early"] == "it is certain to miss p99 ttft <= 3500 ms"
    # At the look after 4 s the first two have waited 4 s and 3.9 s.
    assert trial.constraints[str(limit)] == pytest.approx((3981.0 - 3500.0) / 3500.0)


def test_an_engine_of_ones_own_that_cannot_end_runs_to_the_end() -> None:
    engine = Engine()
    engine.can_end = False
    assert {t.state for t in run(engine, [3, 9]).trials} == {TrialState.COMPLETE}


def test_several_goals_have_no_early_end() -> None:
    goals = [*GOAL, Goal.parse("p95 e2el", "minimize")]
    with pytest.raises(ObjectiveError, match="`early_end` is for one goal"):
        ServingObjective(Engine(), load(), space=SPACE, goals=goals, early_end=True)
