"""A search in which every second configuration crashes, and no suggestion breaks what is known."""

from __future__ import annotations

import optuna
import optunahub


def objective(trial: optuna.Trial) -> float:
    """Return the cost of a job; too much memory ends it, which only trying tells."""
    workers = trial.suggest_int("workers", 1, 64, log=True)
    batch = trial.suggest_int("batch", 1, 1024, log=True)
    if workers * batch > 4096:
        raise MemoryError
    return batch / 16 + 64 / workers


module = optunahub.load_local_module(
    package="samplers/scoot",
    registry_root="./package",  # from OptunaHub itself: load_module(package="samplers/scoot")
)
sampler = module.ScootSampler(known_constraints=["workers <= batch"], seed=0)
study = optuna.create_study(sampler=sampler)
study.optimize(objective, n_trials=20, catch=(MemoryError,))
print(study.best_params, study.best_value)
