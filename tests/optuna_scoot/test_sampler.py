"""The sampler in a study: its phases, what it never repeats, what it can bear, what it tells."""

from __future__ import annotations

import itertools
import json
import logging
import math
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from optuna_scoot import FeasibilityThreshold
from optuna_scoot import Method
from optuna_scoot import ScootSampler
from tests.optuna_scoot.studies import MIXED
from tests.optuna_scoot.studies import QUICK_PAPER
from tests.optuna_scoot.studies import add
from tests.optuna_scoot.studies import quick
from tests.optuna_scoot.studies import study_of
from tests.optuna_scoot.studies import suggest_all


SQUARE: dict[str, BaseDistribution] = {
    "x": FloatDistribution(0.0, 1.0),
    "y": FloatDistribution(0.0, 1.0),
}
GRID: dict[str, BaseDistribution] = {"a": IntDistribution(0, 3), "b": IntDistribution(0, 3)}


def _phases(study: optuna.Study) -> list[str | None]:
    return [t.user_attrs.get("scoot:phase") for t in study.get_trials()]


def _attributes(study: optuna.Study, number: int = -1) -> dict[str, Any]:
    """Give what the storage holds; a live trial shows what it had at its start."""
    return study.get_trials()[number].user_attrs


def _run(study: optuna.Study, space: dict[str, BaseDistribution], n: int) -> list[dict[str, Any]]:
    """Complete n trials on a hill; give their parameters."""
    out = []
    for _ in range(n):
        trial = study.ask()
        params = suggest_all(trial, space)
        level = sum(float(v) for v in params.values() if isinstance(v, (int, float)))
        study.tell(trial, [level + 0.1 * j for j in range(len(study.directions))])
        out.append(params)
    return out


# Start-up


def test_the_papers_start_up_has_as_many_sobol_points_as_dimensions() -> None:
    space: dict[str, BaseDistribution] = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(4)}
    study = study_of(ScootSampler(space, method=QUICK_PAPER, seed=0))
    points = _run(study, space, 5)

    assert _phases(study) == ["startup"] * 4 + ["model"]
    assert ScootSampler.paper(seed=0)._method == Method.paper()
    # Of a Sobol sequence every coordinate of the first four points lies in another quarter.
    for name in space:
        assert {int(4 * p[name]) for p in points[:4]} == {0, 1, 2, 3}


@pytest.mark.parametrize("n_startup", [0, 1, 7])
def test_the_number_of_start_up_points_is_followed(n_startup: int) -> None:
    study = study_of(quick(SQUARE, seed=0, n_startup_trials=n_startup))
    _run(study, SQUARE, 8)

    # Without any observation there is no model: the first point is a Sobol point in any case.
    n = max(1, n_startup)
    assert _phases(study) == ["startup"] * n + ["model"] * (8 - n)


def test_a_negative_number_of_start_up_points_is_refused() -> None:
    with pytest.raises(ValueError, match="n_startup_trials must be at least 0, got -1"):
        ScootSampler(n_startup_trials=-1)


@pytest.mark.parametrize("seed", [None, 5])
def test_all_workers_of_a_study_share_one_start_up_design(seed: int | None) -> None:
    storage = optuna.storages.InMemoryStorage()
    alone = study_of(quick(MIXED, seed=seed, n_startup_trials=99), study_name="one")
    expected = _run(alone, MIXED, 6)
    study_of(quick(MIXED, seed=seed, n_startup_trials=99), storage=storage, study_name="one")
    points = []
    for _ in range(3):
        for _ in range(2):
            worker = quick(MIXED, seed=seed, n_startup_trials=99)
            points += _run(
                optuna.load_study(storage=storage, study_name="one", sampler=worker), MIXED, 1
            )

    assert points == expected
    other = study_of(quick(MIXED, seed=seed, n_startup_trials=99), study_name="two")
    assert (_run(other, MIXED, 6) == expected) == (seed is not None)


