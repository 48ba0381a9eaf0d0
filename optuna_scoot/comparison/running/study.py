"""One study of a comparison: suggestions, evaluations, and what the sampler is told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import optuna
from optuna.trial import TrialState

from optuna_scoot.comparison.peers.modes import CrashHandling
from optuna_scoot.comparison.peers.modes import PeerMode
from optuna_scoot.comparison.problems.problem import Crash
from optuna_scoot.comparison.problems.problem import Evaluation
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.running.runs import TrialRecord
from optuna_scoot.constraints.known import KnownConstraints


LARGE_FACTOR = 10.0
"""``CrashHandling.LARGE``: this many times the default's magnitude is added to the default."""

CRASH_CONSTRAINT = "crash"
"""Name of the constraint by which ``CrashHandling.CONSTRAINT`` tells of a crash."""


@dataclass
class RunningStudy:
    """A study under way, told of crashes in one way.

    Attributes:
        problem: What is evaluated.
        mode: How crashes are told.
        study: The study, with its sampler.
        records: The trials so far.
        evaluations: Those that ran.
    """

    problem: Problem
    mode: PeerMode
    study: optuna.Study
    records: list[TrialRecord] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._known = KnownConstraints(self.problem.known_constraints)

    def step(self, n_trials: int) -> None:
        """Suggest that many trials, then evaluate all, then tell all."""
        asked = [self._ask() for _ in range(n_trials)]
        outcomes = [self._evaluate(trial) for trial, _ in asked]
        for (trial, seconds), outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, Evaluation):
                self.evaluations.append(outcome)
            self._tell(trial, outcome)
            self.records.append(self._record(trial.params, seconds, outcome))

    def _ask(self) -> tuple[optuna.Trial, float]:
        start = time.perf_counter()
        trial = self.study.ask(dict(self.problem.space))
        return trial, time.perf_counter() - start

    def _evaluate(self, trial: optuna.Trial) -> Evaluation | Crash:
        try:
            return self.problem.evaluate(trial.params)
        except Crash as crash:
            return crash

    def _record(
        self, params: Mapping[str, Any], seconds: float, outcome: Evaluation | Crash
    ) -> TrialRecord:
        violated = not self._known.satisfied(dict(params))
        if isinstance(outcome, Crash):
            reason, cost = outcome.reason, outcome.cost
            return TrialRecord(None, False, reason, violated, seconds, params, cost)
        values, feasible, cost = outcome.values, outcome.feasible, outcome.cost
        return TrialRecord(values, feasible, None, violated, seconds, params, cost)

    def _tell(self, trial: optuna.Trial, outcome: Evaluation | Crash) -> None:
        """Tell the study of an outcome in the way of the mode."""
        handling = self.mode.crash
        if isinstance(outcome, Evaluation):
            for name, value in outcome.constraints.items():
                trial.set_constraint(name, value)
            if handling is CrashHandling.CONSTRAINT:
                trial.set_constraint(CRASH_CONSTRAINT, -1.0)
            self.study.tell(trial, list(outcome.values))
            return
        trial.set_user_attr("crash_reason", outcome.reason)
        if handling is CrashHandling.FAIL or not self.evaluations:
            self.study.tell(trial, state=TrialState.FAIL)
            return
        for name in self.evaluations[0].constraints:
            trial.set_constraint(name, self._worst_constraint(name))
        if handling is CrashHandling.CONSTRAINT:
            trial.set_constraint(CRASH_CONSTRAINT, 1.0)
        self.study.tell(trial, self._penalty())

    def _worst_constraint(self, name: str) -> float:
        """Return a violated value of a measured constraint, which a crash leaves unmeasured."""
        return max(1.0, *(evaluation.constraints[name] for evaluation in self.evaluations))

    def _penalty(self) -> list[float]:
        """Return the objective values told for a crash."""
        penalties: list[float] = []
        for index, direction in enumerate(self.problem.directions):
            sign = 1.0 if direction == "minimize" else -1.0
            seen = [sign * evaluation.values[index] for evaluation in self.evaluations]
            if self.mode.crash is CrashHandling.LARGE:
                penalties.append(sign * (seen[0] + LARGE_FACTOR * max(abs(seen[0]), 1.0)))
            else:
                penalties.append(sign * max(seen))
        return penalties
