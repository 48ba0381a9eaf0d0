"""Two worker processes on one storage: start as many as you have machines.

    python examples/two_workers.py [--storage sqlite:///workers.db] [--trials 30]

The workers share nothing but the storage's URL. The sampler keeps no state of its own: it sees
what the other worker found and what it is trying just now, and a worker that joins late or starts
again goes on as if it had always been there. On several machines use PostgreSQL or MySQL.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time

import optuna
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

from optuna_scoot import ScootSampler


STUDY = "two-workers"
OVER = (TrialState.COMPLETE, TrialState.FAIL)


def objective(trial: optuna.Trial) -> tuple[float, float]:
    """Return a stand-in for a stress test: seconds for the first token and each further one."""
    trial.set_user_attr("worker", os.getpid())
    seqs = trial.suggest_int("max_num_seqs", 1, 256, log=True)
    tokens = trial.suggest_int("max_num_batched_tokens", 64, 8192, log=True)
    time.sleep(0.05)
    if seqs * tokens > 500_000:
        raise MemoryError("too much for this device")
    return 40 / seqs + tokens / 2000, 0.01 + seqs / 3000 + 10 / tokens


def work(storage: str, n_trials: int) -> None:
    """Run trials as one worker does, on whatever machine."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=storage,
        study_name=STUDY,
        directions=["minimize", "minimize"],
        sampler=ScootSampler(known_constraints=["max_num_seqs <= max_num_batched_tokens"]),
        load_if_exists=True,
    )
    stop = MaxTrialsCallback(n_trials, states=OVER)  # of all workers together
    study.optimize(objective, callbacks=[stop], catch=(MemoryError,))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--storage", help="URL of a database; a temporary file when left out")
    parser.add_argument("--trials", type=int, default=30, help="of both workers together (30)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storage = arguments.storage or f"sqlite:///{folder}/workers.db"
        optuna.storages.RDBStorage(storage)  # makes the tables before the workers look for them
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=work, args=(storage, arguments.trials)) for _ in "12"]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        report(optuna.load_study(study_name=STUDY, storage=storage))


def report(study: optuna.Study) -> None:
    """Print who did what, and the front that both found together."""
    trials = study.get_trials(states=OVER)
    for pid in sorted({trial.user_attrs["worker"] for trial in trials}):
        own = [trial for trial in trials if trial.user_attrs["worker"] == pid]
        crashed = sum(trial.state == TrialState.FAIL for trial in own)
        print(f"worker {pid}: {len(own)} trials, {crashed} crashed")
    for trial in study.best_trials:
        values = ", ".join(f"{value:.3f}" for value in trial.values)
        print(f"trial {trial.number}: {values} with {trial.params}")


if __name__ == "__main__":
    main()
