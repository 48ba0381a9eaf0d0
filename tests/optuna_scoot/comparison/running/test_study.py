from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from optuna_scoot.comparison.peers.modes import CrashHandling
from optuna_scoot.comparison.peers.modes import PeerMode
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Evaluation
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.running.study import RunningStudy


def _evaluate(params: Mapping[str, Any]) -> Evaluation:
    if params["x"] == 2:
        raise Crash("two")
    return Evaluation((float(params["x"]), float(-params["x"])), {"limit": params["x"] - 5.0})


PROBLEM = Problem(
    name="line",
    family=Family.CONSTRAINED,
    space={"x": optuna.distributions.IntDistribution(0, 9)},
    default={"x": 1},
    directions=("minimize", "maximize"),
    evaluate=_evaluate,
    front=((0.0, 0.0),),
    known_constraints=("x != 2",),
)


def _told(handling: CrashHandling) -> list[optuna.trial.FrozenTrial]:
    """Trials as the study has them after evaluating 1, 7 and 2, of which the last crashes."""
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=RandomSampler(seed=0))
    for x in (1, 7, 2):
        study.enqueue_trial({"x": x})
    session = RunningStudy(PROBLEM, PeerMode(handling, known=False), study)
    for _ in range(3):
        session.step(1)
    assert [record.crash for record in session.records] == [None, None, "two"]
    assert [record.feasible for record in session.records] == [True, False, False]
    assert [record.violates_known for record in session.records] == [False, False, True]
    return study.trials


def test_fail() -> None:
    crashed = _told(CrashHandling.FAIL)[2]
    assert crashed.state is TrialState.FAIL
    assert crashed.user_attrs["crash_reason"] == "two"


def test_penalty_is_the_worst_value_seen_of_each_objective() -> None:
    crashed = _told(CrashHandling.PENALTY)[2]
    assert crashed.state is TrialState.COMPLETE
    assert crashed.values == [7.0, -7.0]
    # The measured constraint, unmeasured here, is told as violated, like the worst seen.
    assert crashed.constraints == {"limit": 2.0}


def test_large_is_far_beyond_the_default() -> None:
    assert _told(CrashHandling.LARGE)[2].values == [1.0 + 10.0, -1.0 - 10.0]


def test_constraint() -> None:
    trials = _told(CrashHandling.CONSTRAINT)
    assert [trial.constraints["crash"] for trial in trials] == [-1.0, -1.0, 1.0]
    assert trials[2].values == [7.0, -7.0]


class _Counting(RandomSampler):
    """Notes how many trials were finished whenever one is suggested."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.finished: list[int] = []

    def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        super().before_trial(study, trial)
        self.finished.append(sum(other.state.is_finished() for other in study.trials))


def test_a_batch_is_suggested_before_any_of_it_is_told() -> None:
    sampler = _Counting()
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    session = RunningStudy(PROBLEM, PeerMode(CrashHandling.FAIL, known=False), study)
    for size in (1, 4, 3):
        session.step(size)
    assert sampler.finished == [0, 1, 1, 1, 1, 5, 5, 5]


@pytest.mark.parametrize("text", ["fail", "penalty+known", "large", "constraint+known"])
def test_modes_have_names(text: str) -> None:
    assert str(PeerMode.parse(text)) == text