def test_enqueued_trials_come_first_and_use_up_no_sobol_points() -> None:
    expected = _run(study_of(quick(SQUARE, seed=3)), SQUARE, 4)
    study = study_of(quick(SQUARE, seed=3))
    study.enqueue_trial({"x": 0.5, "y": 0.5})
    study.enqueue_trial({"x": 0.25, "y": 0.5})
    points = _run(study, SQUARE, 6)

    assert points[:2] == [{"x": 0.5, "y": 0.5}, {"x": 0.25, "y": 0.5}]
    assert points[2:] == expected
    assert _phases(study)[:2] == [None, None]


def test_an_enqueued_value_is_kept_beside_suggested_ones() -> None:
    study = study_of(quick(SQUARE, seed=3, n_startup_trials=2))
    _run(study, SQUARE, 4)
    study.enqueue_trial({"x": 0.125})
    trial = study.ask()

    assert suggest_all(trial, SQUARE)["x"] == 0.125
    assert _attributes(study)["scoot:phase"] == "model"


def test_a_first_batch_is_start_up_until_half_of_it_has_finished() -> None:
    study = study_of(quick(SQUARE, seed=0, n_startup_trials=4))
    study.enqueue_trial({"x": 0.5, "y": 0.5})
    first = study.ask(SQUARE)
    study.tell(first, 1.0)
    batch = [study.ask(SQUARE) for _ in range(6)]
    study.tell(batch[0], 2.0)
    study.ask(SQUARE)
    study.tell(batch[1], state=TrialState.FAIL)
    study.ask(SQUARE)

    # One finished of four is not half; two are, one of them a crash.
    assert _phases(study) == [None] + ["startup"] * 7 + ["model"]


def test_failures_that_say_nothing_do_not_count_as_start_up_points() -> None:
    study = study_of(quick(SQUARE, seed=0, n_startup_trials=3))
    for _ in range(4):
        trial = study.ask(SQUARE)
        trial.set_user_attr("failure_is_external", True)
        study.tell(trial, state=TrialState.FAIL)
    _run(study, SQUARE, 4)

    assert _phases(study)[4:] == ["startup"] * 3 + ["model"]


# No point twice


@pytest.mark.parametrize("make", [quick, ScootSampler], ids=["quick", "default"])
def test_every_point_of_a_small_space_is_tried_before_any_is_repeated(
    make: Callable[..., ScootSampler],
) -> None:
    study = study_of(make(GRID, seed=0))
    points = []
    for _ in range(20):
        trial = study.ask()
        params = suggest_all(trial, GRID)
        points.append(tuple(params.values()))
        crashes = params["a"] + params["b"] > 4
        study.tell(trial, None if crashes else 1.0, TrialState.FAIL if crashes else None)

    assert set(points[:16]) == set(itertools.product(range(4), range(4)))
    # All are taken: what ran is repeated, what crashed is not.
    assert all(a + b <= 4 for a, b in points[16:])


def test_running_points_are_not_suggested_again() -> None:
    study = study_of(quick(GRID, seed=0, n_startup_trials=2))
    _run(study, GRID, 3)
    asked = [tuple(suggest_all(study.ask(), GRID).values()) for _ in range(13)]
    finished = [tuple(t.params.values()) for t in study.get_trials()[:3]]

    assert set(asked + finished) == set(itertools.product(range(4), range(4)))


def test_a_space_in_which_all_points_crash_does_not_hang() -> None:
    study = study_of(quick(GRID, seed=0))
    for _ in range(20):
        trial = study.ask(GRID)
        study.tell(trial, state=TrialState.FAIL)
    points = [tuple(t.params.values()) for t in study.get_trials()]

    assert len(set(points[:16])) == 16
    assert len(points) == 20


def test_log_integers_are_all_within_reach() -> None:
    space: dict[str, BaseDistribution] = {"n": IntDistribution(1, 12, log=True)}
    study = study_of(quick(space, seed=0))

    assert {p["n"] for p in _run(study, space, 12)} == set(range(1, 13))


def test_few_valid_points_in_a_large_space_are_all_tried() -> None:
    space: dict[str, BaseDistribution] = {
        "a": IntDistribution(0, 69),
        "b": IntDistribution(0, 69),
    }
    sampler = quick(space, seed=0, known_constraints=["a == b", "a % 7 == 0"])
    points = _run(study_of(sampler), space, 10)

    assert {p["a"] for p in points} == set(range(0, 70, 7))


