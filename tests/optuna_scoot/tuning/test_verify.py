"""Finalists under several arrival orders: what is measured, when, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import yaml
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.simulated.engine import SimulatedEngine
from objectives.goals import Goal
from objectives.goals import Limit
from objectives.serving import ServingObjective
from objectives.simulated_services import find_service
from objectives.spaces import EngineSpace
from optuna_scoot.tuning import InputError
from optuna_scoot.tuning import Load
from optuna_scoot.tuning import StoppedError
from optuna_scoot.tuning import TuningInterrupted
from optuna_scoot.tuning import TuningTask
from optuna_scoot.tuning import serving_task
from optuna_scoot.tuning import simulated_task
from optuna_scoot.tuning import tune
from optuna_scoot.tuning import verify
from optuna_scoot.tuning.finalists import choose_finalists
from tests.optuna_scoot.tuning.notes import Notes
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import tuned_study
from tests.optuna_scoot.tuning.studies import two_objective_study


SERVICE = find_service("sql-2xa10-7b")
Fault = Callable[[int, Mapping[str, Any]], BaseException | None]


class Watched:
    """The engine of a service: notes what it is started with, fails where it is told to."""

    def __init__(self, engine: SimulatedEngine) -> None:
        self.engine = engine
        self.starts: list[tuple[str, int]] = []
        self.fault: Fault = lambda number, params: None

    @property
    def description(self) -> str:
        return "watched engine"

    def start(self, params: Mapping[str, Any], label: str) -> Any:
        self.starts.append((label, params["max_num_seqs"]))
        if (fault := self.fault(len(self.starts), params)) is not None:
            raise fault
        return self.engine.start(params, label)


def small_task(slo: str | None = None) -> tuple[TuningTask, Watched]:
    """A task of one parameter, whose default of one sequence at a time is far from good."""
    load = Load("sql", rate=2.0, duration=5, too_long="clip")
    trace, length = load.read(), SERVICE.model.max_model_len
    workload = load.schedule(trace, length)
    engine = Watched(replace(SERVICE.engine(workload), patience=1e9))
    space = EngineSpace({"max_num_seqs": IntDistribution(1, 64)}, (), {"max_num_seqs": 1})
    limits = [] if slo is None else [Limit.parse(slo)]
    goals = [Goal.parse("mean ttft", "minimize")]
    objective = ServingObjective(engine, workload, space=space, goals=goals, limits=limits)
    task = serving_task(
        objective, workloads=lambda number: load.order(number).schedule(trace, length)
    )
    engine.starts.clear()
    return task, engine


def tuned(task: TuningTask, *others: int, storage: Any = None) -> optuna.Study:
    """A study of the default and of these numbers of sequences."""
    enqueue = [{"max_num_seqs": n} for n in others]
    sampler = optuna.samplers.RandomSampler(seed=0)
    result = tune(
        task,
        n_trials=len(others) + 1,
        storage=storage,
        study_name="s",
        sampler=sampler,
        enqueue=enqueue,
    )
    engine = task.objective.engine
    assert isinstance(engine, Watched)
    engine.starts.clear()
    return result.study


def test_orders_differ_in_arrivals_and_requests_and_are_the_same_each_time() -> None:
    load = Load("sql", rate=2.0, duration=20)
    trace = load.read()
    one, again, two = (load.order(n).schedule(trace, None) for n in (1, 1, 2))
    assert one == again
    assert [r.time for r in one.requests] != [r.time for r in two.requests]
    assert [r.request for r in one.requests][:5] != [r.request for r in two.requests][:5]
    other_seed = replace(load, seed=1).order(1).schedule(trace, None)
    assert other_seed != one
    assert load.schedule(trace, None) not in (one, two)


def test_each_round_takes_one_order_through_all_and_begins_with_another() -> None:
    task, engine = small_task()
    study = tuned(task, 16, 32)
    found = verify(task, study, orders=3, finalists=2)
    names = [n for _, n in engine.starts]
    assert names[:3] == [1, *names[1:3]]
    assert set(names[1:3]) == {16, 32}
    assert names == [*names[:3], *names[1:3], 1, names[2], 1, names[1]]
    by_order = [t.user_attrs["arrival_order"] for t in found.measurements.trials]
    assert by_order == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert engine.starts[0][0] == "verify-0"


def test_values_are_those_of_the_configuration_under_each_order() -> None:
    task, engine = small_task("p99 ttft <= 300 ms")
    study = tuned(task, 16)
    found = verify(task, study, orders=3, finalists=1)
    assert task.workloads is not None
    for one in found.configurations:
        for order in (1, 2, 3):
            with engine.engine.start(one.params, "by hand") as running:
                result = running.serve(task.workloads(order))
            ttft = np.array([record.ttft for record in result.records]) * 1000.0
            assert one.values[order - 1, 0] == pytest.approx(ttft.mean())
            assert found.limit_values(one, 0)[order - 1] == pytest.approx(np.quantile(ttft, 0.99))
            assert (one.excess[order - 1, 0] > 0) == (np.quantile(ttft, 0.99) > 300.0)


def test_measurements_stay_out_of_the_tuned_study() -> None:
    task, _ = small_task()
    study = tuned(task, 16)
    before = [trial.number for trial in study.trials]
    found = verify(task, study, orders=3)
    assert [trial.number for trial in study.trials] == before
    assert found.measurements.study_name == "s-verify"
    assert study.user_attrs["verdict"]["sentence"] == found.verdict.sentence


def test_a_second_call_measures_nothing_and_more_orders_only_the_further_ones() -> None:
    task, engine = small_task()
    study = tuned(task, 16)
    first = verify(task, study, orders=3)
    engine.starts.clear()
    assert verify(task, study, orders=3).verdict.sentence == first.verdict.sentence
    assert engine.starts == []
    assert np.array_equal(verify(task, study, orders=5).baseline.values[:3], first.baseline.values)
    assert len(engine.starts) == 4


def test_an_interrupted_call_goes_on_where_it_ended(tmp_path: Path) -> None:
    task, engine = small_task()
    study = tuned(task, 16, storage=f"sqlite:///{tmp_path}/s.db")
    engine.fault = lambda number, params: KeyboardInterrupt() if number == 4 else None
    with pytest.raises(TuningInterrupted):
        verify(task, study, orders=3)
    engine.fault = lambda number, params: None
    found = verify(task, study, orders=3)
    assert len(engine.starts) == 4 + 3
    assert sum(t.state == TrialState.COMPLETE for t in found.measurements.trials) == 6
    assert not np.isnan(found.baseline.values).any()


def test_a_crash_counts_against_its_configuration_and_the_next_takes_its_place() -> None:
    task, engine = small_task()
    study = tuned(task, 16, 64)
    winner, second = (t.params["max_num_seqs"] for t in choose_finalists(study, None, 2))

    def fault(number: int, params: Mapping[str, Any]) -> BaseException | None:
        crashes = params["max_num_seqs"] == winner and 3 < number <= 6
        return EngineCrash(CrashReason.DIED_UNDER_LOAD, "gone") if crashes else None

    engine.fault = fault
    found = verify(task, study, orders=3)
    assert found.finalists[0].crashes == {2: "died_under_load: gone"}
    assert np.isnan(found.finalists[0].values[1]).all()
    assert found.verdict.best is not None
    assert found.verdict.best.params["max_num_seqs"] == second
    assert "fails under 1 of 2 orders (died_under_load)" in found.verdict.sentence


def test_a_passing_failure_is_tried_again_under_the_same_order() -> None:
    task, engine = small_task()
    study = tuned(task, 16)
    busy = ExternalFailure(ExternalReason.PORT_TAKEN, "busy")
    engine.fault = lambda number, params: busy if number == 2 else None
    notes = Notes()
    found = verify(task, study, orders=3, observer=notes)
    assert len(engine.starts) == 7
    orders = [t.user_attrs["arrival_order"] for t in found.measurements.trials]
    assert orders == [1, 1, 1, 2, 2, 3, 3]
    assert found.baseline.crashes == found.finalists[0].crashes == {}
    assert notes.lines == ["trying the configuration again in 0.01 s: busy"]


def test_a_lasting_failure_stops_and_keeps_what_was_measured() -> None:
    task, engine = small_task()
    study = tuned(task, 16)
    full = ExternalFailure(ExternalReason.FILE_SYSTEM, "disk full")
    engine.fault = lambda number, params: full if number == 4 else None
    with pytest.raises(StoppedError, match="disk full"):
        verify(task, study, orders=3)
    engine.fault = lambda number, params: None
    verify(task, study, orders=3)
    assert len(engine.starts) == 4 + 3


def test_another_process_is_not_joined() -> None:
    task, _ = small_task()
    study = tuned(task, 16)
    verify(task, study, orders=3)
    other = optuna.load_study(study_name="s-verify", storage=study._storage)
    other.ask().suggest_int("max_num_seqs", 1, 64)
    with pytest.raises(StoppedError, match="another process"):
        verify(task, study, orders=4)


def test_files_hold_what_is_recommended(tmp_path: Path) -> None:
    task, _ = small_task("p99 ttft <= 9 s")
    found = verify(task, tuned(task, 16), orders=3)
    assert {path.name for path in found.save(tmp_path)} == {"slo.json", "best.yaml"}
    best = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert found.verdict.recommended is not None
    assert best["max-num-seqs"] == found.verdict.recommended.params["max_num_seqs"] == 16
    slo = json.loads((tmp_path / "slo.json").read_text())
    assert slo["verdict"]["recommended"] == found.verdict.recommended.name
    default, winner = slo["configurations"]
    assert default["measured"] == winner["measured"] == 3
    assert default["params"] == {"max_num_seqs": 1}
    assert winner["changed"] == {"max_num_seqs": 16}
    ttft = winner["metrics"]["TTFT mean (ms)"]
    assert ttft["worst"] == max(ttft["values"])
    ratios = np.array(ttft["values"]) / default["metrics"]["TTFT mean (ms)"]["values"]
    assert ttft["change"]["mean"] == pytest.approx(np.exp(np.log(ratios).mean()) - 1)
    assert winner["limits"]["p99 ttft <= 9000 ms"]["kept_under"] == 3


def test_a_study_in_which_the_default_is_the_best_measures_it_alone() -> None:
    task, engine = small_task()
    study = tuned(task)
    found = verify(task, study, orders=3)
    assert found.finalists == ()
    assert len(engine.starts) == 3
    assert found.verdict.recommended is found.baseline


def test_what_cannot_be_verified_is_refused_before_anything_is_measured() -> None:
    task, engine = small_task()
    study = tuned(task, 16)
    with pytest.raises(InputError, match="`orders` 2: at least 3"):
        verify(task, study, orders=2)
    with pytest.raises(InputError, match="one workload alone"):
        verify(replace(task, workloads=None), study)
    with pytest.raises(InputError, match="no completed trial"):
        verify(task, optuna.create_study())
    other = replace(task, settings={**task.settings, "rate": 9})
    with pytest.raises(InputError, match="was tuned differently"):
        verify(other, study)
    assert engine.starts == []
    assert len(optuna.get_all_study_names(study._storage)) == 1


def test_finalists_are_the_front_by_the_hypervolume_of_one_point() -> None:
    # 2 has 25000 and 1 has 900; 3 is worse than the default in TTFT and 4 is dominated.
    assert [t.number for t in choose_finalists(tuned_study(), None, 3)] == [2, 1]
    assert [t.number for t in choose_finalists(tuned_study(), None, 1)] == [2]


def test_finalists_of_one_objective_are_the_best_that_differ() -> None:
    study = two_objective_study(("throughput",), ("maximize",))
    add_default(study, (10.0,))
    add(study, (12.0,), max_num_seqs=1)
    add(study, (13.0,), max_num_seqs=2)
    add(study, (12.5,), max_num_seqs=2)
    add(study, (9.0,), max_num_seqs=3)
    add(study, (20.0,), constraints={"x": 0.1}, max_num_seqs=4)
    assert [t.number for t in choose_finalists(study, None, 3)] == [2, 1]


def test_finalists_need_not_beat_a_default_that_misses_a_limit() -> None:
    study = two_objective_study(("TTFT",), ("minimize",))
    add(study, (1.0,), {"default_configuration": True}, constraints={"x": 0.1})
    add(study, (3.0,), constraints={"x": -0.1}, max_num_seqs=2)
    add(study, (2.0,), constraints={"x": -0.1}, max_num_seqs=3)
    assert [t.number for t in choose_finalists(study, None, 3)] == [2, 1]


def test_the_simplified_best_is_a_finalist_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    task, engine = small_task()
    study = tuned(task, 16, 64)
    simpler = {"max_num_seqs": 40}
    monkeypatch.setattr("optuna_scoot.tuning.measurements.simplify", lambda *_: simpler)
    found = verify(task, study, orders=3, finalists=2)
    best, simplified = found.finalists
    assert simplified.params == simpler
    assert (simplified.name, simplified.simplifies) == (f"{best.name} simplified", best.name)
    assert found.verdict.best is simplified  # 40 sequences are as good as more
    assert len(engine.starts) == 9


def test_a_finalist_that_is_the_simplified_best_is_measured_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, engine = small_task()
    study = tuned(task, 16, 64)
    best, second = choose_finalists(study, None, 2)
    monkeypatch.setattr("optuna_scoot.tuning.measurements.simplify", lambda *_: second.params)
    found = verify(task, study, orders=3)
    assert [one.name for one in found.finalists] == [f"trial {t.number}" for t in (best, second)]
    assert found.finalists[1].simplifies == found.finalists[0].name
    assert len(engine.starts) == 9


def test_best_yaml_holds_overrides_alone_with_the_default_beside_them(tmp_path: Path) -> None:
    task, _ = small_task()
    found = verify(task, tuned(task, 16), orders=3)
    won = replace(found.verdict, recommended=found.finalists[0])
    replace(found, verdict=won).save(tmp_path)
    assert "max-num-seqs: 16  # the default: 1\n" in (tmp_path / "best.yaml").read_text()
    given = replace(task, settings={"baseline": {"max_num_seqs": 1}})
    replace(found, verdict=won, task=given).save(tmp_path)
    assert "max-num-seqs: 16  # before: 1\n" in (tmp_path / "best.yaml").read_text()
    stayed = replace(found.verdict, recommended=found.baseline)
    replace(found, verdict=stayed).save(tmp_path)
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) is None
    replace(found, verdict=stayed, task=given).save(tmp_path)
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == {"max-num-seqs": 1}


def test_a_baseline_of_the_users_is_what_is_compared_with() -> None:
    load = Load(duration=5)
    task = simulated_task("sql-2xa10-7b", load, baseline={"block_size": 32})
    result = tune(task, n_trials=2, sampler=optuna.samplers.RandomSampler(seed=0))
    found = verify(task, result.study, orders=3)
    assert found.baseline.name == "the baseline"
    assert found.baseline.params["block_size"] == 32
