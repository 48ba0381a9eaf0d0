"""The paper's method run whole, against what the paper says of each of its suggestions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import TrialState
from scipy.stats import qmc

from optuna_scoot import FeasibilityThreshold
from optuna_scoot import KnownConstraints
from optuna_scoot import Method
from optuna_scoot import ScootSampler
from optuna_scoot.acquisition.paper import log_ehvi
from optuna_scoot.acquisition.paper import mace_functions
from optuna_scoot.constraints.domain import Domain
from optuna_scoot.model import Model
from optuna_scoot.model import learn
from optuna_scoot.search.nsga2 import Nsga2
from optuna_scoot.search.nsga2 import search_best
from optuna_scoot.search.nsga2 import search_front
from optuna_scoot.seeds import seed_of
from optuna_scoot.space.points import row_keys
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.suggestion import _starts
from optuna_scoot.trials.history import History
from optuna_scoot.trials.reading import observe
from tests.optuna_scoot.studies import study_of
from tests.optuna_scoot.studies import suggest_all


SERVER: dict[str, BaseDistribution] = {
    "tokens": IntDistribution(64, 8192, log=True),
    "seqs": IntDistribution(1, 1024, log=True),
    "chunked": CategoricalDistribution([False, True]),
}
RULES = ("seqs <= tokens", "chunked or tokens >= 1024")
DEFAULT = {"tokens": 2048, "seqs": 64, "chunked": False}
SQUARE: dict[str, BaseDistribution] = {name: FloatDistribution(0.0, 1.0) for name in "ab"}

EFFORT = Nsga2(population=40, generations=20)
PAPER = replace(Method.paper(), nsga2=EFFORT)
"""What ``ScootSampler.paper()`` does, on a shorter search."""


def _serve(params: dict[str, float]) -> list[float] | None:
    """Give two latencies; None is a crash."""
    tokens, seqs = params["tokens"], params["seqs"]
    if tokens * seqs > 400_000:
        return None
    return [2e5 / (tokens * seqs) + 0.1 * params["chunked"], tokens / 4096 + seqs / 256]


def _study_in_batches(n_objectives: int, n_batches: int) -> optuna.Study:
    """Run the paper's sampler: the default, as many trials as parameters, then three at a time."""
    study = study_of(
        ScootSampler(SERVER, known_constraints=RULES, seed=3, method=PAPER),
        ["minimize"] * n_objectives,
    )
    study.enqueue_trial(DEFAULT, user_attrs={"default_configuration": True})
    for size in [1] * (1 + len(SERVER)) + [3] * n_batches:
        batch = [study.ask() for _ in range(size)]
        values = [_serve(suggest_all(trial, SERVER)) for trial in batch]
        for trial, reached in zip(batch, values, strict=True):
            if reached is None:
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, reached[:n_objectives])
    return study


def _learnt(study: optuna.Study, n_finished: int) -> tuple[Model, int]:
    """Give what the first trials teach, and the seed of what is searched next."""
    observations = observe(
        History.of(study.get_trials()[:n_finished]), SearchSpace(SERVER), study.directions
    )
    seed = seed_of(3, "model", n_finished)
    domain = Domain(SearchSpace(SERVER), KnownConstraints(RULES))
    return learn(observations, domain, PAPER, FeasibilityThreshold(), seed), seed


def _margin(model: Model) -> Callable[[np.ndarray], np.ndarray]:
    return lambda points: model.pof(points) - model.threshold


def _keys(study: optuna.Study, first: int, last: int) -> list[bytes]:
    params = [trial.params for trial in study.get_trials()[first:last]]
    return row_keys(SearchSpace(SERVER).to_unit(params))


def _threshold(ran: list[bool]) -> float:
    """Work through algorithm 1 by hand."""
    threshold, streak = 0.5, 0
    for one in ran:
        streak = streak + 1 if one else 0
        if not one:
            threshold = min(0.75, max(0.5, threshold + 0.05))
        elif streak == 5:
            threshold, streak = max(0.25, threshold - 0.05), 0
    return threshold


def _assert_rules_and_threshold(study: optuna.Study, n_first: int) -> None:
    """Check known constraints, and Δ of every suggestion of the model."""
    trials = study.get_trials()
    for trial in trials:
        assert trial.params["seqs"] <= trial.params["tokens"]
        assert trial.params["chunked"] or trial.params["tokens"] >= 1024
    ran = [t.state == TrialState.COMPLETE for t in trials]
    for number in range(n_first, len(trials)):
        batch = n_first + (number - n_first) // 3 * 3
        expected = _threshold(ran[n_first:batch])
        assert trials[number].user_attrs["scoot:threshold"] == pytest.approx(expected)
        assert trials[number].user_attrs["scoot:pof"] >= expected


def test_a_batch_for_two_objectives_is_the_top_of_one_search_under_ehvi() -> None:
    study = _study_in_batches(2, n_batches=2)
    trials = study.get_trials()
    assert [t.user_attrs["scoot:phase"] for t in trials[1:]] == ["startup"] * 3 + ["model"] * 6
    assert TrialState.FAIL in {t.state for t in trials}
    _assert_rules_and_threshold(study, 4)

    for n_finished in (4, 7):
        model, seed = _learnt(study, n_finished)
        found = search_best(
            log_ehvi(model), model.domain, _margin(model), _starts(model), EFFORT, seed
        )
        tried = set(_keys(study, 0, n_finished))
        new = [key for key in row_keys(found) if key not in tried]
        assert _keys(study, n_finished, n_finished + 3) == new[:3]
        # The reference point is what the default reached.
        assert model.observations.reference_point is not None
        assert model.observations.reference_point.tolist() == trials[0].values


def test_a_batch_for_one_objective_is_drawn_from_one_mace_front() -> None:
    study = _study_in_batches(1, n_batches=2)
    _assert_rules_and_threshold(study, 4)

    for n_finished in (4, 7):
        model, seed = _learnt(study, n_finished)
        front = search_front(
            mace_functions(model), model.domain, _margin(model), _starts(model), EFFORT, seed
        )
        batch = _keys(study, n_finished, n_finished + 3)
        assert len(set(batch)) == 3
        assert set(batch) <= set(row_keys(front)) - set(_keys(study, 0, n_finished))


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_a_shortfall_is_made_up_by_the_start_ups_sobol_sequence_going_on(
    n_objectives: int,
) -> None:
    # No tree may doubt a point, and all but a corner crashes: the solver finds nothing.
    certain = FeasibilityThreshold(initial=1.0, maximum=1.0)
    sampler = ScootSampler(
        SQUARE, known_constraints=["a + b <= 1.2"], seed=0, feasibility=certain, method=PAPER
    )
    study = study_of(sampler, ["minimize"] * n_objectives)
    points, phases = [], []
    for number in range(7):
        trial = study.ask()
        params = suggest_all(trial, SQUARE)
        points.append([params["a"], params["b"]])
        phases.append(study.get_trials()[-1].user_attrs["scoot:phase"])
        if number == 0:
            study.tell(trial, [1.0] * n_objectives)
        elif number != 4:  # one runs on while the next is asked for
            study.tell(trial, state=TrialState.FAIL)
    rng = np.random.default_rng(seed_of(0, "design", ""))
    sequence = qmc.Sobol(2, rng=rng).random_base2(5)
    valid = sequence[sequence.sum(axis=1) <= 1.2]

    assert phases == ["startup"] * 2 + ["fill"] * 5
    np.testing.assert_allclose(points, valid[:7], atol=1e-9)
    assert not np.array_equal(valid[:7], sequence[:7])
