"""Known constraints in a study: no suggestion of any phase or way of asking violates one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import PartialFixedSampler
from optuna.trial import TrialState

from optuna_scoot import ConstraintError
from optuna_scoot import FeasibilityThreshold
from optuna_scoot import ScootSampler
from tests.optuna_scoot.studies import ENGINE_RULES
from tests.optuna_scoot.studies import MIXED
from tests.optuna_scoot.studies import QUICK_PAPER
from tests.optuna_scoot.studies import add
from tests.optuna_scoot.studies import quick
from tests.optuna_scoot.studies import study_of
from tests.optuna_scoot.studies import suggest_all


PAIR: dict[str, BaseDistribution] = {"a": IntDistribution(0, 99), "b": IntDistribution(0, 99)}


def _budget(params: Mapping[str, Any]) -> float:
    """Keep at most 8 GB: satisfied where ≤ 0."""
    return float(params["seqs"]) * float(params["block"]) / 1e4 - 8.0 * float(params["share"])


RULES = (*ENGINE_RULES, _budget)


def _holds(p: Mapping[str, Any]) -> bool:
    """Tell in plain Python what ``RULES`` say."""
    return (
        p["seqs"] <= p["tokens"]
        and (p["chunked"] or p["tokens"] >= 4096)
        and not (p["chunked"] and p["block"] == 8)
        and p["seqs"] * p["block"] / 1e4 <= 8.0 * p["share"]
    )


def _history(study: optuna.Study, n: int, *, crashes: bool, every: int = 3) -> None:
    """Add valid trials whose best lies against the border of what is allowed."""
    rng = np.random.default_rng(0)
    valid = 0
    sampler = optuna.samplers.RandomSampler(seed=0)
    source = optuna.create_study(sampler=sampler)
    while valid < n:
        params = suggest_all(source.ask(), MIXED)
        if not _holds(params):
            continue
        valid += 1
        bad = crashes and valid % every == 0
        value = params["tokens"] - 3.0 * params["seqs"] + rng.normal()
        add(study, params, None if bad else [value] * len(study.directions), MIXED)


@pytest.mark.parametrize("share_of_paper", [False, True], ids=["balanced", "paper"])
def test_no_start_up_point_violates_one(share_of_paper: bool) -> None:
    arguments = {"known_constraints": RULES, "seed": 0, "n_startup_trials": 999}
    sampler = (
        ScootSampler(MIXED, method=QUICK_PAPER, **arguments)
        if share_of_paper
        else quick(MIXED, **arguments)
    )
    study = study_of(sampler)
    suggested = [study.ask(MIXED).params for _ in range(100)]

    assert {t.user_attrs["scoot:phase"] for t in study.get_trials()} == {"startup"}
    assert [p for p in suggested if not _holds(p)] == []


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "maximize"]], ids=len)
def test_no_suggestion_of_the_model_violates_one(directions: list[str]) -> None:
    study = study_of(quick(MIXED, known_constraints=RULES, seed=0), directions)
    _history(study, 12, crashes=True)
    suggested = [study.ask(MIXED).params for _ in range(25)]

    assert {t.user_attrs["scoot:phase"] for t in study.get_trials()[12:]} == {"model"}
    assert [p for p in suggested if not _holds(p)] == []


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "maximize"]], ids=len)
def test_no_suggestion_of_the_papers_search_violates_one(directions: list[str]) -> None:
    sampler = ScootSampler(MIXED, method=QUICK_PAPER, known_constraints=RULES, seed=0)
    study = study_of(sampler, directions)
    _history(study, 10, crashes=True)
    suggested = [study.ask(MIXED).params for _ in range(8)]

    assert [p for p in suggested if not _holds(p)] == []


def test_no_point_that_fills_up_violates_one() -> None:
    certain = FeasibilityThreshold(initial=1.0, minimum=1.0, maximum=1.0)
    study = study_of(quick(MIXED, known_constraints=RULES, seed=0, feasibility=certain))
    # With nearly everything crashing no point has a probability of 1.
    _history(study, 2, crashes=False)
    _history(study, 30, crashes=True, every=1)
    suggested = [study.ask(MIXED).params for _ in range(20)]

    phases = [t.user_attrs["scoot:phase"] for t in study.get_trials()[32:]]
    assert phases.count("fill") > 10
    assert [p for p in suggested if not _holds(p)] == []


def test_no_parameter_drawn_alone_violates_one() -> None:
    # The first trial of a define-by-run study: nothing is known of the space.
    suggested, dead_ends = [], 0
    for seed in range(200):
        try:
            trial = study_of(quick(known_constraints=RULES, seed=seed)).ask()
            suggested.append(suggest_all(trial, MIXED))
        except ConstraintError:
            # A small block and few tokens leave "chunked" neither of its values, many sequences
            # of large blocks leave no share that holds them.
            p = trial.params
            chunked = p["block"] == 8 and p["tokens"] < 4096
            assert chunked or p["seqs"] * p["block"] / 1e4 > 8.0 * 0.95
            dead_ends += 1

    assert [p for p in suggested if not _holds(p)] == []
    assert 20 < dead_ends < 80


def test_values_drawn_alone_keep_their_spread() -> None:
    # b is redrawn among all that is allowed beside a, not moved to the border.
    draws = []
    for seed in range(60):
        trial = study_of(quick(known_constraints=["a <= b"], seed=seed)).ask()
        draws.append((trial.suggest_int("a", 0, 99), trial.suggest_int("b", 0, 99)))

    assert all(a <= b for a, b in draws)
    assert sum(b > a + 3 for a, b in draws) > 30


def test_what_leaves_a_later_parameter_no_value_is_told() -> None:
    for seed in range(20):
        trial = study_of(quick(known_constraints=["a <= b"], seed=seed)).ask()
        if trial.suggest_int("a", 0, 9) > 5:
            with pytest.raises(
                ConstraintError, match=r"no value of b .* with a=\d. Pass search_"
            ):
                trial.suggest_int("b", 0, 5)
            return
    raise AssertionError("no seed drew a large value")


@pytest.mark.parametrize("n_before", [0, 1, 6])
def test_what_the_user_enqueued_is_reckoned_with(n_before: int) -> None:
    # The enqueued parameter comes last: what is drawn before it must fit it all the same.
    for space in (None, PAIR):
        study = study_of(quick(space, known_constraints=["a <= b"], seed=0, n_startup_trials=2))
        for i in range(n_before):
            add(study, {"a": 10 * i, "b": 99 - i}, float(i), PAIR)
        for b in (0, 3, 50):
            study.enqueue_trial({"b": b})
            params = suggest_all(study.ask(), PAIR)
            assert params["b"] == b
            assert params["a"] <= b


@pytest.mark.parametrize("n_before", [0, 6])
def test_what_a_partial_fixed_sampler_fixes_is_reckoned_with(n_before: int) -> None:
    for space in (None, PAIR):
        base = quick(space, known_constraints=["a <= b"], seed=0, n_startup_trials=2)
        study = study_of(PartialFixedSampler({"b": 3}, base))
        for i in range(n_before):
            add(study, {"a": 10 * i, "b": 99 - i}, float(i), PAIR)
        for _ in range(4):
            params = suggest_all(study.ask(), PAIR)
            assert params["b"] == 3
            assert params["a"] <= 3


def test_parameters_of_a_single_value_are_reckoned_with() -> None:
    space: dict[str, BaseDistribution] = {**PAIR, "limit": IntDistribution(7, 7)}
    study = study_of(quick(space, known_constraints=["a + b <= limit"], seed=0))
    for _ in range(8):
        trial = study.ask()
        params = suggest_all(trial, space)
        assert params["a"] + params["b"] <= 7
        study.tell(trial, float(params["a"]))


def test_a_parameter_that_is_asked_for_later_fits_the_suggested_ones() -> None:
    space: dict[str, BaseDistribution] = {**PAIR, "flag": CategoricalDistribution([True, False])}
    study = study_of(quick(known_constraints=["a <= b"], seed=0, n_startup_trials=1))
    for i in range(4):
        # Another level of the flag may ask for a, so that its name is no mistake yet.
        add(study, {"b": 10 * i, "flag": False}, float(-i), space)
    for _ in range(6):
        trial = study.ask()
        # a is drawn alone at first, before b, which the model has chosen already.
        params = {name: trial._suggest(name, PAIR[name]) for name in ("a", "b")}
        assert params["a"] <= params["b"]
        study.tell(trial, 0.0)


def test_names_that_no_parameter_has_are_refused_once_the_first_trial_is_stored() -> None:
    study = study_of(quick(known_constraints=["worker <= batch"], seed=0))
    with pytest.raises(ConstraintError, match=r"'worker'.*did you mean 'workers'\?"):
        study.optimize(
            lambda t: t.suggest_int("workers", 0, 99) - t.suggest_int("batch", 0, 99), 3
        )

    assert [t.state for t in study.trials] == [TrialState.COMPLETE]
    # A worker that joins is told as well, before it measures anything.
    with pytest.raises(ConstraintError, match="'worker'"):
        study.ask({"workers": IntDistribution(0, 99), "batch": IntDistribution(0, 99)})


def test_names_with_dashes_hold_from_the_first_trial_on() -> None:
    space: dict[str, BaseDistribution] = {
        "max-seqs": IntDistribution(0, 99),
        "opt/tokens": IntDistribution(0, 99),
    }
    study = study_of(quick(known_constraints=["max-seqs <= opt/tokens"], seed=1))
    for _ in range(12):
        trial = study.ask()
        params = suggest_all(trial, space)
        assert params["max-seqs"] <= params["opt/tokens"]
        study.tell(trial, float(params["opt/tokens"] - params["max-seqs"]))


@pytest.mark.parametrize("space", [None, PAIR], ids=["inferred", "given"])
@pytest.mark.parametrize("n_before", [0, 6])
@pytest.mark.parametrize("enqueued", [{"a": 8}, {"b": 50, "a": 8}], ids=str)
def test_an_enqueued_value_that_breaks_a_constraint_ends_its_trial_alone(
    space: dict[str, BaseDistribution] | None, n_before: int, enqueued: dict[str, int]
) -> None:
    def objective(trial: optuna.Trial) -> float:
        return float(sum(suggest_all(trial, {**PAIR, "c": IntDistribution(0, 9)}).values()))

    if space is not None:
        space = {**space, "c": IntDistribution(0, 9)}
    study = study_of(quick(space, known_constraints=["a >= 16"], seed=0))
    study.optimize(objective, n_trials=n_before)
    study.enqueue_trial(enqueued)
    study.optimize(objective, n_trials=3)

    broken = study.trials[n_before]
    assert broken.state == TrialState.PRUNED
    assert broken.user_attrs["failure_is_external"] is True
    others = [t for t in study.trials if t.number != n_before]
    assert {t.state for t in others} == {TrialState.COMPLETE}
    # It is no crash: Δ has not moved.
    assert all(t.user_attrs.get("scoot:threshold", 0.5) <= 0.5 for t in others)


def test_an_enqueued_value_that_breaks_a_constraint_is_named() -> None:
    study = study_of(quick(PAIR, known_constraints=["a >= 16"], seed=0))
    study.enqueue_trial({"a": 8})
    with pytest.raises(ConstraintError, match=r"what was enqueued violates a >= 16 \(a=8\)"):
        study.ask(PAIR)


def test_an_enqueued_level_brings_its_known_constraint_along() -> None:
    space: dict[str, BaseDistribution] = {
        **PAIR,
        "mode": CategoricalDistribution(["small", "large", "huge"]),
    }
    rule = "mode != 'small' or a <= 3"
    study = study_of(quick(space, known_constraints=[rule], seed=0))
    for i in range(12):
        study.enqueue_trial({"mode": "small"})
        params = suggest_all(study.ask(), space)
        assert params["mode"] == "small"
        assert params["a"] <= 3
        study.tell(i, float(params["b"]))
    assert len({(t.params["a"], t.params["b"]) for t in study.trials}) == 12


@pytest.mark.parametrize("n_before", [0, 5])
def test_what_nothing_satisfies_is_told(n_before: int) -> None:
    study = study_of(quick(PAIR, known_constraints=["a + b > 999", "a >= 0"], seed=0))
    for i in range(n_before):
        add(study, {"a": i, "b": i}, float(i), PAIR)

    text = r"No configuration of the search space satisfies the known constraints \(a \+ b > 999; "
    with pytest.raises(ConstraintError, match=text):
        study.ask(PAIR)


@pytest.mark.parametrize("constraint", ["a <= c", "a <", "a - b", "__import__('os')", 3, "a in b"])
def test_a_bad_constraint_is_refused_at_once(constraint: Any) -> None:
    with pytest.raises(ConstraintError, match="known constraint"):
        ScootSampler(PAIR, known_constraints=[constraint])
    assert issubclass(ConstraintError, ValueError)
