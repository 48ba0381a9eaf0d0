"""Optuna's own pictures and tables of a study with crashes, limits and a default configuration."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
import optuna.visualization as drawn
import pytest
from optuna.trial import TrialState

from optuna_scoot.tuning import simulated_task
from optuna_scoot.tuning import tune


PAIR = ["max_num_seqs", "max_num_batched_tokens"]


@pytest.fixture(scope="module")
def two() -> optuna.Study:
    """Two objectives."""
    task = simulated_task("bot-2xa100-13b", slo=["p99 ttft <= 32 s"])
    return tune(task, n_trials=8, seed=0).study


@pytest.fixture(scope="module")
def one() -> optuna.Study:
    """One objective; hopeless trials are ended early."""
    task = simulated_task(
        "bot-2xa100-13b", objective="p95-latency", slo=["p99 ttft <= 32 s"], early_end=True
    )
    return tune(task, n_trials=8, seed=0).study


def infeasible(study: optuna.Study) -> list[int]:
    done = study.get_trials(states=(TrialState.COMPLETE,))
    return [t.number for t in done if any(excess > 0 for excess in t.constraints.values())]


def test_these_studies_have_what_makes_it_hard(one: optuna.Study, two: optuna.Study) -> None:
    for study in (one, two):
        assert TrialState.FAIL in {trial.state for trial in study.trials}
        assert infeasible(study)
    assert TrialState.PRUNED in {trial.state for trial in one.trials}


def test_hypervolume_grows_from_the_default_as_reference_point(two: optuna.Study) -> None:
    reference = two.trials[0].values
    (line,) = drawn.plot_hypervolume_history(two, reference).data
    usable = [t.values for t in two.trials if t.number not in infeasible(two) and t.values]
    sides = np.maximum(np.array(reference) - np.array(usable), 0.0)
    assert np.all(np.diff(line.y) >= 0)
    # At least the best single point, and no more than all of them side by side.
    assert sides.prod(axis=1).max() <= line.y[-1] <= sides.prod(axis=1).sum()


def test_the_front_has_infeasible_trials_apart(two: optuna.Study) -> None:
    shown = drawn.plot_pareto_front(two).data
    n_infeasible = len(infeasible(two))
    completed = two.get_trials(states=(TrialState.COMPLETE,))
    assert sum(len(trace.x) for trace in shown) == len(completed)
    assert n_infeasible in [len(trace.x) for trace in shown]


@pytest.mark.parametrize(
    "draw",
    [
        drawn.plot_optimization_history,
        drawn.plot_param_importances,
        drawn.plot_parallel_coordinate,
        drawn.plot_slice,
        drawn.plot_edf,
        lambda study, **target: drawn.plot_contour(study, params=PAIR, **target),
        lambda study, **target: drawn.plot_rank(study, params=PAIR, **target),
    ],
)
def test_every_picture_of_values_is_drawn(
    one: optuna.Study, two: optuna.Study, draw: Callable[..., Any]
) -> None:
    assert draw(one).data
    for i, name in enumerate(two.metric_names or []):
        assert draw(two, target=lambda t, i=i: t.values[i], target_name=name).data


def test_the_timeline_tells_what_became_of_each(one: optuna.Study, two: optuna.Study) -> None:
    assert {t.name for t in drawn.plot_timeline(two).data} == {"COMPLETE", "FAIL", "INFEASIBLE"}
    assert {"PRUNED", "FAIL"} <= {t.name for t in drawn.plot_timeline(one).data}


def test_reports_of_trials_that_were_ended_early_are_drawn(one: optuna.Study) -> None:
    pruned = one.get_trials(states=(TrialState.PRUNED,))
    assert len(drawn.plot_intermediate_values(one).data) == len(pruned)


def test_the_terminators_improvement_is_drawn(one: optuna.Study) -> None:
    assert drawn.plot_terminator_improvement(one).data


def test_trials_as_a_table_have_a_column_a_metric(two: optuna.Study) -> None:
    if find_spec("pandas") is None:
        with pytest.raises(ImportError, match="pandas"):
            two.trials_dataframe()
        return
    table = two.trials_dataframe()
    assert len(table) == len(two.trials)
    assert table["user_attrs_TTFT p99 (ms)"].dtype == float
    assert list(table["user_attrs_default_configuration"])[:1] == [True]
