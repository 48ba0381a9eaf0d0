"""An objective that crashes for some parameters, as any program with options does.

    python examples/crash_prone_objective.py [--trials 40]

Everything a user of Optuna has to change is the sampler, and to name the exceptions that stand
for a crash. The sampler learns from the crashed trials where not to go.
"""

from __future__ import annotations

import argparse

import optuna

from optuna_scoot import ScootSampler


def objective(trial: optuna.Trial) -> float:
    x, y = trial.suggest_int("x", 0, 9), trial.suggest_int("y", 0, 9)
    if x + y > 10:
        raise MemoryError("the more the better, but not that much")
    return x + y


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    study = optuna.create_study(direction="maximize", sampler=ScootSampler(seed=arguments.seed))
    study.optimize(objective, n_trials=arguments.trials, catch=(MemoryError,))

    crashes = len(study.get_trials(states=(optuna.trial.TrialState.FAIL,)))
    print(f"best {study.best_value:g} (10 is possible) at {study.best_params}")
    print(f"{crashes} of {len(study.trials)} trials crashed")


if __name__ == "__main__":
    main()
