"""One long history whose arrays are written down by hand, and what no single state shows."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from optuna_scoot.observations import Observations
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.trials.history import History
from optuna_scoot.trials.outcomes import FailureFilter
from optuna_scoot.trials.outcomes import enqueued_params
from optuna_scoot.trials.outcomes import is_enqueued
from optuna_scoot.trials.reading import observe
from optuna_scoot.trials.sharing import known_params
from optuna_scoot.trials.spaces import infer_search_space
from tests.optuna_scoot.studies import add


SPACE: dict[str, BaseDistribution] = {"n": IntDistribution(0, 19)}


def _observe(
    study: optuna.Study,
    *,
    failure_filter: FailureFilter | None = None,
    before: int | None = None,
    **kwargs: Any,
) -> Observations:
    history = History.of(study.get_trials(), failure_filter)
    records = history.records(SPACE, without=before)
    return observe(history, SearchSpace(SPACE), study.directions, records=records, **kwargs)


def _numbers(points: np.ndarray) -> list[int]:
    return [SearchSpace(SPACE).to_params(x)["n"] for x in points]


def _long_history() -> optuna.Study:
    """Give a study whose trial number i has n = i."""
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.enqueue_trial({"n": 0}, user_attrs={"default_configuration": True})
    study.tell(study.ask(SPACE), [10.0, 1.0])

    def put(n: int, values: list[float] | None, phase: str | None, **kwargs: Any) -> None:
        attributes = {} if phase is None else {"scoot:phase": phase}
        attributes |= kwargs.pop("user_attrs", {})
        add(study, {"n": n}, values, SPACE, user_attrs=attributes, **kwargs)

    reported = {"state": TrialState.PRUNED, "intermediate_values": {0: 5.0}}
    put(1, [11.0, 2.0], "startup")
    put(2, None, "startup")
    put(3, [12.0, math.inf], "model")
    put(4, None, "model")
    put(5, None, "model", **reported)
    put(6, [13.0, 4.0], "fill")
    put(7, [math.inf, 5.0], None)  # of another sampler
    put(8, None, "model", user_attrs={"failure_is_external": True})
    put(9, None, "model", state=TrialState.RUNNING)
    put(10, [15.0, -math.inf], "model")
    put(11, None, "startup", **reported)
    put(12, None, "fill")
    return study


def test_a_long_history_by_hand() -> None:
    o = _observe(_long_history())

    assert _numbers(o.x) == [0, 1, 3, 6, 7, 10]
    # Maximised values change sign; an infinite one is as bad or as good as the worst or best.
    assert o.values[:, 0].tolist() == [10.0, 11.0, 12.0, 13.0, 15.0, 15.0]
    assert o.values[:, 1].tolist() == [-1.0, -2.0, -5.0, -4.0, -5.0, -1.0]
    assert _numbers(o.crashed) == [2, 4, 12]
    assert _numbers(o.pruned) == [5, 11]
    assert _numbers(o.pending) == [9]
    # Of the model are 3, 4, 5, 7 and 10.
    assert o.outcomes == (True, False, True, True, True)
    assert o.constraints.shape == (6, 0)
    assert o.satisfied.tolist() == [True] * 6
    assert o.reference_point is not None
    assert o.reference_point.tolist() == [10.0, -1.0]


def test_the_asking_trial_is_passed_over_whatever_its_state_is() -> None:
    study = _long_history()

    assert _numbers(_observe(study, before=9).pending) == []
    assert _numbers(_observe(study, before=4).crashed) == [2, 12]
    assert _observe(study, before=4).outcomes == (True, True, True, True)


def test_trials_that_lack_a_parameter_or_leave_the_range_count_nowhere() -> None:
    study = _long_history()
    add(study, {"m": 1}, [0.0, 0.0], {"m": IntDistribution(0, 9)})
    add(study, {"n": 40}, None, {"n": IntDistribution(0, 99)})
    o, before = _observe(study), _observe(_long_history())

    assert (_numbers(o.x), _numbers(o.crashed)) == (_numbers(before.x), _numbers(before.crashed))
    assert o.outcomes == before.outcomes


def test_all_measured_constraints_have_to_hold_and_zero_does() -> None:
    study = optuna.create_study()
    for constraints in (
        {"a": 0.0, "b": -1.0},
        {"a": 1e-9, "b": -1.0},
        {"a": -1.0},
        {"b": 3.0},
        {},
    ):
        add(study, {"n": 1}, 1.0, SPACE, constraints=constraints)

    assert _observe(study).satisfied.tolist() == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        # An infinity reaches as far as the largest of the others, on its own side.
        ([-0.5, 4.0, math.inf, -math.inf], [-0.5, 4.0, 4.0, -4.0]),
        ([0.5, 3.0, -math.inf], [0.5, 3.0, -3.0]),
        ([-0.5, -3.0, math.inf], [-0.5, -3.0, 3.0]),
        ([math.inf, -math.inf], [1.0, -1.0]),
        ([0.25, -2.0], [0.25, -2.0]),
    ],
)
def test_infinite_constraints_by_hand(measured: list[float], expected: list[float]) -> None:
    study = optuna.create_study()
    for value in measured:
        add(study, {"n": 1}, 1.0, SPACE, constraints={"c": value})

    assert _observe(study).constraints[:, 0].tolist() == expected


# Single trials


def test_what_the_user_enqueued_is_told_from_what_was_suggested() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"n": 4})
    enqueued, suggested = study.ask(), study.ask()
    trials = study.get_trials()

    assert [is_enqueued(trials[t.number]) for t in (enqueued, suggested)] == [True, False]
    assert enqueued_params(trials[0]) == {"n": 4}
    assert enqueued_params(trials[1]) == {}


def test_a_finished_trial_has_its_parameters_alone() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"n": 4, "never_asked_for": 1})
    trial = study.ask()
    published = json.dumps({"n": 7, "other": 2})
    study._storage.set_trial_system_attr(trial._trial_id, "scoot:relative_params:0", published)
    assert known_params(study.get_trials()[0]) == {"n": 4, "other": 2, "never_asked_for": 1}
    trial.suggest_int("n", 0, 19)
    study.tell(trial, 1.0)

    assert known_params(study.get_trials()[0]) == {"n": 4}


def test_a_retried_trial_is_no_crash_and_its_retry_may_be_one() -> None:
    study = optuna.create_study()
    lost = add(study, {"n": 3}, None, SPACE)
    add(study, {"n": 4}, None, SPACE)
    add(study, {"n": 5}, None, SPACE, system_attrs={"retry_history": [lost.number]})

    assert _numbers(_observe(study).crashed) == [4, 5]
    by_user = _observe(study, failure_filter=lambda trial: trial.params["n"] != 4)
    assert _numbers(by_user.crashed) == [5]


# The search space


def test_where_nothing_completed_the_fullest_of_those_that_ended_tells_the_space() -> None:
    space: dict[str, BaseDistribution] = {
        "x": FloatDistribution(0.0, 1.0),
        "k": CategoricalDistribution(["a", "b"]),
        "one": CategoricalDistribution(["only"]),
        **SPACE,
    }
    full: dict[str, Any] = {"x": 0.5, "k": "a", "one": "only", "n": 1}
    for state in (TrialState.FAIL, TrialState.PRUNED):
        study = optuna.create_study()
        add(study, {"n": 1}, None, space)
        add(study, full, None, space, state=state)
        add(study, {"n": 2, "x": 0.1}, None, space)
        assert list(infer_search_space(study.get_trials())) == ["k", "n", "x"]


def test_running_and_waiting_trials_tell_no_space() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"n": 3})
    add(study, {"n": 1}, None, SPACE, state=TrialState.RUNNING)

    assert infer_search_space(study.get_trials()) == {}


# The reference point


def test_the_default_has_to_have_completed_with_finite_values() -> None:
    for outcome in ([1.0, math.inf], [-math.inf, 2.0]):
        study = optuna.create_study(directions=["minimize", "minimize"])
        add(study, {"n": 1}, outcome, SPACE, user_attrs={"default_configuration": True})
        add(study, {"n": 2}, [3.0, 4.0], SPACE)
        assert _observe(study).reference_point is None
    for state in (TrialState.FAIL, TrialState.RUNNING):
        study = optuna.create_study(directions=["minimize", "minimize"])
        marked = {"default_configuration": True}
        add(study, {"n": 1}, None, SPACE, state=state, user_attrs=marked)
        add(study, {"n": 2}, [3.0, 4.0], SPACE)
        assert _observe(study).reference_point is None


def test_the_mark_has_to_be_true() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    for n, mark in enumerate([False, None, "no"]):
        add(study, {"n": n}, [3.0, 4.0], SPACE, user_attrs={"default_configuration": mark})

    assert _observe(study).reference_point is None