def test_a_single_point_is_repeated() -> None:
    space: dict[str, BaseDistribution] = {"n": IntDistribution(0, 1)}
    study = study_of(quick(space, seed=0, known_constraints=["n == 1"]))

    assert [p["n"] for p in _run(study, space, 5)] == [1] * 5


# Values of every kind


@pytest.mark.parametrize(
    "values",
    [
        [1.0] * 8,
        [0.0] * 8,
        [math.inf, 1.0, 2.0, math.inf, -math.inf, 0.5, 3.0, 1.5],
        [math.inf] * 8,
        [1e-3, 1e3, 1e-2, 1e2, 1.0, 10.0, 1e-1, 500.0],
        [-1e6, 1e6, 0.0, 1.0, -1.0, 1e3, -1e3, 1e-6],
        [1e300, -1e300, 1e299, 0.0, 1.0, 5e299, -1e200, 1e100],
        [1e-300, 2e-300, 5e-301, 3e-300, 1e-299, 1e-301, 2e-301, 4e-300],
        [1e15, 1e15 + 1, 1e15 + 2, 1e15 + 8, 1e15 + 4, 1e15, 1e15 + 3, 1e15 + 16],
    ],
    ids=[
        "equal",
        "zero",
        "some infinite",
        "all infinite",
        "six orders",
        "both signs",
        "huge",
        "tiny",
        "far",
    ],
)
@pytest.mark.parametrize("directions", [["minimize"], ["maximize", "minimize"]], ids=len)
def test_any_values_lead_to_a_suggestion(values: list[float], directions: list[str]) -> None:
    study = study_of(quick(SQUARE, seed=0), directions)
    rng = np.random.default_rng(0)
    for value in values:
        params = dict(zip(SQUARE, rng.random(2).tolist(), strict=True))
        add(study, params, [value] * len(directions), SQUARE)
    points = []
    for value in values[:2]:
        trial = study.ask(SQUARE)
        points.append(tuple(trial.params.values()))
        assert _attributes(study)["scoot:phase"] == "model"
        study.tell(trial, [value] * len(directions))

    assert len(set(points)) == 2


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "maximize"]], ids=len)
def test_one_observation_is_enough_for_the_model(directions: list[str]) -> None:
    study = study_of(quick(SQUARE, seed=0, n_startup_trials=0), directions)
    add(study, {"x": 0.5, "y": 0.5}, [3.0] * len(directions), SQUARE)
    trial = study.ask(SQUARE)

    assert _attributes(study)["scoot:phase"] == "model"
    assert _attributes(study)["scoot:predicted_mean"] == pytest.approx([3.0] * len(directions))
    assert math.dist(trial.params.values(), (0.5, 0.5)) > 0.1


def test_nan_is_a_crash() -> None:
    study = study_of(quick(SQUARE, seed=0, n_startup_trials=0))
    _run(study, SQUARE, 4)
    study.optimize(lambda t: math.nan if suggest_all(t, SQUARE) else 0.0, n_trials=2)
    study.ask(SQUARE)

    assert [t.state for t in study.get_trials()[4:6]] == [TrialState.FAIL] * 2
    # Δ rose by 0.05 for each of the two.
    assert _attributes(study)["scoot:threshold"] == pytest.approx(0.6)


# What the search finds


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_one_objective_is_optimised_in_its_direction(direction: str) -> None:
    sign = 1.0 if direction == "minimize" else -1.0
    study = study_of(quick(SQUARE, seed=1), [direction])
    study.optimize(
        lambda t: sign * ((t.suggest_float("x", 0, 1) - 0.3) ** 2 + t.suggest_float("y", 0, 1)),
        n_trials=20,
    )

    assert sign * study.best_value < 0.02


def test_mixed_directions_spread_over_the_front() -> None:
    # Between x = 0.2 and x = 0.7 (y = 0) less cost trades off against more gain.
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return (x - 0.2) ** 2 + y, 100.0 - 100.0 * (x - 0.7) ** 2 - 100.0 * y

    study = study_of(quick(SQUARE, seed=1), ["minimize", "maximize"])
    study.optimize(objective, n_trials=25)
    front = sorted(t.params["x"] for t in study.best_trials if t.params["y"] < 0.05)

    assert len(front) >= 6
    assert front[0] < 0.35
    assert front[-1] > 0.55
    assert max(np.diff(front)) < 0.25


