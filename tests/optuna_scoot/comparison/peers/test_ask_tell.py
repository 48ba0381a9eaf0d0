from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import IntDistribution

from optuna_scoot.comparison.peers.ask_tell import AskTellSampler
from optuna_scoot.comparison.peers.ask_tell import Optimizer
from optuna_scoot.comparison.peers.ask_tell import Outcome
from optuna_scoot.comparison.peers.ask_tell import Params
from optuna_scoot.comparison.peers.rejection import RejectingSampler


SPACE: dict[str, BaseDistribution] = {"n": IntDistribution(0, 99), "one": IntDistribution(5, 5)}


class _Counting(Optimizer):
    """Suggests 1, 2, 3, ... and keeps all that it hears."""

    def __init__(
        self, space: Mapping[str, BaseDistribution], n_objectives: int, constraints: Sequence[str]
    ) -> None:
        self.setup = (list(space), n_objectives, list(constraints))
        self.heard: list[tuple[str, int, Outcome | None]] = []
        self._n = 0

    def ask(self) -> dict[str, Any]:
        self._n += 1
        return {"n": self._n}

    def tell(self, params: Params, outcome: Outcome) -> None:
        self.heard.append(("tell", params["n"], outcome))

    def withdraw(self, params: Params) -> None:
        self.heard.append(("withdraw", params["n"], None))


def _sampler() -> tuple[AskTellSampler, list[_Counting]]:
    started: list[_Counting] = []

    def start(*arguments: Any) -> Optimizer:
        started.append(_Counting(*arguments))
        return started[-1]

    return AskTellSampler(start, SPACE, seed=0), started


def test_what_ran_is_told_minimised_with_its_constraints_and_failures_as_such() -> None:
    sampler, started = _sampler()
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    study.enqueue_trial({"n": 50, "one": 5})
    first = study.ask(SPACE)
    first.set_constraint("limit", -2.0)
    study.tell(first, [3.0, 4.0])
    study.tell(study.ask(SPACE), state=optuna.trial.TrialState.FAIL)
    study.ask(SPACE)
    (optimizer,) = started
    assert optimizer.setup == (["n"], 2, ["limit"])
    assert optimizer.heard == [
        ("tell", 50, Outcome([3.0, -4.0], {"limit": -2.0})),
        ("tell", 1, Outcome(None, {})),
    ]


def test_trials_under_way_are_told_once_they_end_and_only_then() -> None:
    sampler, started = _sampler()
    study = optuna.create_study(sampler=sampler)
    trials = [study.ask(SPACE) for _ in range(3)]
    assert [trial.params["n"] for trial in trials] == [1, 2, 3]
    study.tell(trials[2], 0.5)
    study.ask(SPACE)
    study.tell(trials[0], 0.25)
    study.ask(SPACE)
    assert [n for _, n, _ in started[0].heard] == [3, 1]


def test_rejected_suggestions_are_withdrawn() -> None:
    inner, started = _sampler()
    sampler = RejectingSampler(inner, SPACE, ["n >= 3"], n_draws=5, seed=0)
    study = optuna.create_study(sampler=sampler)
    assert study.ask(SPACE).params["n"] == 3
    assert started[0].heard == [("withdraw", 1, None), ("withdraw", 2, None)]


def test_a_suggestion_in_whose_place_another_was_evaluated_is_withdrawn() -> None:
    inner, started = _sampler()
    sampler = RejectingSampler(inner, SPACE, ["n >= 60"], n_draws=2, seed=0)
    study = optuna.create_study(sampler=sampler)
    trial = study.ask(SPACE)
    study.tell(trial, 1.0)
    study.ask(SPACE)
    heard = [(what, n) for what, n, _ in started[0].heard]
    assert heard[:3] == [("withdraw", 1), ("withdraw", 2), ("tell", trial.params["n"])]
