"""Study to arrays: who counts as completed, crashed, pruned or running, in which units."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.observations import Observations
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.trials.history import History
from optuna_scoot.trials.outcomes import FailureFilter
from optuna_scoot.trials.reading import observe
from optuna_scoot.trials.reading import replace_infinities
from optuna_scoot.trials.sharing import known_params
from optuna_scoot.trials.spaces import infer_search_space
from tests.optuna_scoot.studies import add


SPACE: dict[str, BaseDistribution] = {"n": IntDistribution(0, 9), "x": FloatDistribution(0.0, 1.0)}


def _study(*directions: str) -> optuna.Study:
    return optuna.create_study(directions=list(directions or ("minimize",)))


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


def test_states_are_told_apart() -> None:
    study = _study()
    add(study, {"n": 1, "x": 0.5}, 3.0, SPACE)
    add(study, {"n": 2, "x": 0.5}, None, SPACE)
    pruned = {"state": TrialState.PRUNED, "intermediate_values": {1: 0.5}}
    add(study, {"n": 3, "x": 0.5}, None, SPACE, **pruned)
    add(study, {"n": 4, "x": 0.5}, None, SPACE, state=TrialState.RUNNING)
    study.enqueue_trial({"n": 5, "x": 0.5})
    # They crashed before all of the parameters were drawn, or ran outside of their ranges.
    add(study, {"n": 6}, None, SPACE)
    add(study, {"n": 70, "x": 0.3}, 1.0, {**SPACE, "n": IntDistribution(0, 99)})
    o = _observe(study)

    assert _numbers(o.x) == [1]
    assert _numbers(o.crashed) == [2]
    assert _numbers(o.pruned) == [3]
    assert _numbers(o.pending) == [4]
    assert o.values.tolist() == [[3.0]]
    # A pruned trial ran; one that runs now has no outcome yet.
    assert o.outcomes == (True, False, True)


def test_an_empty_study_gives_empty_arrays() -> None:
    o = _observe(_study("minimize", "maximize"))

    assert [len(a) for a in (o.x, o.values, o.crashed, o.pruned, o.pending)] == [0] * 5
    assert o.x.shape == (0, 2)
    assert o.values.shape == (0, 2)
    assert o.reference_point is None


def test_maximised_objectives_change_sign() -> None:
    study = _study("maximize", "minimize", "maximize")
    add(study, {"n": 1, "x": 0.5}, [1.0, 2.0, math.inf], SPACE)
    add(study, {"n": 2, "x": 0.5}, [4.0, math.inf, -3.0], SPACE)
    add(study, {"n": 3, "x": 0.5}, [4.0, 7.0, 5.0], SPACE)

    # Infinitely good is as good as the best, infinitely bad as bad as the worst finite one.
    assert _observe(study).values.tolist() == [[-1.0, 2.0, -5.0], [-4.0, 7.0, 3.0], [-4, 7, -5]]


def test_the_asking_trial_does_not_see_itself() -> None:
    study = _study()
    add(study, {"n": 1, "x": 0.5}, None, SPACE, state=TrialState.RUNNING)
    add(study, {"n": 2, "x": 0.5}, None, SPACE, state=TrialState.RUNNING)

    assert _numbers(_observe(study, before=0).pending) == [2]


def _running(study: optuna.Study, chunks: Sequence[str], **fixed: Any) -> FrozenTrial:
    if fixed:
        study.enqueue_trial(fixed)
    trial = study.ask()
    for i, chunk in enumerate(chunks):
        study._storage.set_trial_system_attr(trial._trial_id, f"scoot:relative_params:{i}", chunk)
    return study.get_trials()[trial.number]


def test_running_trials_are_known_by_what_they_published() -> None:
    study = _study()
    text = json.dumps({"n": 7, "x": 0.25})
    _running(study, [text])
    _running(study, [text[:5], text[5:]])
    # A worker has written half of it, or nothing yet.
    _running(study, [text[:5]])
    _running(study, [])

    assert _numbers(_observe(study).pending) == [7, 7]


def test_enqueued_and_suggested_values_prevail_over_published_ones() -> None:
    study = _study()
    assert known_params(_running(study, [json.dumps({"n": 7, "x": 0.25})], n=2)) == {
        "n": 2,
        "x": 0.25,
    }
    trial = study.ask()
    study._storage.set_trial_system_attr(
        trial._trial_id, "scoot:relative_params:0", json.dumps({"n": 7, "x": 0.25})
    )
    value = trial.suggest_float("x", 0.0, 1.0)
    assert known_params(study.get_trials()[-1]) == {"n": 7, "x": value}


def test_what_failed_for_outside_reasons_is_not_shown() -> None:
    study = _study()
    add(study, {"n": 1, "x": 0.5}, None, SPACE, user_attrs={"failure_is_external": True})
    add(study, {"n": 2, "x": 0.5}, None, SPACE, user_attrs={"failure_is_external": False})
    lost = add(study, {"n": 3, "x": 0.5}, None, SPACE)
    RetryHeartbeatStaleTrialCallback()(study, lost)
    add(study, {"n": 4, "x": 0.5}, None, SPACE, user_attrs={"reason": "disk full"})
    o = _observe(study)

    assert _numbers(o.crashed) == [2, 4]
    assert o.outcomes == (False, False)
    o = _observe(study, failure_filter=lambda t: t.user_attrs.get("reason") != "disk full")
    assert _numbers(o.crashed) == [2]


def test_a_retry_that_crashes_is_a_crash() -> None:
    study = _study()
    lost = add(study, {"n": 3, "x": 0.5}, None, SPACE)
    RetryHeartbeatStaleTrialCallback()(study, lost)
    study.tell(study.ask(), state=TrialState.FAIL)

    assert _numbers(_observe(study).crashed) == [3]


def test_only_the_models_suggestions_move_the_threshold() -> None:
    study = _study()
    for phase in ("startup", "model", "fill"):
        add(study, {"n": 1, "x": 0.5}, None, SPACE, user_attrs={"scoot:phase": phase})
    add(study, {"n": 1, "x": 0.5}, 1.0, SPACE, user_attrs={"scoot:phase": "model"})
    study.enqueue_trial({"n": 2, "x": 0.5})
    enqueued = study.ask(SPACE)
    study.tell(enqueued, 1.0)

    assert _observe(study).outcomes == (False, True)


def test_measured_constraints_stand_by_name() -> None:
    study = _study()
    for constraints in ({"b": -1.0, "a": 2.0}, {"a": -3.0}, {"c": math.inf, "b": -math.inf}):
        add(study, {"n": 1, "x": 0.5}, 1.0, SPACE, constraints=constraints)
    columns = dict(zip("abc", _observe(study).constraints.T, strict=True))

    assert columns["a"].tolist() == [2.0, -3.0, 0.0]
    # An infinity stays on its side of zero, even where all finite values lie on the other.
    assert columns["b"][0] == -1.0
    assert columns["b"][2] <= -1.0
    assert columns["c"][2] > 0.0
    assert np.all(np.isfinite(_observe(study).constraints))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_infinite_constraint_keeps_its_sign(sign: float) -> None:
    study = _study()
    for value in (-sign * 0.5, -sign * 0.25, sign * math.inf):
        add(study, {"n": 1, "x": 0.5}, 1.0, SPACE, constraints={"c": value})

    assert (_observe(study).constraints[:, 0] > 0.0).tolist() == [sign < 0, sign < 0, sign > 0]


def _default(study: optuna.Study, *, ran: bool, **user_attrs: Any) -> None:
    study.enqueue_trial({"n": 4, "x": 0.5}, user_attrs=user_attrs)
    trial = study.ask(SPACE)
    study.tell(
        trial, [10.0, 20.0] if ran else None, TrialState.COMPLETE if ran else TrialState.FAIL
    )


def test_the_reference_point_is_the_users_in_study_units() -> None:
    study = _study("maximize", "minimize")
    _default(study, ran=True)
    point = _observe(study, reference_point=[1.0, 2.0]).reference_point

    assert point is not None
    assert point.tolist() == [-1.0, 2.0]


def test_a_reference_point_of_the_wrong_length_is_told() -> None:
    with pytest.raises(ValueError, match="reference_point has 3 values, but the study has 2"):
        _observe(_study("maximize", "minimize"), reference_point=[1.0, 2.0, 3.0])


def test_the_reference_point_is_the_earliest_marked_trials() -> None:
    study = _study("maximize", "minimize")
    add(study, {"n": 1, "x": 0.5}, [5.0, 6.0], SPACE)
    assert _observe(study).reference_point is None
    # What the user enqueued may as well be the best there is.
    _default(study, ran=True)
    assert _observe(study).reference_point is None
    study.enqueue_trial({"n": 9, "x": 0.5}, user_attrs={"default_configuration": np.True_})
    study.tell(study.ask(SPACE), [1.0, 1.0])
    _default(study, ran=True, default_configuration=True)

    point = _observe(study).reference_point
    assert point is not None
    assert point.tolist() == [-1.0, 1.0]


def test_a_marked_trial_need_not_be_enqueued() -> None:
    study = _study("minimize", "minimize")
    add(study, {"n": 1, "x": 0.5}, [5.0, 6.0], SPACE, user_attrs={"default_configuration": True})

    point = _observe(study).reference_point
    assert point is not None
    assert point.tolist() == [5.0, 6.0]


def test_there_is_no_reference_point_where_the_default_crashed_or_is_infinite() -> None:
    crashed = _study("minimize", "minimize")
    _default(crashed, ran=False, default_configuration=True)
    # The next marked trial is not the default.
    crashed.enqueue_trial({"n": 9, "x": 0.5}, user_attrs={"default_configuration": True})
    crashed.tell(crashed.ask(SPACE), [1.0, 1.0])
    infinite = _study("minimize", "minimize")
    add(
        infinite,
        {"n": 1, "x": 0.5},
        [math.inf, 1.0],
        SPACE,
        user_attrs={"default_configuration": True},
    )
    waiting = _study("minimize", "minimize")
    waiting.enqueue_trial({"n": 9, "x": 0.5}, user_attrs={"default_configuration": True})

    assert [_observe(s).reference_point for s in (crashed, infinite, waiting)] == [None] * 3


def test_a_default_that_failed_for_outside_reasons_gives_way_to_its_second_try() -> None:
    study = _study("minimize", "minimize")
    study.enqueue_trial(
        {"n": 4, "x": 0.5}, user_attrs={"failure_is_external": True, "default_configuration": True}
    )
    study.tell(study.ask(SPACE), state=TrialState.FAIL)
    assert _observe(study).reference_point is None
    _default(study, ran=True, default_configuration=True)

    point = _observe(study).reference_point
    assert point is not None
    assert point.tolist() == [10.0, 20.0]


def test_the_space_is_what_trials_have_asked_for() -> None:
    wide, kind = IntDistribution(0, 99), CategoricalDistribution(["a", "b"])
    space = {**SPACE, "kind": kind, "one": IntDistribution(3, 3)}
    study = _study()
    add(study, {"x": 0.5, "n": 1, "kind": "a", "one": 3}, 1.0, space)
    assert list(infer_search_space(study.get_trials())) == ["kind", "n", "x"]
    add(study, {"n": 1}, None, space)
    assert list(infer_search_space(study.get_trials())) == ["kind", "n", "x"]
    # Another branch has no kind, and a crash shows one that has never run.
    add(study, {"x": 0.5, "n": 1}, 1.0, space)
    add(study, {"n": 2, "more": 0.5}, None, {**SPACE, "more": SPACE["x"]})
    assert list(infer_search_space(study.get_trials())) == ["kind", "more", "n", "x"]
    # Its range changed: it is not the same parameter any more.
    add(study, {"x": 0.5, "n": 1}, 1.0, {**SPACE, "n": wide})
    assert list(infer_search_space(study.get_trials())) == ["kind", "more", "x"]


def test_a_crash_that_has_another_range_does_not_change_the_space() -> None:
    study = _study()
    add(study, {"x": 0.5, "n": 1}, 1.0, SPACE)
    add(study, {"n": 70}, None, {"n": IntDistribution(0, 99)})

    assert infer_search_space(study.get_trials()) == SPACE


def test_a_space_with_ever_new_names_has_an_end() -> None:
    study = _study()
    for i in range(200):
        space = {"x": SPACE["x"], f"x{i}": SPACE["x"]}
        add(study, {"x": 0.5, f"x{i}": 0.5}, 1.0, space)
    inferred = infer_search_space(study.get_trials())

    assert len(inferred) == 128
    assert "x" in inferred


def test_a_study_that_begins_with_crashes_has_a_space() -> None:
    study = _study()
    assert infer_search_space(study.get_trials()) == {}
    add(study, {"n": 1}, None, SPACE)
    add(study, {"n": 1, "x": 0.5}, None, SPACE)
    add(study, {"n": 2, "x": 0.5}, None, SPACE)
    assert optuna.search_space.intersection_search_space(study.get_trials()) == {}
    assert infer_search_space(study.get_trials()) == SPACE
    add(study, {"n": 2}, None, {"n": IntDistribution(0, 99)})
    assert list(infer_search_space(study.get_trials())) == ["x"]


def test_infinities_become_the_ends_of_their_column() -> None:
    inf = math.inf
    values = np.array([[1.0, inf, inf], [inf, -inf, inf], [3.0, 2.0, -inf], [-inf, 5.0, inf]])
    expected = [[1.0, 5.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, -1.0], [1.0, 5.0, 1.0]]

    assert replace_infinities(values).tolist() == expected
    assert values[1, 0] == inf
    assert replace_infinities(np.empty((0, 2))).shape == (0, 2)


def test_a_pruned_trial_tells_the_constraints_that_it_set() -> None:
    study = _study()
    add(study, {"n": 1, "x": 0.5}, 3.0, SPACE, constraints={"a": -1.0, "b": 2.0})
    add(study, {"n": 2, "x": 0.5}, 4.0, SPACE)
    for n, told in ((3, {"a": 0.5, "b": math.inf}), (4, {"b": 1.0})):
        cut = {"state": TrialState.PRUNED, "intermediate_values": {0: 9.0}}
        add(study, {"n": n, "x": 0.5}, None, SPACE, constraints=told, **cut)
    o = _observe(study)

    assert o.constraints.tolist() == [[-1.0, 2.0], [0.0, 0.0]]
    assert o.pruned_constraints is not None
    np.testing.assert_array_equal(o.pruned_constraints, [[0.5, 2.0], [math.nan, 1.0]])