def test_three_objectives() -> None:
    study = study_of(quick(SQUARE, seed=1), ["minimize", "maximize", "minimize"])
    study.optimize(
        lambda t: (
            (x := t.suggest_float("x", 0, 1)) + (y := t.suggest_float("y", 0, 1)),
            10.0 * x * (1.0 - y),
            (x - 0.5) ** 2 + y,
        ),
        n_trials=12,
    )

    late = study.get_trials()[6:]
    assert all(len(t.user_attrs["scoot:predicted_mean"]) == 3 for t in late)
    assert np.mean([t.params["y"] for t in late]) < 0.3


def test_the_reference_point_bounds_what_is_searched() -> None:
    # x trades f1 off against f2; below f2 = 100.3 nothing counts but x > 0.7.
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        return 50.0 + x + 0.5 * trial.suggest_float("y", 0, 1), 101.0 - x

    def searched(point: list[float] | None) -> float:
        sampler = quick(SQUARE, seed=2, reference_point=point)
        study = study_of(sampler, ["minimize", "minimize"])
        study.optimize(objective, n_trials=16)
        late = study.get_trials()[8:]
        return float(np.mean([t.params["x"] > 0.68 for t in late]))

    assert searched([52.0, 100.3]) > 0.85
    assert searched(None) < 0.7


def test_a_reference_point_of_the_wrong_length_is_told() -> None:
    study = study_of(quick(SQUARE, reference_point=[1.0]), ["minimize", "minimize"])
    with pytest.raises(ValueError, match="reference_point has 1 values"):
        study.ask(SQUARE)


def test_measured_constraints_draw_the_search_to_where_they_hold() -> None:
    # Without the constraint the optimum is x = 0.9; with it, x = 0.4.
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.set_constraint("x at most 0.4", x - 0.4)
        return (x - 0.9) ** 2 + (y - 0.5) ** 2

    study = study_of(quick(SQUARE, seed=4))
    study.optimize(objective, n_trials=24)
    late = [t.params["x"] for t in study.get_trials()[12:]]

    assert np.mean([x <= 0.4 for x in late]) > 0.6
    assert np.mean([x < 0.6 for x in late]) == 1.0
    assert 0.3 < study.best_trial.params["x"] <= 0.4


def test_measured_constraints_that_nothing_satisfied_yet_are_looked_for() -> None:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.set_constraint("corner", 1.9 - x - y)
        return x

    study = study_of(quick(SQUARE, seed=0))
    study.optimize(objective, n_trials=16)

    satisfied = [t for t in study.get_trials() if all(v <= 0 for v in t.constraints.values())]
    assert satisfied


def test_measured_constraints_and_several_objectives() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.set_constraint("x", 0.5 - x)
        return x + y, 1.0 - x + y

    study = study_of(quick(SQUARE, seed=4), ["minimize", "minimize"])
    study.optimize(objective, n_trials=20)

    assert np.mean([t.params["x"] >= 0.45 for t in study.get_trials()[10:]]) > 0.8


# Crashes


def _crash_border(trial: optuna.Trial) -> float:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    if x > 0.6:
        raise MemoryError
    return x + y


def test_crashes_teach_the_forest_and_external_failures_do_not() -> None:
    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr("failure_is_external", external)
        return _crash_border(trial)

    shares = []
    for external in (False, True):
        study = study_of(quick(SQUARE, seed=0), ["maximize"])
        study.optimize(objective, n_trials=20, catch=(MemoryError,))
        late = study.get_trials()[10:]
        shares.append(np.mean([t.state == TrialState.FAIL for t in late]))
        if external:
            assert {t.user_attrs["scoot:pof"] for t in late} == {1.0}
            assert {t.user_attrs["scoot:threshold"] for t in late} <= {0.5, 0.45}

    assert shares[0] < 0.5 < shares[1]


