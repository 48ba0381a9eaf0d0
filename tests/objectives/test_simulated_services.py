from __future__ import annotations

import optuna
import pytest

from objectives.engines.base import EngineCrash
from objectives.simulated_services import ServiceError
from objectives.simulated_services import find_service
from objectives.simulated_services import make_objective
from objectives.simulated_services import ready_service
from objectives.simulated_services import service_names


def test_there_is_a_service_for_each_application_machine_and_model() -> None:
    assert len(set(service_names())) == 4 * 4 * 2
    assert all(find_service(name).name == name for name in service_names())


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("sql-2xa10-7b", 5),
        ("bot-4xa10-13b", 5),
        ("cls-2xa10-7b", 10),
        ("rec-2xa10-7b", 15),
        ("bot-2xa100-13b", 10),
        ("rec-4xa100-13b", 30),
    ],
)
def test_rates_are_those_of_the_paper(name: str, rate: float) -> None:
    assert find_service(name).rate == rate


def test_a_load_lasts_the_hundred_seconds_of_the_paper() -> None:
    name = "sql-4xa100-7b"
    for workload in (find_service(name).workload(), make_objective(name).workload):
        assert workload.duration == 100.0
        assert 90 < workload.requests[-1].time < 100
        assert len(workload.requests) == pytest.approx(10 * 100, rel=0.1)
    assert ready_service(name).workload.duration == 100.0


def test_objectives_are_those_of_the_paper() -> None:
    modes = {name.split("-")[0]: find_service(name).mode for name in service_names()}
    assert modes == {
        "sql": "ttft-tpot",
        "bot": "ttft-tpot",
        "cls": "p95-latency",
        "rec": "throughput",
    }


@pytest.mark.parametrize("name", ["bot", "bot-2xa100", "bot-3xa100-13b", "chat-2xa100-13b"])
def test_an_unknown_service_is_explained(name: str) -> None:
    with pytest.raises(ServiceError, match="bot-2xa100-13b"):
        find_service(name)


@pytest.mark.parametrize("name", service_names())
def test_the_default_configuration_of_every_service_runs(name: str) -> None:
    service = ready_service(name, duration=20.0)
    metrics = service.measure(service.space.default)
    assert metrics.completed >= 0.95 * len(service.workload.requests)


def test_tensor_parallelism_is_tuned_only_where_there_is_a_choice() -> None:
    assert "tensor_parallel_size" not in find_service("bot-2xa10-13b").space.parameters
    assert "tensor_parallel_size" in find_service("bot-4xa10-13b").space.parameters


def test_the_objective_runs_in_a_study_and_repeats() -> None:
    values = []
    for _ in range(2):
        objective = make_objective("sql-4xa10-7b", seed=3, duration=20.0)
        sampler = optuna.samplers.RandomSampler(seed=0)
        study = optuna.create_study(directions=objective.directions, sampler=sampler)
        objective.prepare(study)
        objective.enqueue_default(study)
        study.optimize(objective, n_trials=12, catch=(EngineCrash,))
        assert study.trials[0].state.name == "COMPLETE"
        assert study.trials[0].user_attrs["simulated"] is True
        values.append([trial.values for trial in study.trials])
    assert values[0] == values[1]


def test_a_seed_changes_arrivals_and_order() -> None:
    service = find_service("bot-2xa100-7b")
    first, second = service.workload(seed=0), service.workload(seed=1)
    assert first == service.workload(seed=0)
    assert first.requests[0].time != second.requests[0].time
    assert first.requests[0].request != second.requests[0].request
