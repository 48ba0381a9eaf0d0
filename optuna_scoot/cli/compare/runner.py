"""Runs samplers on problems at an equal budget, in several processes, resumably."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED
from concurrent.futures import Future
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import wait
from dataclasses import dataclass
from dataclasses import field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from optuna_scoot.cli.compare.modes import CrashHandling
from optuna_scoot.cli.compare.modes import Mode
from optuna_scoot.cli.compare.peers import make_sampler
from optuna_scoot.cli.compare.problems import KNOWN_CONSTRAINT
from optuna_scoot.cli.compare.problems import Crash
from optuna_scoot.cli.compare.problems import Evaluation
from optuna_scoot.cli.compare.problems import Problem
from optuna_scoot.cli.compare.problems import make_problem
from optuna_scoot.cli.compare.runs import Run
from optuna_scoot.cli.compare.runs import RunKey
from optuna_scoot.cli.compare.runs import TrialRecord
from optuna_scoot.cli.compare.runs import append_run
from optuna_scoot.constraints import KnownConstraints


LARGE_FACTOR = 10.0
"""`CrashHandling.LARGE`: this many times the default's magnitude is added to the default."""

CRASH_CONSTRAINT = "crash"
"""Name of the constraint by which `CrashHandling.CONSTRAINT` tells of a crash."""


def execute(key: RunKey) -> Run:
    """Carry out one run in this process.

    The default configuration is evaluated first. Then ``batch`` trials at a time are suggested,
    evaluated and told. An exception of the sampler ends the run and is recorded; the trials so
    far count.

    Args:
        key: What to run.

    Returns:
        The finished run.

    Raises:
        CompareError: If the problem, the sampler or the mode does not exist.
    """
    problem = make_problem(key.problem, key.seed)
    mode = Mode.parse(key.mode)
    sampler = make_sampler(key.sampler, problem, mode, key.seed)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        directions=list(problem.directions), sampler=sampler, study_name=f"compare-{key.seed}"
    )
    study.enqueue_trial(dict(problem.default), user_attrs={"default_configuration": True})
    session = _Session(problem, mode, study)
    error = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            session.step(1)
            while len(session.records) < key.n_trials:
                session.step(min(key.batch, key.n_trials - len(session.records)))
        except Exception as caught:
            error = f"{type(caught).__name__}: {caught}"[:500]
    return Run(key, tuple(session.records), error)


@dataclass
class _Session:
    """A study under way."""

    problem: Problem
    mode: Mode
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
            return TrialRecord(None, False, outcome.reason, violated, seconds, params)
        return TrialRecord(outcome.values, outcome.feasible, None, violated, seconds, params)

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
        """A violated value of a measured constraint, which a crash leaves unmeasured."""
        return max(1.0, *(evaluation.constraints[name] for evaluation in self.evaluations))

    def _penalty(self) -> list[float]:
        """Objective values told for a crash."""
        penalties: list[float] = []
        for index, direction in enumerate(self.problem.directions):
            sign = 1.0 if direction == "minimize" else -1.0
            seen = [sign * evaluation.values[index] for evaluation in self.evaluations]
            if self.mode.crash is CrashHandling.LARGE:
                penalties.append(sign * (seen[0] + LARGE_FACTOR * max(abs(seen[0]), 1.0)))
            else:
                penalties.append(sign * max(seen))
        return penalties


def is_known_violation(record: TrialRecord) -> bool:
    """Whether a trial crashed for a reason that the known constraints foretold."""
    return record.crash == KNOWN_CONSTRAINT


def run_all(
    keys: Sequence[RunKey],
    results: Path,
    *,
    jobs: int,
    progress: Callable[[Run, int], None] = lambda run, left: None,
) -> None:
    """Carry out runs in several processes and append each to a results file as it ends.

    Args:
        keys: What to run.
        results: The results file.
        jobs: Number of processes; with 1 everything happens in this one.
        progress: Called after each run with the run and how many are left.
    """
    left = len(keys)
    for run in _executed(keys, jobs):
        append_run(results, run)
        left -= 1
        progress(run, left)


def _executed(keys: Sequence[RunKey], jobs: int) -> Iterator[Run]:
    """Runs as they end."""
    if jobs == 1:
        limit_threads()
        yield from map(execute, keys)
        return
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    waiting = list(reversed(keys))
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=limit_threads
    ) as pool:
        # Few are submitted ahead, so that an interruption does not wait for hundreds.
        running: set[Future[Run]] = set()
        while waiting or running:
            while waiting and len(running) < 2 * jobs:
                running.add(pool.submit(execute, waiting.pop()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def limit_threads() -> None:
    """One thread of numerics in this process: the processes already fill the cores."""
    import torch

    torch.set_num_threads(1)