def test_the_failure_filter_decides_what_is_a_crash() -> None:
    seen: list[int] = []

    def no_crash(trial: optuna.trial.FrozenTrial) -> bool:
        assert trial.state == TrialState.FAIL
        seen.append(trial.number)
        return False

    study = study_of(quick(SQUARE, seed=0, failure_filter=no_crash), ["maximize"])
    study.optimize(_crash_border, n_trials=12, catch=(MemoryError,))
    failed = {t.number for t in study.get_trials()[:-1] if t.state == TrialState.FAIL}

    assert set(seen) == failed
    assert study.get_trials()[-1].user_attrs["scoot:pof"] == 1.0


def test_the_threshold_moves_with_the_history_in_every_worker(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    threshold = FeasibilityThreshold(initial=0.5, step=0.1, window=2)
    optuna.create_study(storage=url, study_name="s", direction="maximize")

    for _ in range(3):
        # Each a worker of its own, started afresh, that has seen nothing of what was before.
        sampler = quick(SQUARE, seed=0, feasibility=threshold)
        study = optuna.load_study(storage=url, study_name="s", sampler=sampler)
        study.optimize(_crash_border, n_trials=5, catch=(MemoryError,))

    trials = study.get_trials()
    outcomes: list[bool] = []
    deltas = []
    for trial in trials:
        if trial.user_attrs["scoot:phase"] != "startup":
            expected = threshold.after(outcomes)
            deltas.append(expected)
            assert trial.user_attrs["scoot:threshold"] == pytest.approx(expected)
        if trial.user_attrs["scoot:phase"] == "model":
            outcomes.append(trial.state == TrialState.COMPLETE)
    assert len(set(deltas)) > 1


def test_a_shortfall_is_filled_up_with_sobol_points() -> None:
    # Nothing reaches a probability of 1 once the forest has seen crashes all over.
    certain = FeasibilityThreshold(initial=1.0, minimum=1.0, maximum=1.0)
    study = study_of(ScootSampler(SQUARE, method=QUICK_PAPER, seed=0, feasibility=certain))
    rng = np.random.default_rng(0)
    for i in range(40):
        params = dict(zip(SQUARE, rng.random(2).tolist(), strict=True))
        add(study, params, None if i % 4 else 1.0, SQUARE)
    points = []
    for _ in range(5):
        trial = study.ask(SQUARE)
        points.append(tuple(trial.params.values()))
        assert _attributes(study)["scoot:phase"] == "fill"
        assert _attributes(study)["scoot:threshold"] == 1.0

    assert len(set(points)) == 5


# What a trial tells


def test_user_attributes_are_plain_and_say_why() -> None:
    study = study_of(quick(MIXED, seed=0), ["maximize", "minimize"])
    _run(study, MIXED, 9)
    startup, model = study.get_trials()[0], study.get_trials()[-1]

    assert startup.user_attrs == {"scoot:phase": "startup"}
    assert set(model.user_attrs) == {
        "scoot:phase",
        "scoot:predicted_mean",
        "scoot:predicted_std",
        "scoot:pof",
        "scoot:threshold",
    }
    assert json.loads(json.dumps(model.user_attrs, allow_nan=False)) == model.user_attrs
    kinds = [type(v) for v in model.user_attrs["scoot:predicted_mean"]]
    assert kinds == [float, float]


def test_predictions_are_in_the_studys_own_sign_and_units() -> None:
    study = study_of(ScootSampler(SQUARE, seed=0), ["maximize", "minimize"])
    study.optimize(
        lambda t: (
            5000.0 + 100.0 * (x := t.suggest_float("x", 0, 1)) - 20.0 * t.suggest_float("y", 0, 1),
            -2.0 + x**2,
        ),
        n_trials=16,
    )

    for trial in study.get_trials()[8:]:
        mean, std = (trial.user_attrs[f"scoot:predicted_{k}"] for k in ("mean", "std"))
        for value, middle, deviation, width in zip(
            trial.values, mean, std, (120.0, 1.0), strict=True
        ):
            assert abs(value - middle) < 4.0 * deviation + 0.02 * width
            assert 0.0 < deviation < 0.6 * width


def test_what_is_published_is_what_is_suggested_even_where_it_is_long() -> None:
    # Optuna's database takes 2045 characters a piece.
    space: dict[str, BaseDistribution] = {
        f"p{i}": CategoricalDistribution(["x" * 900, "y" * 900]) for i in range(5)
    }
    study = study_of(quick(space, seed=0), storage="sqlite:///:memory:")
    trial = study.ask()
    first = trial._suggest("p0", space["p0"])
    from optuna_scoot.trials.sharing import known_params

    published = known_params(study.get_trials()[0])
    assert published == suggest_all(trial, space)
    assert published["p0"] == first


@contextmanager
def _heard(level: int) -> Iterator[list[str]]:
    """Give what Optuna's logger lets through at its verbosity, while the block runs."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger("optuna")
    root.addHandler(handler)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(level)
    try:
        yield said
    finally:
        optuna.logging.set_verbosity(verbosity)
        root.removeHandler(handler)


@pytest.mark.parametrize("warn", [True, False])
@pytest.mark.parametrize("level", [optuna.logging.WARNING, optuna.logging.ERROR])
def test_independent_sampling_after_start_up_is_told(warn: bool, level: int) -> None:
    with _heard(level) as said:
        study = study_of(quick(seed=0, warn_independent_sampling=warn))
        study.ask({"x": SQUARE["x"]})
        assert said == []
        _run(study, {"x": SQUARE["x"]}, 1)
        study.ask(SQUARE)

    # Optuna's verbosity holds for the sampler's warnings too.
    told = [text for text in said if "y is drawn on its own" in text]
    assert len(told) == (warn and level == optuna.logging.WARNING)


def test_a_parameter_of_the_space_that_is_never_asked_for_is_named_once() -> None:
    space: dict[str, BaseDistribution] = {**SQUARE, "unused": IntDistribution(0, 9)}
    study = study_of(quick(space, seed=0))
    with _heard(optuna.logging.WARNING) as said:
        _run(study, SQUARE, 8)

    assert _phases(study)[-1] == "model"
    told = [text for text in said if "unused" in text]
    assert len(told) == 1
    assert "which no trial has asked for" in told[0]


def test_once_all_is_tried_the_likely_best_is_measured_again() -> None:
    space: dict[str, BaseDistribution] = {"a": IntDistribution(0, 2), "b": IntDistribution(0, 2)}
    late = []
    for seed in range(3):
        rng, study = np.random.default_rng(seed), study_of(quick(space, seed=seed))
        for _ in range(30):
            trial = study.ask()
            p = suggest_all(trial, space)
            value = abs(p["a"] - 1) + 0.5 * abs(p["b"] - 2)
            study.tell(trial, value + 0.4 * rng.normal())
        assert len({tuple(t.params.values()) for t in study.trials[:9]}) == 9
        late += [tuple(t.params.values()) for t in study.trials[12:]]

    # Blindly it would be one in nine.
    assert late.count((1, 2)) > 0.6 * len(late)


def test_what_is_measured_again_keeps_to_constraints_and_to_what_is_enqueued() -> None:
    space: dict[str, BaseDistribution] = {"a": IntDistribution(0, 3), "b": IntDistribution(0, 1)}
    study = study_of(quick(space, seed=0, known_constraints=["a >= 1"], n_startup_trials=1))
    # The user's own, and the best by far.
    study.enqueue_trial({"a": 0, "b": 0})
    for i in range(24):
        if i > 12:
            study.enqueue_trial({"a": 2 + i % 2})
        trial = study.ask()
        params = suggest_all(trial, space)
        study.tell(trial, float(params["a"] + params["b"]))

    suggested = [t.params for t in study.trials[1:]]
    assert all(p["a"] >= 1 for p in suggested)
    assert {p["a"] for p in suggested[12:]} == {2, 3}
    # The better of the two values of b, where all six have been tried.
    assert [p["b"] for p in suggested[12:]].count(0) > 8


def test_where_nothing_is_left_but_crashes_a_study_goes_on() -> None:
    space: dict[str, BaseDistribution] = {"a": IntDistribution(0, 1)}
    study = study_of(quick(space, seed=0, known_constraints=["a == 1"], n_startup_trials=1))
    study.enqueue_trial({"a": 0})
    study.tell(study.ask(space), 1.0)
    for _ in range(3):
        trial = study.ask(space)
        assert trial.params == {"a": 1}
        study.tell(trial, state=TrialState.FAIL)


@pytest.mark.parametrize("space", [None, SQUARE], ids=["inferred", "given"])
def test_trials_enqueued_in_part_are_start_up_and_then_the_models(
    space: dict[str, BaseDistribution] | None,
) -> None:
    study = study_of(quick(space, seed=0, n_startup_trials=3))
    for _ in range(8):
        study.enqueue_trial({"x": 0.25})
        trial = study.ask()
        params = suggest_all(trial, SQUARE)
        study.tell(trial, params["y"])

    assert {t.params["x"] for t in study.trials} == {0.25}
    assert len({t.params["y"] for t in study.trials}) == 8
    # Without a space the first is drawn alone, and is no point of the design.
    n_alone = 1 if space is None else 0
    assert _phases(study)[n_alone:] == ["startup"] * 3 + ["model"] * (5 - n_alone)


def test_workers_with_one_seed_that_start_together_draw_different_points() -> None:
    storage = optuna.storages.InMemoryStorage()
    study_of(quick(), storage=storage, study_name="one")
    workers = [
        optuna.load_study(storage=storage, study_name="one", sampler=quick(seed=0))
        for _ in range(4)
    ]
    drawn = {tuple(worker.ask(MIXED).params.values()) for worker in workers}

    assert len(drawn) == 4


# Parallel suggestions


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "maximize"]], ids=len)
def test_several_asks_before_a_tell_give_sensible_different_points(directions: list[str]) -> None:
    study = study_of(quick(SQUARE, seed=0), directions)
    _run(study, SQUARE, 6)
    points = [tuple(study.ask(SQUARE).params.values()) for _ in range(6)]

    distances = [math.dist(p, q) for p, q in itertools.combinations(points, 2)]
    assert min(distances) > 1e-3
    assert max(distances) > 0.05


def test_the_mace_front_is_drawn_from_without_replacement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from optuna_scoot import paper_suggestion
    from optuna_scoot.space.points import row_keys
    from optuna_scoot.space.search_space import SearchSpace

    fronts: list[np.ndarray] = []

    def recorded(*args: Any, **kwargs: Any) -> np.ndarray:
        fronts.append(real(*args, **kwargs))
        return fronts[-1]

    real = paper_suggestion.search_front
    monkeypatch.setattr(paper_suggestion, "search_front", recorded)
    study = study_of(ScootSampler(SQUARE, method=QUICK_PAPER, seed=1))
    _run(study, SQUARE, 6)
    fronts.clear()
    asked = [study.ask(SQUARE).params for _ in range(4)]
    keys = row_keys(SearchSpace(SQUARE).to_unit(asked))

    # Of several, for a model that is sure of itself has a front of a point or two.
    assert len(fronts[0]) > 8
    assert len(set(keys)) == 4
    for front in fronts:
        np.testing.assert_array_equal(front, fronts[0])
    assert set(keys) <= set(row_keys(fronts[0]))


def test_the_papers_ehvi_does_not_suggest_what_is_taken() -> None:
    study = study_of(ScootSampler(SQUARE, method=QUICK_PAPER, seed=0), ["minimize", "minimize"])
    _run(study, SQUARE, 7)

    assert _phases(study)[2:] == ["model"] * 5
    assert len({tuple(t.params.values()) for t in study.get_trials()}) == 7


def test_a_small_mace_front_is_drawn_whole_and_then_made_up_for() -> None:
    study = study_of(ScootSampler(GRID, method=QUICK_PAPER, seed=0))
    _run(study, GRID, 4)
    asked = [study.ask(GRID) for _ in range(12)]
    phases = Counter(t.user_attrs.get("scoot:phase") for t in study.get_trials()[4:])

    assert len({tuple(t.params.values()) for t in asked}) == 12
    assert phases["model"] >= 1
    assert phases["fill"] >= 1
