"""The objective with an engine that needs no process: its latencies follow from its parameters."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from statistics import mean
from statistics import quantiles
from types import TracebackType
from typing import Any
from typing import Self
from typing import cast

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from objectives.engines.base import CrashReason
from objectives.engines.base import Engine
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import RunningEngine
from objectives.goals import Limit
from objectives.goals import parse_goals
from objectives.metrics import GoodputSLO
from objectives.metrics import LoadResult
from objectives.metrics import RequestRecord
from objectives.serving import MIN_COMPLETED_SHARE
from objectives.serving import ObjectiveError
from objectives.serving import ServingObjective
from objectives.spaces import EngineSpace
from objectives.traces import TraceRequest
from objectives.trial_metrics import metrics_of
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


N = 20
LONGEST = 30.0
SPACE = EngineSpace({"x": IntDistribution(1, 9)}, (), {"x": 2})


def make_workload(output_tokens: int = 5) -> Workload:
    requests = [TraceRequest(prompt_tokens=8, output_tokens=output_tokens)] * N
    return Workload(tuple(ScheduledRequest(i, 0.1 * i, r) for i, r in enumerate(requests)), "w", 2)


def first_token_s(index: int, x: int) -> float:
    """TTFT: skewed, so that mean, median and percentiles differ."""
    return 0.01 * x * (1 + index % 4) ** 2


def gaps_s(index: int, x: int) -> tuple[float, ...]:
    """Gaps between the tokens: the fewer an answer has, the longer they are."""
    n_gaps = 1 + index % 5
    return (0.1 / x * (6 - n_gaps),) * n_gaps


def record(index: int, x: int, error: str | None = None) -> RequestRecord:
    """Request ``index`` as an engine with the parameter x answers it."""
    sent = 0.1 * index
    first, gaps = sent + first_token_s(index, x), gaps_s(index, x)
    n_tokens = len(gaps) + 1
    last = first + sum(gaps)
    return RequestRecord(index, sent, sent, first, last, 8, n_tokens, gaps, error, n_tokens)


def values_by_hand(mode: str, x: int, failed: Sequence[int] = ()) -> list[float]:
    """What a mode optimises, from the definitions; a failed request takes LONGEST seconds."""
    answered = [i for i in range(N) if i not in failed]
    if mode == "throughput":
        end = max([4.0, *(0.1 * i + LONGEST for i in failed)])
        return [len(answered) / end]
    if mode == "p95-latency":
        latencies = [first_token_s(i, x) + sum(gaps_s(i, x)) for i in answered]
        latencies += [LONGEST] * len(failed)
        return [1000 * quantiles(latencies, n=20, method="inclusive")[-1]]
    ttft = [first_token_s(i, x) for i in answered] + [LONGEST] * len(failed)
    tpot = [mean(gaps_s(i, x)) for i in answered]
    tpot += [LONGEST / len(gaps_s(i, x)) for i in failed]
    return [1000 * mean(ttft), 1000 * mean(tpot)]


@dataclass
class Arithmetic:
    """An engine, and the running engine that it starts; counts starts and stops."""

    errors: dict[int, str] = field(default_factory=dict)  # of which request
    at_start: BaseException | None = None
    at_serve: BaseException | None = None
    lateness: float = 0.0
    waits: float = 0.0  # seconds that a token waits to be read
    x: int = 0
    labels: list[str] = field(default_factory=list)
    n_stops: int = 0

    description = "arithmetic"

    @property
    def info(self) -> Mapping[str, Any]:
        return {"engine": "arithmetic", "command": f"--x {self.x}"}

    def start(self, params: Mapping[str, Any], label: str) -> RunningEngine:
        self.labels.append(label)
        self.x = params["x"]
        if self.at_start is not None:
            raise self.at_start
        return self

    def serve(self, workload: Workload) -> LoadResult:
        if self.at_serve is not None:
            raise self.at_serve
        records = tuple(record(i, self.x, self.errors.get(i)) for i in range(N))
        late = self.lateness
        records = tuple(
            replace(r, waits=[self.waits] * (len(r.inter_token_latencies) + 1)) for r in records
        )
        return LoadResult(records, 4.0, late, late, lateness_limit_s=0.1, longest_s=LONGEST)

    def stop(self) -> None:
        self.n_stops += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def study_with(engine: Arithmetic, **more: Any) -> tuple[optuna.Study, ServingObjective]:
    """A study in which x = 4 is next."""
    assert isinstance(engine, Engine)
    objective = ServingObjective(engine, make_workload(), space=SPACE, **more)
    study = optuna.create_study(directions=objective.directions)
    objective.prepare(study)
    study.enqueue_trial({"x": 4})
    return study, objective


def run(engine: Arithmetic, **more: Any) -> optuna.trial.FrozenTrial:
    """One trial with x = 4 that completes or crashes."""
    study, objective = study_with(engine, **more)
    study.optimize(objective, n_trials=1, catch=(EngineCrash,))
    return study.trials[0]


def run_into(error: type[BaseException], engine: Arithmetic) -> optuna.trial.FrozenTrial:
    """One trial with x = 4 that ends the study."""
    study, objective = study_with(engine)
    with pytest.raises(error):
        study.optimize(objective, n_trials=1, catch=(EngineCrash,))
    return study.trials[0]


MODES = {
    "ttft-tpot": (["TTFT mean (ms)", "TPOT mean (ms)"], ["minimize", "minimize"]),
    "p95-latency": (["end-to-end latency p95 (ms)"], ["minimize"]),
    "throughput": (["throughput (requests/s)"], ["maximize"]),
}


@pytest.mark.parametrize("mode", MODES)
def test_values_of_each_mode(mode: Any) -> None:
    names, directions = MODES[mode]
    objective = ServingObjective(Arithmetic(), make_workload(), space=SPACE, mode=mode)
    assert (objective.metric_names, objective.directions) == (names, directions)
    study = optuna.create_study(directions=directions)
    objective.prepare(study)
    study.enqueue_trial({"x": 4})
    study.optimize(objective, n_trials=1)
    assert study.metric_names == names
    assert study.trials[0].values == pytest.approx(values_by_hand(mode, 4))


@pytest.mark.parametrize("mode", MODES)
def test_a_request_that_fails_counts_in_the_values_and_not_in_the_metrics(mode: Any) -> None:
    trial = run(Arithmetic(errors={3: "connection: reset"}), mode=mode)
    whole = run(Arithmetic(), mode=mode)
    assert trial.values == pytest.approx(values_by_hand(mode, 4, failed=[3]))
    for value, without, direction in zip(trial.values, whole.values, MODES[mode][1], strict=True):
        assert value < without if direction == "maximize" else value > without
    answered = [1000 * first_token_s(i, 4) for i in range(N) if i != 3]
    assert metrics_of(trial)["ttft_ms_mean"] == pytest.approx(mean(answered))


def test_attributes_of_a_completed_trial() -> None:
    engine = Arithmetic(errors={3: "stream: broken off"}, lateness=0.05)
    trial = run(engine, slo=GoodputSLO(ttft_ms=1000))
    assert trial.state == TrialState.COMPLETE
    attrs = trial.user_attrs
    assert attrs["engine"] == "arithmetic"
    assert attrs["command"] == "--x 4"
    metrics = metrics_of(trial)
    assert metrics["completed"] == N - 1
    assert metrics["failed"] == 1
    assert metrics["request_throughput"] == pytest.approx((N - 1) / 4)
    assert metrics["goodput"] == pytest.approx((N - 1) / 4)
    slowest = 1000 * max(mean(gaps_s(i, 4)) for i in range(N) if i != 3)
    assert metrics["tpot_ms_p99"] == pytest.approx(slowest)
    notes = ("max_lateness_s", "short_outputs", "prompt_length_mismatches")
    assert [metrics[name] for name in notes] == [0.05, 0, 0]
    assert not {"crash_reason", "failure_is_external"} & set(attrs)
    assert engine.labels == ["trial-0"]
    assert engine.n_stops == 1


@pytest.mark.parametrize("when", ["at_start", "at_serve"])
def test_crash_of_the_engine(when: str) -> None:
    crash = EngineCrash(CrashReason.OUT_OF_MEMORY, "CUDA out of memory")
    crash.info = {"log": "a.log"}
    engine = Arithmetic(**{when: crash})
    trial = run(engine)
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["crash_reason"] == "out_of_memory"
    assert trial.user_attrs["crash_detail"] == "CUDA out of memory"
    assert trial.user_attrs["log"] == "a.log"
    assert "failure_is_external" not in trial.user_attrs
    assert engine.n_stops == (when == "at_serve")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ExternalFailure("port_taken", "somebody is there"), "port_taken"),
        (KeyboardInterrupt(), "interrupted"),
        (ZeroDivisionError("a defect"), "ZeroDivisionError"),
    ],
)
@pytest.mark.parametrize("when", ["at_start", "at_serve"])
def test_failures_that_say_nothing_stop_the_study(
    error: BaseException, reason: str, when: str
) -> None:
    engine = Arithmetic(**{when: error})
    trial = run_into(type(error), engine)
    assert trial.state in (TrialState.FAIL, TrialState.RUNNING)  # optuna leaves Ctrl-C running
    assert trial.user_attrs["failure_is_external"] is True
    assert trial.user_attrs["external_reason"] == reason
    detail = error.detail if isinstance(error, ExternalFailure) else None
    assert trial.user_attrs.get("external_detail") == detail
    assert "crash_reason" not in trial.user_attrs
    assert engine.n_stops == (when == "at_serve")


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        (["stream: x"], None),  # 19 of 20 is the least share
        (["stream: x", "stream: x"], "too_few_completed"),
        (["timeout: x", "stream: x"], "request_timeouts"),
        (["timeout: x", "stream: x", "http status: 500"], "too_few_completed"),
        (["drain timeout: x"] * N, "request_timeouts"),
        (["connection: x"] * N, "too_few_completed"),
    ],
)
def test_too_few_completed_requests_are_a_crash(errors: list[str], reason: str | None) -> None:
    assert MIN_COMPLETED_SHARE == 0.95
    trial = run(Arithmetic(errors=dict(enumerate(errors))))
    assert trial.user_attrs.get("crash_reason") == reason
    assert trial.state == (TrialState.COMPLETE if reason is None else TrialState.FAIL)
    if reason is not None:
        assert f"{N - len(errors)} of {N} requests" in trial.user_attrs["crash_detail"]
        assert trial.values is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422])
def test_requests_that_the_server_refuses_say_nothing_of_the_parameters(status: int) -> None:
    refusals = dict.fromkeys(range(0, N, 2), f"http status: {status} so it is")
    trial = run_into(ExternalFailure, Arithmetic(errors=refusals))
    assert trial.user_attrs["external_reason"] == "request_refused"
    assert trial.user_attrs["external_detail"] == (
        f"the engine refused 10 of 20 requests: http status: {status} so it is"
    )


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_requests_that_the_server_cannot_bear_are_a_crash(status: int) -> None:
    errors = dict.fromkeys(range(N), f"http status: {status} too much")
    trial = run(Arithmetic(errors=errors))
    assert trial.user_attrs["crash_reason"] == "too_few_completed"


def test_few_refusals_among_other_failures_are_a_crash() -> None:
    errors = dict.fromkeys(range(9), "http status: 500 no") | {9: "http status: 400 no"}
    assert run(Arithmetic(errors=errors)).user_attrs["crash_reason"] == "too_few_completed"


def test_share_that_has_to_complete_can_be_chosen() -> None:
    errors = dict.fromkeys(range(10), "stream: x")
    assert run(Arithmetic(errors=errors), min_completed_share=0.5).state == TrialState.COMPLETE
    assert run(Arithmetic(errors=errors), min_completed_share=0.51).state == TrialState.FAIL
    assert run(Arithmetic(), min_completed_share=1.0).state == TrialState.COMPLETE
    one = Arithmetic(errors={0: "stream: x"})
    assert run(one, min_completed_share=1.0).state == TrialState.FAIL
    all_but_one = Arithmetic(errors=dict.fromkeys(range(N - 1), "stream: x"))
    assert run(all_but_one, min_completed_share=1 / N).state == TrialState.COMPLETE


def test_a_crash_tells_an_error_of_the_most_frequent_kind() -> None:
    errors = dict(enumerate(["stream: odd", "timeout: first", "timeout: second"]))
    detail = run(Arithmetic(errors=errors)).user_attrs["crash_detail"]
    assert detail == "17 of 20 requests completed: timeout: first"


def test_late_generator_is_a_bad_measurement_and_no_crash() -> None:
    assert run(Arithmetic(lateness=0.1)).state == TrialState.COMPLETE
    late = run_into(ExternalFailure, Arithmetic(lateness=0.11))
    assert late.user_attrs["external_reason"] == "late_generator"
    detail = late.user_attrs["external_detail"]
    assert "sent 0.110 s late or more (the limit is 0.1 s)" in detail
    assert "too busy" in detail


def test_a_run_that_is_too_much_the_load_generators_own_is_a_bad_measurement_and_no_crash() -> (
    None
):
    mean_ttft = run(Arithmetic()).values[0] / 1000
    kept = run(Arithmetic(waits=0.04 * mean_ttft))
    assert metrics_of(kept)["own_ttft_ms_mean"] == pytest.approx(40 * mean_ttft)
    refused = run_into(ExternalFailure, Arithmetic(waits=0.06 * mean_ttft))
    assert refused.user_attrs["external_reason"] == "generator_share"
    words = refused.user_attrs["external_detail"]
    assert f"{60 * mean_ttft:.3g} ms of {1000 * mean_ttft:.3g} ms of mean ttft are" in words
    assert "leave it a core" in words


def test_the_own_share_of_a_latency_that_nothing_is_decided_by_refuses_no_run() -> None:
    assert run(Arithmetic(waits=60.0), mode="throughput").state == TrialState.COMPLETE


def test_request_that_could_not_be_sent_from_here_is_no_crash() -> None:
    engine = Arithmetic(errors={0: "client: too many open files"})
    trial = run_into(ExternalFailure, engine)
    assert trial.user_attrs["external_reason"] == "late_generator"
    detail = trial.user_attrs["external_detail"]
    assert detail == "1 requests could not be sent from here: client: too many open files"


def test_a_pruned_trial_is_neither_a_crash_nor_a_failure_from_outside() -> None:
    trial = run(Arithmetic(at_serve=optuna.TrialPruned()))
    assert trial.state == TrialState.PRUNED
    assert not {"crash_reason", "failure_is_external"} & set(trial.user_attrs)


def test_a_failure_from_outside_brings_what_the_engine_knows() -> None:
    failure = ExternalFailure("port_taken", "somebody is there")
    failure.info = {"log": "a.log"}
    assert run_into(ExternalFailure, Arithmetic(at_start=failure)).user_attrs["log"] == "a.log"


def test_one_value_is_a_number_and_two_are_a_tuple() -> None:
    def value(mode: Any) -> float | tuple[float, ...]:
        objective = ServingObjective(Arithmetic(), make_workload(), space=SPACE, mode=mode)
        return objective(cast("optuna.Trial", optuna.trial.FixedTrial({"x": 4})))

    assert isinstance(value("throughput"), float)
    assert isinstance(value("ttft-tpot"), tuple)


def test_answers_of_two_tokens_and_some_of_one_have_a_time_per_token() -> None:
    mixed = replace(
        make_workload(), requests=make_workload(1).requests[:1] + make_workload(2).requests[1:]
    )
    for workload in (make_workload(2), mixed):
        assert ServingObjective(Arithmetic(), workload, space=SPACE).mode == "ttft-tpot"


def test_what_makes_no_sense_is_refused() -> None:
    engine = Arithmetic()
    for wrong in ({"mode": "fast"}, {"min_completed_share": 0.0}, {"min_completed_share": 1.1}):
        with pytest.raises(ObjectiveError):
            ServingObjective(engine, make_workload(), space=SPACE, **wrong)
    with pytest.raises(ObjectiveError, match="one token"):
        ServingObjective(engine, make_workload(output_tokens=1), space=SPACE)
    objective = ServingObjective(engine, make_workload(), space=SPACE, mode="throughput")
    with pytest.raises(ObjectiveError, match="maximize"):
        objective.prepare(optuna.create_study())


def test_default_configuration_is_enqueued_once() -> None:
    objective = ServingObjective(Arithmetic(), make_workload(), space=SPACE)
    study = optuna.create_study(directions=objective.directions)
    objective.enqueue_default(study)
    objective.enqueue_default(study)
    study.optimize(objective, n_trials=2)
    objective.enqueue_default(study)
    marked = [t for t in study.trials if t.user_attrs.get("default_configuration")]
    assert [t.number for t in marked] == [0]
    assert marked[0].params == {"x": 2}


@pytest.mark.parametrize(("external", "n_marked"), [(True, 2), (False, 1)])
def test_default_configuration_that_was_interrupted_is_enqueued_again(
    external: bool, n_marked: int
) -> None:
    objective = ServingObjective(Arithmetic(), make_workload(), space=SPACE)
    study = optuna.create_study(directions=objective.directions)
    objective.enqueue_default(study)
    trial = study.ask()
    objective.enqueue_default(study)  # it runs now
    trial.set_user_attr("failure_is_external", external)
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    objective.enqueue_default(study)
    objective.enqueue_default(study)  # it waits
    marked = [t for t in study.trials if t.user_attrs.get("default_configuration")]
    assert len(marked) == n_marked


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_any_sampler_tunes_it_and_learns_nothing_from_crashes(n_jobs: int) -> None:
    class Fragile(Arithmetic):
        def start(self, params: Mapping[str, Any], label: str) -> RunningEngine:
            if params["x"] > 6:
                raise EngineCrash(CrashReason.STARTUP_FAILED, "x is too large")
            return Arithmetic().start(params, label)

    objective = ServingObjective(Fragile(), make_workload(), space=SPACE, mode="p95-latency")
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    study.optimize(objective, n_trials=20, n_jobs=n_jobs, catch=(EngineCrash,))
    for trial in study.trials:
        x = trial.params["x"]
        assert trial.state == (TrialState.FAIL if x > 6 else TrialState.COMPLETE)
        if trial.values is not None:
            assert trial.values == pytest.approx(values_by_hand("p95-latency", x))


def test_objective_pickles() -> None:
    objective = ServingObjective(Arithmetic(), make_workload(), space=SPACE, mode="throughput")
    copy = pickle.loads(pickle.dumps(objective))
    assert (copy.workload, copy.space, copy.mode) == (make_workload(), SPACE, "throughput")


GOALS = parse_goals(["minimize p75 ttft", "maximize goodput"])


def test_goals_take_the_place_of_a_mode() -> None:
    limits = [Limit.parse("p99 ttft <= 100 ms")]
    trial = run(Arithmetic(), goals=GOALS, limits=limits)
    firsts = [1000 * first_token_s(i, 4) for i in range(N)]

    ttft, goodput = trial.values
    assert ttft == pytest.approx(np.percentile(firsts, 75))
    # A request counts for goodput when it alone keeps the limit.
    duration = metrics_of(trial)["duration_s"]
    assert goodput == pytest.approx(sum(first <= 100 for first in firsts) / duration)


def test_limits_are_constraints_of_the_trial() -> None:
    limits = [Limit.parse("p99 ttft <= 500 ms"), Limit.parse("throughput >= 2 /s")]
    trial = run(Arithmetic(), limits=limits)
    metrics = metrics_of(trial)

    assert dict(trial.constraints) == pytest.approx(
        {
            "p99 ttft <= 500 ms": metrics["ttft_ms_p99"] / 500 - 1,
            "throughput >= 2 requests/s": 1 - metrics["request_throughput"] / 2,
        }
    )


def test_a_failed_request_has_missed_a_limit() -> None:
    limits = [Limit.parse("p99.9 ttft <= 1 s")]
    kept, missed = (
        run(Arithmetic(errors=errors), limits=limits, min_completed_share=0.9)
        for errors in ({}, {N - 1: "timeout: no answer within 60 s"})
    )

    assert dict(kept.constraints)["p99.9 ttft <= 1000 ms"] <= 0.0
    assert dict(missed.constraints)["p99.9 ttft <= 1000 ms"] > 0.0


def test_goals_that_make_no_sense_are_refused() -> None:
    workload, twice = make_workload(), parse_goals(["minimize p99 ttft"] * 2)
    for goals, match in (
        ([], "nothing to optimise"),
        (twice, "there twice"),
        (parse_goals("maximize goodput"), "give one on a latency"),
    ):
        with pytest.raises(ObjectiveError, match=match):
            ServingObjective(Arithmetic(), workload, space=SPACE, goals=goals)
    itl = [Limit.parse("p99 itl <= 9 ms")]
    with pytest.raises(ObjectiveError, match="no time per output token"):
        ServingObjective(
            Arithmetic(), make_workload(1), space=SPACE, mode="throughput", limits=itl
        )
