"""A study under faults: workers that are killed, stopped and cut off, and what is left of it.

    python -m tests.chaos --trials 60 --workers 4 --seed 0 --storage grpc

The workers are real commands on a simulated service, their storage is a real PostgreSQL, a proxy
before it, or a journal. Every few seconds one of them, or a server, meets a fault; the same
command replaces who has died. The audit at the end is the one that ``optuna-scoot audit`` makes.
"""

from __future__ import annotations

import argparse
import contextlib
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
from tests.proxy import Proxy
from tests.proxy import proxy_process


STUDY = "chaos"
STORAGES = ("postgresql", "grpc", "journal")
OF_WORKERS = ("SIGKILL", "SIGINT", "SIGTERM", "stand still")
OF_SERVER = ("drop connections", "restart storage")
OF_PROXY = ("restart proxy",)
ENDS = (0, EXIT_INTERRUPTED, *(-s for s in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)))
"""Exit codes of workers that end as they should; a signal's own before the command has begun."""
NOT_CONNECTED = ("connection failed", "Connection refused")
"""In the line of a worker that was started while the storage was away, which is refused."""


@dataclass
class Chaos:
    """One study, its workers and what befell them.

    Attributes:
        server: Of the storage, where it has one.
        proxy: Before the server, where there is one.
        url: The storage's.
        folder: Of the workers' output.
        n_trials: The study's total.
        n_workers: How many run at once.
        seed: Of the faults.
        enqueue: What the user wants to have tried.
        faults: What was done, and how often.
        complaints: Of workers that ended in another way than they should.
    """

    server: Postgres | None
    url: str
    folder: Path
    n_trials: int
    n_workers: int
    seed: int
    proxy: Proxy | None = None
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
        away = any(words in said for words in NOT_CONNECTED)
        refused = worker.returncode == EXIT_BAD_INPUT and away
        if worker.returncode not in ENDS and not refused:
            self.complaints.append(f"exit code {worker.returncode}: {said}")

    def _n_counted(self) -> int:
        try:
            study = optuna.load_study(study_name=STUDY, storage=open_storage(self.url))
        except KeyError:
            return 0
        return sum(map(counts, study.get_trials(deepcopy=False)))

    def _fault(self, rng: random.Random) -> None:
        of_server = OF_SERVER if self.server is not None else ()
        of_proxy = OF_PROXY if self.proxy is not None else ()
        fault = rng.choice((*OF_WORKERS, *of_server, *of_proxy))
        worker = rng.choice(self._workers)
        self.faults[fault] += 1
        if fault.startswith("SIG"):
            worker.send_signal(getattr(signal, fault))
        elif fault == "stand still":
            worker.send_signal(signal.SIGSTOP)
            time.sleep(rng.uniform(1.0, 4.0))
            worker.send_signal(signal.SIGCONT)
        elif self.proxy is not None and fault in OF_PROXY:
            self.proxy.kill()
            time.sleep(rng.uniform(0.5, 5.0))
            self.proxy.start()
        elif self.server is not None and fault == "drop connections":
            self.server.drop_connections()
        elif self.server is not None:
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
    parser.add_argument("--storage", choices=STORAGES, default=STORAGES[0])
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="chaos") as name, contextlib.ExitStack() as servers:
        folder = Path(name)
        server = proxy = None
        url = f"journal:{folder}/journal.log"
        if options.storage != "journal":
            server = servers.enter_context(temporary_server())
            url = server.new_database("chaos")
        if options.storage == "grpc":
            proxy = servers.enter_context(proxy_process(url))
            url = proxy.url
        trials, workers = options.trials, options.workers
        chaos = Chaos(server, url, folder, trials, workers, options.seed, proxy)
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
