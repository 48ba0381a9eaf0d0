"""The library's one entry: what a notebook gets from `tune`."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from objectives.serving import ServingObjective
from objectives.simulated_services import ready_service
from objectives.spaces import EngineSpace
from optuna_scoot import KnownConstraints
from optuna_scoot import tuning
from optuna_scoot.tuning import InputError
from optuna_scoot.tuning import Load
from optuna_scoot.tuning import StoppedError
from optuna_scoot.tuning import TuningInterrupted
from optuna_scoot.tuning import TuningTask
from optuna_scoot.tuning import serving_task
from optuna_scoot.tuning import simulated_task
from optuna_scoot.tuning import tune
from optuna_scoot.tuning.pace import Prospect
from tests.optuna_scoot.tuning.notes import Notes


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return simulated_task("sql-2xa10-7b", Load(duration=5))


def random(seed: int = 0) -> optuna.samplers.RandomSampler:
    return optuna.samplers.RandomSampler(seed=seed)


class Flaky:
    """The engine of a service, with a fault at some starts."""

    def __init__(self, engine: SimulatedEngine, faults: Mapping[int, BaseException]) -> None:
        self.engine = engine
        self.faults = faults
        self.n_starts = 0

    @property
    def description(self) -> str:
        return "flaky engine 1.0"

    def start(self, params: Mapping[str, Any], label: str) -> Any:
        self.n_starts += 1
        if self.n_starts in self.faults:
            raise self.faults[self.n_starts]
        return self.engine.start(params, label)


def flaky_task(faults: Mapping[int, BaseException]) -> TuningTask:
    ready = ready_service("sql-2xa10-7b", duration=5)
    engine = Flaky(ready.engine, faults)
    space = EngineSpace({"max_num_seqs": IntDistribution(1, 512)}, (), {"max_num_seqs": 256})
    return serving_task(ServingObjective(engine, ready.workload, space=space))


def test_a_study_in_memory_with_a_sampler_of_optunas(task: TuningTask) -> None:
    result = tune(task, n_trials=6, sampler=optuna.samplers.TPESampler(seed=0))
    assert result.counted == 6
    assert result.default is not None
    assert result.default.number == 0
    assert result.default.params == task.objective.space.default
    assert result.best is not None
    assert result.best in result.front or result.best is result.default
    assert [metric.name for metric in result.metrics] == task.objective.metric_names
    assert isinstance(result.study.sampler, optuna.samplers.TPESampler)
    assert result.options["storage"] is None


def test_the_default_sampler_is_scoot_with_the_constraints_of_space_and_user(
    task: TuningTask,
) -> None:
    result = tune(
        task,
        n_trials=5,
        seed=0,
        constraints=["max_num_seqs <= 99"],
        enqueue=[{"max_num_seqs": 70}],
    )
    assert result.study.sampler.__class__.__name__ == "ScootSampler"
    assert result.study.trials[1].params["max_num_seqs"] == 70
    for trial in result.study.trials[2:]:
        assert trial.params["max_num_seqs"] <= 99
        assert trial.params["max_num_seqs"] <= trial.params["max_num_batched_tokens"]


def test_a_study_on_a_database_is_gone_on_with(task: TuningTask, tmp_path: Path) -> None:
    place: dict[str, Any] = {"storage": f"sqlite:///{tmp_path}/scoot.db", "study_name": "s"}
    first = tune(task, n_trials=3, sampler=random(), **place)
    notes = Notes()
    again = tune(task, n_trials=3, sampler=random(), observer=notes, **place)
    assert notes.began == []
    assert again.best is not None
    assert first.best is not None
    assert again.best.values == first.best.values
    more = tune(task, n_trials=5, sampler=random(1), observer=notes, **place)
    assert notes.began == [t.number for t in notes.ended] == [3, 4]
    assert more.counted == 5
    with pytest.raises(InputError, match=r"was tuned differently \(requests .*`study_name`"):
        tune(
            simulated_task("sql-2xa10-7b", Load(duration=9)), n_trials=5, sampler="random", **place
        )


def test_a_storage_of_the_users_own_takes_the_study(task: TuningTask) -> None:
    storage = optuna.storages.InMemoryStorage()
    for n_trials in (2, 3):
        tune(task, n_trials=n_trials, storage=storage, study_name="s", sampler=random())
    assert len(optuna.load_study(study_name="s", storage=storage).trials) == 3


def test_an_interrupt_keeps_what_was_measured_and_the_same_call_goes_on(tmp_path: Path) -> None:
    place: dict[str, Any] = {"storage": f"sqlite:///{tmp_path}/scoot.db", "study_name": "s"}
    with pytest.raises(KeyboardInterrupt) as stopped:
        tune(flaky_task({3: KeyboardInterrupt()}), n_trials=4, sampler=random(), **place)
    assert isinstance(stopped.value, TuningInterrupted)
    result = stopped.value.result
    assert result.completed == 2
    assert result.external == 1
    assert not result.study.get_trials(states=(TrialState.RUNNING,))
    assert {path.name for path in result.save(tmp_path / "out")} >= {"result.json", "trials.csv"}
    assert tune(flaky_task({}), n_trials=4, sampler=random(1), **place).completed == 4


def test_a_failure_outside_the_configuration_stops_with_what_was_measured() -> None:
    full = ExternalFailure(ExternalReason.FILE_SYSTEM, "no space left")
    with pytest.raises(StoppedError, match=r"^stopped \(file_system\): no space left$") as stopped:
        tune(flaky_task({2: full}), n_trials=4, sampler=random())
    assert stopped.value.result is not None
    assert stopped.value.result.completed == 1
    gone = ExternalFailure(ExternalReason.NO_SUCH_MODEL, "there is no model m")
    with pytest.raises(InputError, match=r"^there is no model m$") as faulty:
        tune(flaky_task({2: gone}), n_trials=4, sampler=random())
    assert faulty.value.result is not None


def test_a_busy_machine_is_tried_again_and_crashes_count() -> None:
    late = ExternalFailure(ExternalReason.LATE_GENERATOR, "the machine was busy")
    crash = EngineCrash(CrashReason.OUT_OF_MEMORY, "no memory")
    notes = Notes()
    result = tune(flaky_task({1: late, 3: crash}), n_trials=4, sampler=random(), observer=notes)
    assert notes.lines == ["trying the configuration again in 0.01 s: the machine was busy"]
    assert (result.completed, result.crashed, result.external) == (3, 1, 1)
    assert result.crashes == {"out_of_memory": 1}
    assert result.default is not None
    assert result.default.number == 1


def test_an_objective_of_the_users_own(tmp_path: Path) -> None:
    result = tune(flaky_task({}), n_trials=3, sampler=random())
    assert result.task.simulated is False  # as far as one knows
    assert result.task.title.startswith("flaky engine 1.0, trace sql, ")
    assert set(result.study.trials[2].params) == {"max_num_seqs"}
    result.save(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["engine"] == "flaky engine 1.0"


def test_default_and_best_are_saved_in_the_layout_of_vllms_benchmark(tmp_path: Path) -> None:
    result = tune(flaky_task({}), n_trials=4, sampler=random())
    result.save(tmp_path)
    for name, trial in (("default", result.default), ("best", result.best)):
        assert trial is not None
        saved = json.loads((tmp_path / f"{name}.bench.json").read_text())
        assert [saved["mean_ttft_ms"], saved["mean_tpot_ms"]] == trial.values
        assert saved["num_prompts"] == len(result.task.objective.workload.requests)
        assert saved["max_concurrent_requests"] >= 1


def test_a_simulated_engine_is_not_told_in_the_layout_of_a_real_ones_benchmark(
    task: TuningTask, tmp_path: Path
) -> None:
    tune(task, n_trials=2, sampler=random()).save(tmp_path)
    assert not list(tmp_path.glob("*.bench.json"))


def test_save_writes_the_three_files(task: TuningTask, tmp_path: Path) -> None:
    result = tune(task, n_trials=3, sampler="random", seed=0)
    written = result.save(tmp_path / "runs" / "chat")
    assert [path.name for path in written] == ["best.yaml", "result.json", "trials.csv"]
    assert result.best is not None
    default = task.objective.space.default
    changed = {k for k, v in result.best.params.items() if v != default[k]}
    best = yaml.safe_load(written[0].read_text()) or {}
    assert {name.replace("-", "_") for name in best} == changed
    document = json.loads(written[1].read_text())
    assert document["simulated"] is True
    assert document["options"]["sampler"] == "random"
    assert document["trials"]["counted"] == 3
    assert len(list(csv.DictReader(written[2].read_text().splitlines()))) == 3


def test_what_cannot_be_meant_is_refused_in_the_librarys_words(task: TuningTask) -> None:
    with pytest.raises(InputError, match="`sampler` 'magic': one of scoot, tpe, "):
        tune(task, sampler="magic")
    with pytest.raises(InputError, match="give them to RandomSampler itself"):
        tune(task, sampler=random(), constraints=["max_num_seqs <= 99"])
    with pytest.raises(InputError, match=r"`constraints`: .*speed"):
        tune(task, constraints=["speed > 3"])
    with pytest.raises(InputError, match="`enqueue`: 'speed' is not tuned here"):
        tune(task, enqueue=[{"speed": 3}])
    with pytest.raises(ValueError, match="not a storage URL"):
        tune(task, storage="nonsense")
    with pytest.raises(InputError, match="no simulated service 'nosuch'"):
        simulated_task("nosuch")


def test_an_observer_may_end_a_run_and_a_silent_one_prints_nothing(
    task: TuningTask, capfd: pytest.CaptureFixture[str]
) -> None:
    class Enough(Notes):
        study: optuna.Study

        def run_began(self, study: optuna.Study, n_trials: int, known: KnownConstraints) -> None:
            self.study = study

        def should_stop(self) -> bool:
            return len(self.ended) == 2

    observer = Enough()
    with pytest.raises(TuningInterrupted):
        tune(task, n_trials=9, sampler=random(), observer=observer)
    assert len(observer.study.trials) == 2
    tune(task, n_trials=2, sampler=random())
    assert capfd.readouterr().out == ""


def test_what_is_offered_is_there() -> None:
    assert all(hasattr(tuning, name) for name in tuning.__all__)


def test_no_trial_begins_when_the_time_is_over(task: TuningTask) -> None:
    study = optuna.storages.InMemoryStorage()
    first = tune(task, n_trials=2, storage=study, study_name="s", sampler=random())
    second = tune(
        task, n_trials=4, max_hours=1e-12, storage=study, study_name="s", sampler=random()
    )
    third = tune(task, n_trials=4, max_hours=1.0, storage=study, study_name="s", sampler=random())

    assert (first.counted, second.counted, third.counted) == (2, 2, 4)
    assert first.ended_early is None
    assert second.ended_early == "the time of `max_hours` is over"
    assert third.ended_early is None
    assert second.best is not None


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(task: TuningTask, hours: float) -> None:
    with pytest.raises(InputError, match="`max_hours`"):
        tune(task, n_trials=1, max_hours=hours)


def test_a_time_below_that_of_one_load_is_refused(task: TuningTask) -> None:
    slow = dataclasses.replace(task, prospect=Prospect(100.0, 60.0))
    with pytest.raises(InputError, match="the load of one trial alone takes 100 s"):
        tune(slow, n_trials=1, max_hours=0.02)
