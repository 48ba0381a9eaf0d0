"""Each metric is a user attribute with a name that people read, and code finds it again."""

from __future__ import annotations

import optuna
import pytest

from objectives.engines.base import EngineCrash
from objectives.goals import Metric
from objectives.metrics import OwnShare
from objectives.metrics import RequestRecord
from objectives.simulated_services import make_objective
from objectives.trial_metrics import flat_of
from objectives.trial_metrics import label_of
from objectives.trial_metrics import metrics_of
from objectives.trial_metrics import without_metrics


GOALS = ("mean ttft", "p99.9 tpot", "p50 itl", "p95 e2el", "throughput", "goodput")


def measured() -> optuna.trial.FrozenTrial:
    objective = make_objective("sql-2xa10-7b", duration=5.0)
    study = optuna.create_study(directions=objective.directions)
    objective.enqueue_default(study)
    study.optimize(objective, n_trials=1, catch=(EngineCrash,))
    return study.trials[0]


def test_no_attribute_of_a_trial_is_a_blob_and_the_names_are_for_people() -> None:
    attrs = measured().user_attrs
    assert {type(value) for value in attrs.values()} <= {int, float, str, bool}
    assert attrs["TTFT mean (ms)"] > 0
    assert attrs["throughput (requests/s)"] > 0
    assert attrs["failed requests"] == 0
    assert not [name for name in attrs if "_ms" in name or name.startswith("metric ")]


def test_code_finds_each_metric_by_its_flat_name() -> None:
    trial = measured()
    metrics = metrics_of(trial)
    assert metrics["ttft_ms_mean"] == trial.user_attrs["TTFT mean (ms)"]
    assert {label_of(flat): value for flat, value in metrics.items()} == {
        name: value
        for name, value in trial.user_attrs.items()
        if name not in ("default_configuration", "engine", "simulated", "replicas")
        and name != "kv_cache_tokens"
    }
    assert without_metrics(trial.user_attrs).keys() == {
        *("default_configuration", "engine", "simulated", "replicas", "kv_cache_tokens")
    }


def test_a_study_of_an_earlier_version_has_them_as_one_mapping() -> None:
    trial = optuna.create_trial(value=1.0, user_attrs={"metrics": {"ttft_ms_p99": 3.5}, "x": 1})
    assert metrics_of(trial) == {"ttft_ms_p99": 3.5}
    assert without_metrics(trial.user_attrs) == {"x": 1}


def test_a_metric_without_a_name_for_people_is_found_again() -> None:
    trial = optuna.create_trial(value=1.0, user_attrs={label_of("new_one"): 2.0})
    assert metrics_of(trial) == {"new_one": 2.0}


@pytest.mark.parametrize("words", GOALS)
def test_a_metric_has_the_name_that_it_has_as_a_goal(words: str) -> None:
    metric = Metric.parse(words)
    assert label_of(metric.flat) == metric.label
    assert flat_of(metric.label) == metric.flat


def test_every_share_of_the_load_generator_has_a_name() -> None:
    record = RequestRecord(
        index=0,
        scheduled=0.0,
        sent=0.0,
        first_token=0.1,
        last_token=0.3,
        prompt_tokens=3,
        output_tokens=3,
        inter_token_latencies=(0.1, 0.1),
        own_send=0.01,
        waits=(0.0, 0.01, 0.02),
    )
    shares = OwnShare.of([record]).as_dict()
    assert len(shares) == 8
    assert [flat_of(label_of(flat)) for flat in shares] == list(shares)
    assert label_of("own_ttft_ms_p99") == "TTFT p99 by the load generator (ms)"
    assert label_of("scheduled_e2el_ms_mean") == "end-to-end latency mean from when due (ms)"
