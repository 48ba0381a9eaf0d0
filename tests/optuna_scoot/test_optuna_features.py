"""The ways in which Optuna's users run a sampler: threads, copies, pickles, changing spaces."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import PartialFixedSampler
from optuna.trial import TrialState

from optuna_scoot import ScootSampler
from optuna_scoot.trials.sharing import share
from tests.optuna_scoot.studies import MIXED
from tests.optuna_scoot.studies import add
from tests.optuna_scoot.studies import quick
from tests.optuna_scoot.studies import study_of
from tests.optuna_scoot.studies import suggest_all


GRID: dict[str, BaseDistribution] = {"a": IntDistribution(0, 9), "b": IntDistribution(0, 9)}


def _objective(trial: optuna.Trial) -> float:
    params = suggest_all(trial, MIXED)
    if params["tokens"] > 5000:
        raise MemoryError
    return float(params["tokens"]) + float(params["share"])


def _suggestions(sampler: ScootSampler, n: int = 7) -> list[dict[str, Any]]:
    study = study_of(sampler)
    study.optimize(_objective, n_trials=n, catch=(MemoryError,))
    return [t.params for t in study.get_trials()]


def _known(params: Any) -> float:
    return float(params["seqs"] - params["tokens"])


def test_a_copy_and_a_pickle_suggest_the_same() -> None:
    sampler = quick(MIXED, seed=1, known_constraints=["chunked or tokens >= 4096", _known])
    expected = _suggestions(sampler)

    for twin in (copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))):
        assert _suggestions(twin) == expected


def test_a_sampler_keeps_nothing_from_one_study_to_the_next() -> None:
    sampler = quick(MIXED, seed=1)
    first = _suggestions(sampler)

    assert _suggestions(sampler) == first


def test_reseeding_changes_the_model_phase_and_not_the_start_up_design() -> None:
    plain, reseeded = (quick(MIXED, seed=1, n_startup_trials=4) for _ in range(2))
    reseeded.reseed_rng()
    expected, points = _suggestions(plain, 9), _suggestions(reseeded, 9)

    assert points[:4] == expected[:4]
    assert points != expected


def test_threads_share_a_sampler() -> None:
    study = study_of(quick(GRID, seed=0), ["maximize"])

    def objective(trial: optuna.Trial) -> float:
        a, b = suggest_all(trial, GRID).values()
        if a + b > 10:
            raise MemoryError
        return float(a + b)

    study.optimize(objective, n_trials=24, n_jobs=2, catch=(MemoryError,))
    trials = study.get_trials()
    points = [tuple(t.params.values()) for t in trials]

    assert len(trials) == 24
    assert len(set(points)) == 24
    assert all(t.state in (TrialState.COMPLETE, TrialState.FAIL) for t in trials)
    assert study.best_value >= 8


def test_ask_and_tell_is_optimize() -> None:
    asked = study_of(quick(MIXED, seed=2))
    for _ in range(7):
        trial = asked.ask(MIXED)
        value = float(trial.params["tokens"]) + float(trial.params["share"])
        crashed = trial.params["tokens"] > 5000
        asked.tell(trial, None if crashed else value, TrialState.FAIL if crashed else None)

    assert [t.params for t in asked.get_trials()] == _suggestions(quick(MIXED, seed=2))


def test_a_partial_fixed_sampler_leaves_the_rest_to_the_model() -> None:
    study = study_of(PartialFixedSampler({"chunked": False, "block": 16}, quick(MIXED, seed=0)))
    study.optimize(_objective, n_trials=8, catch=(MemoryError,))
    trials = study.get_trials()

    assert all((t.params["chunked"], t.params["block"]) == (False, 16) for t in trials)
    assert trials[-1].user_attrs["scoot:phase"] == "model"
    assert len({t.params["tokens"] for t in trials}) > 4


def test_without_a_search_space_the_trials_tell_it() -> None:
    study = study_of(quick(seed=0, n_startup_trials=3))
    study.optimize(_objective, n_trials=8, catch=(MemoryError,))
    phases = [t.user_attrs.get("scoot:phase") for t in study.get_trials()]

    # The first trial's parameters are drawn one by one.
    assert phases[:3] == [None, "startup", "startup"]
    assert phases[3:] == ["model"] * 5


def test_a_study_that_begins_with_crashes_gets_a_design_all_the_same() -> None:
    study = study_of(quick(seed=0))
    for _ in range(5):
        trial = study.ask()
        suggest_all(trial, GRID)
        study.tell(trial, state=TrialState.FAIL)

    phases = [t.user_attrs.get("scoot:phase") for t in study.get_trials()]
    assert phases == [None] + ["startup"] * 4


def test_conditional_parameters() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -1.0, 1.0)
        if trial.suggest_categorical("deep", [True, False]):
            return x**2 + trial.suggest_int("layers", 1, 4)
        return x**2 + trial.suggest_float("width", 0.5, 2.0, log=True)

    study = study_of(quick(seed=0, warn_independent_sampling=False))
    study.optimize(objective, n_trials=16)

    # The common parameters are modelled, those of one branch alone drawn at random: how good the
    # best value is depends on these draws, not so that the deeper branch is left alone.
    modelled = [t for t in study.get_trials() if t.user_attrs.get("scoot:phase") == "model"]
    assert len(modelled) >= 10
    assert sum(t.params["deep"] for t in modelled) <= len(modelled) / 3
    assert not study.best_params["deep"]


def test_ranges_that_change_from_trial_to_trial() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        y = trial.suggest_int("y", 0, 5 + trial.number)
        assert 0 <= y <= 5 + trial.number
        return x + y

    study = study_of(quick(seed=0, warn_independent_sampling=False))
    study.optimize(objective, n_trials=9)

    assert study.get_trials()[-1].user_attrs["scoot:phase"] == "model"


def test_a_space_that_gains_a_parameter() -> None:
    def objective(trial: optuna.Trial) -> float:
        value = trial.suggest_float("x", 0.0, 1.0)
        return value + trial.suggest_float("late", 0.0, 1.0) if trial.number > 4 else value

    space: dict[str, BaseDistribution] = {
        "x": FloatDistribution(0.0, 1.0),
        "late": FloatDistribution(0.0, 1.0),
    }
    study = study_of(quick(space, seed=0))
    study.optimize(objective, n_trials=10)

    # Trials that lack one of the parameters teach nothing about the space as it is now.
    assert study.get_trials()[-1].params.keys() == {"x", "late"}
    assert study.get_trials()[-1].user_attrs["scoot:phase"] == "model"


def test_a_constant_parameter_is_left_alone() -> None:
    space: dict[str, BaseDistribution] = {**GRID, "one": IntDistribution(3, 3)}
    study = study_of(quick(space, seed=0, n_startup_trials=2))
    for _ in range(4):
        trial = study.ask()
        assert suggest_all(trial, space)["one"] == 3
        study.tell(trial, 1.0)


def test_trials_of_other_samplers_are_learnt_from() -> None:
    study = study_of(optuna.samplers.RandomSampler(seed=0), ["minimize"])
    study.optimize(_objective, n_trials=8, catch=(MemoryError,))
    study.sampler = quick(seed=0)
    study.optimize(_objective, n_trials=1, catch=(MemoryError,))
    attributes = study.get_trials()[-1].user_attrs

    assert attributes["scoot:phase"] == "model"
    assert 0.0 < attributes["scoot:pof"] <= 1.0


@pytest.mark.parametrize("url", ["sqlite", "journal"])
def test_storages(url: str, tmp_path: Any) -> None:
    storage: Any = f"sqlite:///{tmp_path}/s.db"
    if url == "journal":
        backend = optuna.storages.journal.JournalFileBackend(f"{tmp_path}/s.log")
        storage = optuna.storages.JournalStorage(backend)
    study = study_of(quick(MIXED, seed=1), storage=storage)
    study.optimize(_objective, n_trials=7, catch=(MemoryError,))

    assert [t.params for t in study.get_trials()] == _suggestions(quick(MIXED, seed=1))


@pytest.mark.parametrize(("reports", "ran"), [({0: 3.0}, True), ({}, False)])
def test_a_pruned_trial_ran_if_it_reported_anything(reports: dict[int, float], ran: bool) -> None:
    study = study_of(quick(GRID, seed=0, n_startup_trials=0))
    add(study, {"a": 1, "b": 1}, 1.0, GRID)
    kwargs: Any = {"state": TrialState.PRUNED, "intermediate_values": reports}
    add(study, {"a": 8, "b": 8}, None, GRID, **kwargs)
    trial = study.ask(GRID)
    attributes = study.get_trials()[trial.number].user_attrs

    assert (attributes["scoot:pof"] == 1.0) == ran
    assert (trial.params["a"], trial.params["b"]) not in {(1, 1), (8, 8)}


@pytest.mark.parametrize("older_first", [True, False])
@pytest.mark.parametrize("ended", [True, False])
def test_of_two_workers_that_choose_the_same_point_the_one_that_shares_last_gives_way(
    older_first: bool, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(quick(GRID, seed=0, n_startup_trials=0))
    for a in range(4):
        add(study, {"a": a, "b": a}, float(a), GRID)
    asking, other = study.ask(), study.ask()
    if not older_first:
        asking, other = other, asking
    sampler: Any = study.sampler
    real, chosen = sampler._suggest, []

    def interleaved(*args: Any) -> Any:
        """While this worker thinks, the other one takes the very point that it will choose."""
        space, suggestion = real(*args)
        chosen.append(space.to_params(suggestion.point))
        if len(chosen) == 1:
            share(study, other, chosen[0])
            if ended:
                for name, d in GRID.items():
                    value = d.to_internal_repr(chosen[0][name])
                    study._storage.set_trial_param(other._trial_id, name, value, d)
                study.tell(other, 1.0)
        return space, suggestion

    monkeypatch.setattr(sampler, "_suggest", interleaved)
    params = suggest_all(asking, GRID)

    assert len(chosen) == 2
    assert params == chosen[1] != chosen[0]


def test_choices_that_json_cannot_hold() -> None:
    space: dict[str, BaseDistribution] = {
        "shape": CategoricalDistribution([(1, 2), (3, 4), (5, 6)]),
        "x": FloatDistribution(0.0, 1.0),
    }
    study = study_of(quick(space, seed=0, n_startup_trials=2, known_constraints=["x > 0.5"]))
    for _ in range(6):
        trial = study.ask()
        params = suggest_all(trial, space)
        assert params["x"] > 0.5
        study.tell(trial, float(params["shape"][0]))

    assert study.get_trials()[-1].user_attrs["scoot:phase"] == "model"
