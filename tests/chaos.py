"""A study under faults: workers that are killed, stopped and cut off, and what is left of it.

    python -m tests.chaos --trials 60 --workers 4 --seed 0

The workers are real commands on a simulated service, their storage is a real PostgreSQL. Every
few seconds one of them, or the server, meets a fault; the same command replaces who has died.
The audit at the end is the one that ``optuna-scoot audit`` makes.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

import optuna

from optuna_scoot.cli.errors import EXIT_BAD_INPUT
from optuna_scoot.cli.signals import EXIT_INTERRUPTED
from optuna_scoot.tuning.audit import Check
from optuna_scoot.tuning.audit import audit
from optuna_scoot.tuning.bookkeeping import counts
from optuna_scoot.tuning.storage import open_storage
from tests.postgres import Postgres
from tests.postgres import temporary_server


STUDY = "chaos"
FAULTS = ("SIGKILL", "SIGINT", "SIGTERM", "stand still", "drop connections", "restart storage")
ENDS = (0, EXIT_INTERRUPTED, *(-s for s in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)))
"""Exit codes of workers that end as they should; a signal's own before the command has begun."""
NOT_CONNECTED = "connection failed"
"""In the line of a worker that was started while the storage was away, which is refused."""


@dataclass
class Chaos:
    """One study, its workers and what befell them.

    Attributes:
        server: Of the storage.
        url: The storage's.
        folder: Of the workers' output.
        n_trials: The study's total.
        n_workers: How many run at once.
        seed: Of the faults.
        enqueue: What the user wants to have tried.
        faults: What was done, and how often.
        complaints: Of workers that ended in another way than they should.
    """

    server: Postgres
    url: str
    folder: Path
    n_trials: int
    n_workers: int
    seed: int
    enqueue: tuple[str, ...] = ("max_num_seqs=64", "max_num_seqs=128")
    faults: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    _workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _logs: dict[int, Path] = field(default_factory=dict)
    _n_started: int = 0

    def run(self, timeout_s: float) -> list[Check]:
        """Run the study to its end, and return what an audit finds.

        Args:
            timeout_s: After so many seconds no further fault is made.

        Raises:
            TimeoutError: The workers do not come to an end in twice that time.
        """
        rng = random.Random(self.seed)
        began = time.monotonic()
        try:
            while not self._is_over():
                passed = time.monotonic() - began
                if passed > 2 * timeout_s:
                    raise TimeoutError(f"{len(self._workers)} workers still run")
                time.sleep(rng.uniform(0.5, 3.0))
                if passed < timeout_s and self._workers:
                    self._fault(rng)
        finally:
            for worker in self._workers:
                worker.kill()
        study = optuna.load_study(study_name=STUDY, storage=open_storage(self.url))
        return audit(study, self.n_trials)

    def _is_over(self) -> bool:
        """Replace who has died; return whether all have ended and the study is whole."""
        for worker in [w for w in self._workers if w.poll() is not None]:
            self._workers.remove(worker)
            self._look_at(worker)
        if self._n_started and self._n_counted() >= self.n_trials:
            return not self._workers
        while len(self._workers) < self.n_workers:
            self._workers.append(self._start())
        return False

    def _start(self) -> subprocess.Popen[bytes]:
        self._n_started += 1
        words = ["tune", "--engine", "simulated", "--service", "sql-2xa10-7b", "--duration", "5"]
        words += ["--trials", str(self.n_trials), "--study", STUDY]
        words += ["--output", str(self.folder / f"out-{self._n_started}")]
        words += [word for params in self.enqueue for word in ("--enqueue", params)]
        path = self.folder / f"worker-{self._n_started}.log"
        with path.open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "optuna_scoot", *words],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OPTUNA_SCOOT_STORAGE": self.url, "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        self._logs[worker.pid] = path
        return worker

    def _look_at(self, worker: subprocess.Popen[bytes]) -> None:
        said = self._logs[worker.pid].read_text(errors="replace").strip().rpartition("\n")[2]
        refused = worker.returncode == EXIT_BAD_INPUT and NOT_CONNECTED in said
        if worker.returncode not in ENDS and not refused:
            self.complaints.append(f"exit code {worker.returncode}: {said}")

    def _n_counted(self) -> int:
        try:
            study = optuna.load_study(study_name=STUDY, storage=open_storage(self.url))
        except KeyError:
            return 0
        return sum(map(counts, study.get_trials(deepcopy=False)))

    def _fault(self, rng: random.Random) -> None:
        fault = rng.choice(FAULTS)
        worker = rng.choice(self._workers)
        self.faults[fault] += 1
        if fault.startswith("SIG"):
            worker.send_signal(getattr(signal, fault))
        elif fault == "stand still":
            worker.send_signal(signal.SIGSTOP)
            time.sleep(rng.uniform(1.0, 4.0))
            worker.send_signal(signal.SIGCONT)
        elif fault == "drop connections":
            self.server.drop_connections()
        else:
            self.server.stop()
            time.sleep(rng.uniform(0.5, 5.0))
            self.server.start()

    def tracebacks(self) -> list[str]:
        """Return the ends of tracebacks in the workers' logs.

        Python's own, of Ctrl-C before the command has begun, are none of the command's.
        """
        ends = []
        for log in sorted(self.folder.glob("worker-*.log")):
            _, found, trace = log.read_text(errors="replace").rpartition("Traceback")
            end = trace.strip().rpartition("\n")[2]
            if found and end != "KeyboardInterrupt":
                ends.append(f"{log.name}: {end}")
        return ends


def main() -> int:
    """Run it as a program, print what was done and what is left; 1 where a fault is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=600.0)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        with temporary_server() as server:
            url = server.new_database("chaos")
            trials, workers = options.trials, options.workers
            chaos = Chaos(server, url, Path(folder), trials, workers, options.seed)
            checks = chaos.run(options.timeout)
        print(f"{sum(chaos.faults.values())} faults: {dict(chaos.faults)}")
        shown = [(check.name, list(check.faults)) for check in checks]
        shown += [("no worker complains", chaos.complaints)]
        shown += [("no worker shows a traceback", chaos.tracebacks())]
        for name, faults in shown:
            print(f"{'FAULT' if faults else 'holds'}  {name}  {'; '.join(faults)}")
    return int(any(faults for _, faults in shown))


if __name__ == "__main__":
    sys.exit(main())
