"""The capacity of an engine whose latencies follow from the rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from objectives.capacity import CAPACITY
from objectives.capacity import CapacityTest
from objectives.capacity import request_slo
from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.base import RunningEngine
from objectives.goals import Limit
from objectives.goals import parse_goals
from objectives.metrics import GoodputSLO
from objectives.metrics import LoadResult
from objectives.metrics import RequestRecord
from objectives.serving import ObjectiveError
from objectives.serving import ServingObjective
from objectives.spaces import EngineSpace
from objectives.traces import TraceRequest
from objectives.trial_metrics import metrics_of
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


DURATION = 100.0
SPACE = EngineSpace({"bears": FloatDistribution(0.0, 100.0)}, (), {"bears": 4.0})
RATE = parse_goals("maximize rate")
P99 = Limit.parse("p99 ttft <= 500 ms")


def make_load(rate: float, number: int = 0, n_sent: int = 0) -> Workload:
    n = round(rate * DURATION)
    request = TraceRequest(prompt_tokens=8, output_tokens=2)
    return Workload(
        tuple(ScheduledRequest(i, i / rate, request) for i in range(n)),
        "w",
        DURATION,
        prompt_seed=number,
    )


@dataclass
class Queue(RunningEngine):
    """An engine that answers in 100 ms up to the rate that it bears, and in 1 s above it."""

    bears: float = 0.0
    n_slow: int = 0  # requests of every load that take 1 s
    n_failed: int = 0  # and that fail
    gives_up: CrashReason | None = None  # above what it bears
    late: bool = False  # the load generator, above what the engine bears
    too_few_files: bool = False  # for the load, above what the engine bears
    served: list[Workload] = field(default_factory=list)
    n_starts: int = 0

    description = "queue"

    @property
    def info(self) -> Mapping[str, Any]:
        return {"engine": "queue"}

    def start(self, params: Mapping[str, Any], label: str) -> RunningEngine:
        self.n_starts += 1
        self.bears = params["bears"]
        return self

    def serve(self, workload: Workload) -> LoadResult:
        self.served.append(workload)
        over = 1 / workload.requests[1].time > self.bears
        if over and self.gives_up is not None:
            raise EngineCrash(self.gives_up, "too much")
        if over and self.too_few_files:
            raise ExternalFailure(ExternalReason.OPEN_FILES, "too few")
        records = []
        for i, scheduled in enumerate(workload.requests):
            first = scheduled.time + (1.0 if over or i < self.n_slow else 0.1)
            failed = i >= len(workload.requests) - self.n_failed
            error = "stream: broken off" if failed else None
            records.append(
                RequestRecord(
                    i, scheduled.time, scheduled.time, first, first + 0.02, 8, 2, (0.02,), error, 2
                )
            )
        lateness = 1.0 if over and self.late else 0.0
        return LoadResult(
            tuple(records),
            DURATION + 1.0,
            lateness,
            lateness,
            lateness_limit_s=0.1,
            longest_s=60.0,
        )

    def stop(self) -> None:
        pass


def objective(engine: Queue, *limits: str, start: float = 1.0, **more: Any) -> ServingObjective:
    return ServingObjective(
        engine,
        make_load(start),
        space=SPACE,
        goals=RATE,
        limits=[Limit.parse(text) for text in limits or ("p99 ttft <= 500 ms",)],
        capacity=CapacityTest(make_load, start, DURATION, **more),
    )


def tried(made: ServingObjective, *bears: float) -> list[FrozenTrial]:
    """A trial for each of the rates that configurations bear."""
    study = optuna.create_study(directions=made.directions)
    made.prepare(study)
    for value in bears:
        study.enqueue_trial({"bears": value})
    study.optimize(made, n_trials=len(bears), catch=(EngineCrash,))
    return study.trials


def test_the_highest_rate_that_keeps_the_limits_is_found_on_one_engine() -> None:
    engine = Queue()
    (trial,) = tried(objective(engine), 6.5)

    assert engine.n_starts == 1
    assert 6.5 / 1.05 <= trial.values[0] <= 6.5
    told = trial.user_attrs[CAPACITY]
    assert told["rate"] == trial.values[0]
    assert 6.5 < told["missed_at"] <= 1.05 * told["rate"]
    assert told["loads"] == len(engine.served)


def test_the_curve_is_in_the_order_of_rates_with_what_was_limited() -> None:
    (trial,) = tried(objective(Queue(), "p99 ttft <= 500 ms", "mean tpot <= 1 s"), 3.0)

    curve = trial.user_attrs[CAPACITY]["curve"]
    assert [point["rate"] for point in curve] == sorted(point["rate"] for point in curve)
    for point in curve:
        assert point["kept"] is (point["rate"] <= 3.0)
        assert point["ttft_ms_p99"] == pytest.approx(100.0 if point["kept"] else 1000.0)
        assert point["tpot_ms_mean"] == pytest.approx(20.0)
        assert point["share_within_limits"] == (1.0 if point["kept"] else 0.0)
        assert point["requests"] == round(DURATION * point["rate"])


def test_metrics_and_constraints_are_those_of_the_load_at_the_capacity() -> None:
    (trial,) = tried(objective(Queue()), 3.0)

    rate = trial.values[0]
    assert metrics_of(trial)["completed"] == round(DURATION * rate)
    assert dict(trial.constraints) == pytest.approx({str(P99): 100 / 500 - 1})


def test_loads_of_a_trial_have_numbers_and_read_on() -> None:
    seen: list[tuple[int, int]] = []

    def make(rate: float, number: int, n_sent: int) -> Workload:
        seen.append((number, n_sent))
        return make_load(rate)

    engine = Queue()
    made = objective(engine)
    made.capacity = CapacityTest(make, 1.0, DURATION)
    tried(made, 6.5)

    sent = [len(workload.requests) for workload in engine.served]
    assert seen == [(i, sum(sent[:i])) for i in range(len(sent))]


def test_what_serves_and_keeps_no_rate_is_worth_nothing_but_no_crash() -> None:
    made = objective(Queue(), "p99 ttft <= 10 ms")
    (trial,) = tried(made, 50.0)

    assert trial.state == TrialState.COMPLETE
    assert trial.values == [0.0]
    assert dict(trial.constraints) == {"p99 ttft <= 10 ms": pytest.approx(9.0)}
    # Down to 20 requests a load and no further.
    assert trial.user_attrs[CAPACITY]["curve"][0]["rate"] == pytest.approx(20 / DURATION)
    assert trial.user_attrs[CAPACITY]["missed_at"] == pytest.approx(20 / DURATION)


@pytest.mark.parametrize(("n_slow", "kept"), [(1, True), (2, False)])
def test_at_least_99_of_100_requests_keep_their_limits(n_slow: int, kept: bool) -> None:
    # Each limit holds at its 99.9th percentile only because it is loose there.
    engine = Queue(n_slow=n_slow)
    made = objective(engine, "p99.9 ttft <= 999.9 ms", "p99 ttft <= 990 ms", most_loads=1)
    (trial,) = tried(made, 50.0)

    assert (trial.values[0] > 0) is kept


def test_a_mean_is_kept_over_the_whole_load_not_by_each_request() -> None:
    # Of 100 requests 20 take 1 s and the others 0.1 s: 0.28 s on average.
    (trial,) = tried(objective(Queue(n_slow=20), "mean ttft <= 300 ms", most_loads=1), 50.0)

    assert trial.values == [1.0]


def test_no_request_may_fail() -> None:
    engine = Queue(n_failed=1)
    (trial,) = tried(objective(engine, "p50 ttft <= 500 ms"), 50.0)

    assert trial.values == [0.0]
    # The limit itself holds, and yet the trial must not look as if it kept it.
    assert dict(trial.constraints)["p50 ttft <= 500 ms"] > 0.0


def test_an_engine_that_gives_up_under_too_much_load_has_missed_that_rate() -> None:
    (trial,) = tried(objective(Queue(gives_up=CrashReason.REQUEST_TIMEOUTS)), 6.5)

    assert 6.5 / 1.05 <= trial.values[0] <= 6.5
    missed = [p for p in trial.user_attrs[CAPACITY]["curve"] if not p["kept"]]
    assert all(p["failed"] == p["requests"] for p in missed)
    assert {p["why"] for p in missed} == {"request_timeouts"}


@pytest.mark.parametrize(
    ("queue", "why"),
    [(Queue(late=True), "late_generator"), (Queue(too_few_files=True), "open_files")],
)
def test_a_rate_that_cannot_be_sent_is_not_kept_and_spoils_no_other(
    queue: Queue, why: str
) -> None:
    (trial,) = tried(objective(queue), 6.5)

    assert 6.5 / 1.05 <= trial.values[0] <= 6.5
    missed = [p for p in trial.user_attrs[CAPACITY]["curve"] if not p["kept"]]
    assert {p["why"] for p in missed} == {why}


def test_a_generator_that_is_late_before_anything_was_kept_has_measured_nothing() -> None:
    with pytest.raises(ExternalFailure, match="too busy to measure"):
        tried(objective(Queue(late=True)), 0.5)


def test_an_engine_that_serves_at_no_rate_has_crashed() -> None:
    (trial,) = tried(objective(Queue(gives_up=CrashReason.REQUEST_TIMEOUTS)), 0.0)

    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["crash_reason"] == "request_timeouts"


def test_an_engine_that_dies_has_crashed_whatever_it_bore_before() -> None:
    engine = Queue(gives_up=CrashReason.DIED_UNDER_LOAD)
    (trial,) = tried(objective(engine), 6.5)

    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["crash_reason"] == "died_under_load"
    assert len(engine.served) == 4  # 1, 2, 4, 8


def test_a_trial_begins_at_the_best_rate_of_the_trials_before_it() -> None:
    engine = Queue()
    first, worse, better = tried(objective(engine), 6.5, 3.0, 9.0)

    rates = [1 / workload.requests[1].time for workload in engine.served]
    n = first.user_attrs[CAPACITY]["loads"]
    assert rates[n] == pytest.approx(first.values[0])
    assert worse.user_attrs[CAPACITY]["loads"] < n
    assert worse.values[0] <= 3.0
    assert 9.0 / 1.05 <= better.values[0] <= 9.0


def test_measured_alone_a_configuration_is_as_if_there_were_no_other() -> None:
    engine = Queue()
    first, worse = tried(objective(engine, alone=True), 6.5, 3.0)

    (only,) = tried(objective(Queue()), 3.0)
    assert worse.user_attrs[CAPACITY] == only.user_attrs[CAPACITY]
    assert first.values[0] > worse.values[0]


def test_where_nothing_keeps_the_limits_one_load_at_the_lowest_rate_is_enough() -> None:
    first, second = tried(objective(Queue(), "p99 ttft <= 10 ms"), 50.0, 60.0)

    assert first.user_attrs[CAPACITY]["loads"] > 1
    assert second.user_attrs[CAPACITY]["loads"] == 1
    assert second.values == [0.0]


def test_only_high_percentiles_bind_every_request() -> None:
    texts = ["p99 ttft <= 1 s", "p95 e2el <= 3 s", "mean tpot <= 20 ms", "p99.9 tpot <= 90 ms"]

    assert request_slo([Limit.parse(t) for t in texts]) == GoodputSLO(ttft_ms=1000, tpot_ms=90)


@pytest.mark.parametrize(
    ("goals", "limits", "match"),
    [
        (["maximize rate"], [], "with a limit on ttft or e2el at least"),
        (["maximize rate"], ["p99 tpot <= 50 ms"], "with a limit on ttft or e2el at least"),
        (["maximize rate", "minimize p99 ttft"], ["p99 ttft <= 1 s"], "it stands alone"),
        (["maximize rate"], ["p99 ttft <= 1 s", "goodput >= 2 /s"], "limit latencies alone"),
    ],
)
def test_aims_that_make_no_capacity_are_refused(
    goals: list[str], limits: list[str], match: str
) -> None:
    with pytest.raises(ObjectiveError, match=match):
        ServingObjective(
            Queue(),
            make_load(1.0),
            space=SPACE,
            goals=parse_goals(goals),
            limits=[Limit.parse(text) for text in limits],
            capacity=CapacityTest(make_load, 1.0, DURATION),
        )


def test_a_capacity_needs_to_know_how_loads_are_made() -> None:
    with pytest.raises(ObjectiveError, match="`capacity` has to say"):
        ServingObjective(Queue(), make_load(1.0), space=SPACE, goals=RATE, limits=[P99])


def test_what_is_told_of_a_capacity_without_an_upper_end_is_json() -> None:
    (trial,) = tried(objective(Queue(), most_loads=3), 100.0)

    assert trial.user_attrs[CAPACITY]["missed_at"] is None
    assert trial.values == [4.0]
