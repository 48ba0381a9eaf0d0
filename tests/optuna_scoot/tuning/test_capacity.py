"""The capacity of simulated services: the library, the loads, the curves."""

from __future__ import annotations

import json
import pickle
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from objectives.capacity import CapacityTest
from objectives.goals import Limit
from objectives.goals import parse_goals
from objectives.traces import Trace
from objectives.traces import TraceRequest
from optuna_scoot.tuning import InputError
from optuna_scoot.tuning import Load
from optuna_scoot.tuning import simulated_task
from optuna_scoot.tuning import tune
from optuna_scoot.tuning.curves import capacity_curves
from optuna_scoot.tuning.load import START_RATE
from optuna_scoot.tuning.load import RateLoads
from optuna_scoot.tuning.load import describe_rate_loads
from optuna_scoot.tuning.report import make_report
from tests.optuna_scoot.tuning.notes import Notes
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import two_objective_study


TRACE = Trace("t", tuple(TraceRequest(10 + i, 5) for i in range(40)))
SLO = ["p99 ttft <= 1 s", "mean tpot <= 60 ms"]


def rate_task(load: Load = Load(duration=20), slo: list[str] = SLO) -> Any:  # noqa: B008
    return simulated_task("sql-2xa10-7b", load, objective=["maximize rate"], slo=slo)


def test_loads_of_a_trial_differ_in_arrivals_prompts_and_requests() -> None:
    make = RateLoads(Load(TRACE, duration=10, seed=3), TRACE, None)
    loads = [make(2.0, number, 20 * number) for number in range(3)]

    for one, other in combinations(loads, 2):
        assert [s.time for s in one.requests] != [s.time for s in other.requests]
        assert one.prompt_seed != other.prompt_seed
    assert [len(load.requests) for load in loads] == [20, 20, 20]
    assert loads[1].requests[0].request == TRACE.requests[20]
    assert loads == [make(2.0, number, 20 * number) for number in range(3)]
    assert pickle.loads(pickle.dumps(make)) == make


def test_another_workload_seed_gives_other_loads() -> None:
    one, other = (
        RateLoads(Load(TRACE, duration=10, seed=seed), TRACE, None)(2.0, 0, 0) for seed in (0, 1)
    )
    assert [s.time for s in one.requests] != [s.time for s in other.requests]


def test_an_arrival_order_has_other_loads_and_is_measured_alone() -> None:
    tests = rate_task().capacity_tests
    assert tests is not None
    one, other, again = (tests(number) for number in (1, 2, 1))

    loads = [test.make_load(2.0, 0, 0).requests for test in (one, other)]
    assert [s.time for s in loads[0]] != [s.time for s in loads[1]]
    assert [s.request for s in loads[0]] != [s.request for s in loads[1]]
    assert one == again
    assert one.alone


@pytest.mark.parametrize("rate", [None, 3.0])
def test_the_rate_that_is_given_is_the_first_one_tried(rate: float | None) -> None:
    load = Load(TRACE, rate, duration=10).for_goals(parse_goals("maximize rate"))
    test = load.capacity_test(TRACE, None)

    assert test is not None
    assert test.start == (rate or START_RATE)
    assert Load(TRACE).for_goals(parse_goals("maximize goodput")) == Load(TRACE)


def test_a_service_is_tuned_for_its_capacity(tmp_path: Path) -> None:
    result = tune(rate_task(), n_trials=5, seed=0, observer=Notes())

    assert result.best is not None
    assert result.best.values[0] >= result.default.values[0] > 0  # type: ignore[union-attr]
    assert result.kept == sum(t.values != [0.0] for t in result.study.trials)
    names = {path.name for path in result.save(tmp_path)}
    assert names == {"best.yaml", "result.json", "trials.csv"}
    document = json.loads((tmp_path / "result.json").read_text())
    for which in ("default", "best"):
        told = document[which]["user_attrs"]["capacity"]
        assert told["rate"] == document[which]["values"]["rate that keeps the limits (requests/s)"]
        kept = [point["rate"] for point in told["curve"] if point["kept"]]
        assert max(rate for rate in kept if rate < told["missed_at"]) == told["rate"]


def test_a_study_goes_on_where_it_knows_rates() -> None:
    study = tune(rate_task(), n_trials=4, sampler="random", observer=Notes(), seed=1).study
    first, *others = [t.user_attrs["capacity"] for t in study.trials if t.values]

    best = first["rate"]
    for told in others:
        tried = [point["rate"] for point in told["curve"]]
        assert min(abs(rate - best) for rate in tried) < 1e-9
        best = max(best, told["rate"])


def test_curves_are_those_of_default_and_best() -> None:
    study = two_objective_study(("rate",), ("maximize",))
    told = {"rate": 2.0, "missed_at": 2.1, "loads": 0, "curve": []}
    add_default(study, (1.0,))
    assert capacity_curves(make_report(study)) == []
    add(study, (2.0,), {"capacity": told}, max_num_seqs=64)
    assert [(c.name, c.rate) for c in capacity_curves(make_report(study))] == [
        ("best, trial 1", 2.0)
    ]


@pytest.mark.parametrize(
    ("slo", "duration", "expected"),
    [
        ("p99 ttft <= 1 s", 20.0, False),
        ("p99 ttft <= 1 s", 19.0, True),
        ("p99 itl <= 9 s", 1, False),
    ],
)
def test_a_limit_that_is_long_for_the_load_is_told(
    slo: str, duration: float, expected: bool
) -> None:
    test = CapacityTest(RateLoads(Load(TRACE), TRACE, None), 1.0, duration)
    text = describe_rate_loads(TRACE, test, [Limit.parse(slo)])

    assert ("with a limit of 1 s, only loads of 20 s or more" in text) is expected


def test_texts_that_come_again_are_told() -> None:
    texts = Trace("t", (TraceRequest(2, 5, prompt="hello there"),))
    test = CapacityTest(RateLoads(Load(texts), texts, None), 1.0, 100.0)

    assert "after 1 requests of a trial its texts come again" in describe_rate_loads(
        texts, test, []
    )


@pytest.mark.parametrize(
    ("load", "slo", "match"),
    [
        (Load(duration=5), [], "with a limit on ttft or e2el at least"),
        (Load(duration=5), ["throughput >= 3 /s"], "with a limit on ttft or e2el at least"),
        (Load(duration=5, replay=True), SLO, "`replay`"),
    ],
)
def test_what_makes_no_capacity_is_bad_input(load: Load, slo: list[str], match: str) -> None:
    with pytest.raises(InputError, match=match):
        rate_task(load, slo)
