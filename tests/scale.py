"""Many workers on one study: how fast they are, where their time goes, and what is left of it.

    python -m tests.scale --workers 32 --trials 2000

The workers are real commands on a simulated service, which measures in milliseconds: what is seen
is what sampler and storage cost. Their storage is a real PostgreSQL.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from objectives.serving import is_external
from optuna_scoot.cli.table import time_lines
from optuna_scoot.trials.outcomes import enqueued_params
from optuna_scoot.tuning.audit import Check
from optuna_scoot.tuning.audit import audit
from optuna_scoot.tuning.bookkeeping import counts
from optuna_scoot.tuning.storage import open_storage
from tests.postgres import temporary_server


STUDY = "scale"


@dataclass(frozen=True)
class Scale:
    """What a run of many workers came to.

    Attributes:
        study: As they left it.
        checks: What the audit found.
        seconds: From the first worker's start to the last one's end.
        peaks_mb: Peak memory of each worker.
        exit_codes: Of each worker.
    """

    study: optuna.Study
    checks: list[Check]
    seconds: float
    peaks_mb: list[float]
    exit_codes: list[int]

    @property
    def trials(self) -> list[FrozenTrial]:
        """Return the trials that count."""
        return [t for t in self.study.get_trials(deepcopy=False) if counts(t)]

    @property
    def trials_a_second(self) -> float:
        """Return how many trials ended in a second, between the first and the last."""
        ended = sorted(t.datetime_complete for t in self.trials if t.datetime_complete)
        return (len(ended) - 1) / (ended[-1] - ended[0]).total_seconds()

    def lines(self) -> list[str]:
        """Return what is to be told."""
        median, most = statistics.median(self.peaks_mb), max(self.peaks_mb)
        return [
            f"{len(self.trials)} trials by {len(self.peaks_mb)} workers in {self.seconds:.0f} s,"
            f" {self.trials_a_second:.2f} trials a second from the first to the last",
            *time_lines(self.study),
            f"suggested twice: {len(suggested_twice(self.study.get_trials(deepcopy=False)))}",
            f"peak memory of a worker: {median:.0f} MB in the median, {most:.0f} MB at most",
            f"exit codes: {dict(Counter(self.exit_codes))}",
            *(
                f"{'holds' if c.holds else 'FAULT'}  {c.name}  {'; '.join(c.faults)}"
                for c in self.checks
            ),
        ]


def suggested_twice(trials: Sequence[FrozenTrial]) -> list[tuple[int, int]]:
    """Return the numbers of trials for which a sampler chose the same parameters."""
    first: dict[str, int] = {}
    twice = []
    for trial in trials:
        if enqueued_params(trial) or is_external(trial) or not trial.params:
            continue
        key = repr(sorted(trial.params.items()))
        if key in first:
            twice.append((first[key], trial.number))
        first.setdefault(key, trial.number)
    return twice


def run(url: str, folder: Path, n_workers: int, n_trials: int) -> Scale:
    """Run a study with so many workers at once.

    Args:
        url: Of its storage.
        folder: Of the workers' output.
        n_workers: How many.
        n_trials: The study's total.
    """
    words = ["tune", "--engine", "simulated", "--service", "sql-2xa10-7b", "--duration", "5"]
    words += ["--trials", str(n_trials), "--study", STUDY, "--verify", "0"]
    environment = {**os.environ, "OPTUNA_SCOOT_STORAGE": url, "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    workers = []
    for number in range(n_workers):
        with (folder / f"worker-{number}.log").open("wb") as log:
            command = [sys.executable, "-m", "optuna_scoot", *words]
            command += ["--output", str(folder / f"out-{number}")]
            worker = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            workers.append(worker)
    peaks, codes = [], []
    for worker in workers:
        _, status, usage = os.wait4(worker.pid, 0)
        worker.returncode = os.waitstatus_to_exitcode(status)
        codes.append(worker.returncode)
        peaks.append(usage.ru_maxrss / 1024.0)
    seconds = time.monotonic() - began
    study = optuna.load_study(study_name=STUDY, storage=open_storage(url))
    return Scale(study, audit(study, n_trials), seconds, peaks, codes)


def main() -> int:
    """Run it as a program and print what it came to; 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="scale") as folder, temporary_server() as server:
        found = run(server.new_database("scale"), Path(folder), options.workers, options.trials)
        print("\n".join(found.lines()))
        twice = suggested_twice(found.study.get_trials(deepcopy=False))
    whole = all(check.holds for check in found.checks) and not any(found.exit_codes)
    return int(not whole or bool(twice))


if __name__ == "__main__":
    sys.exit(main())
