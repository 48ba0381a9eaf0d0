"""Compare samplers on the objective of crash_prone_objective.py: a third of its space crashes.

    python examples/crash_toy_comparison.py [--seeds 10] [--trials 40]

Samplers that throw crashed trials away come back to the same crashing points again and again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import optuna
from crash_prone_objective import objective
from optuna.samplers import BaseSampler
from optuna.samplers import GPSampler
from optuna.samplers import RandomSampler
from optuna.samplers import TPESampler
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from optuna_scoot import ScootSampler


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "ScootSampler": lambda seed: ScootSampler(seed=seed),
    "GPSampler": lambda seed: GPSampler(seed=seed),
    "TPESampler": lambda seed: TPESampler(seed=seed),
    "RandomSampler": lambda seed: RandomSampler(seed=seed),
}


def run(sampler: BaseSampler, n_trials: int) -> tuple[int, int, float]:
    """Return the crashed trials, the distinct points among them and the best value of a study."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=n_trials, catch=(MemoryError,))
    crashed = study.get_trials(states=(TrialState.FAIL,))
    return len(crashed), len({tuple(t.params.values()) for t in crashed}), study.best_value


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=40)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    table = Table(title=f"{arguments.trials} trials, mean of {arguments.seeds} seeds")
    for column in ("sampler", "crashed", "at distinct points", "found 10", "seconds a study"):
        table.add_column(column, justify="left" if column == "sampler" else "right")
    for name, make in SAMPLERS.items():
        start = time.perf_counter()
        runs = [run(make(seed), arguments.trials) for seed in range(arguments.seeds)]
        seconds = (time.perf_counter() - start) / arguments.seeds
        crashed, distinct, best = zip(*runs, strict=True)
        table.add_row(
            name,
            f"{sum(crashed) / len(runs):.1f}",
            f"{sum(distinct) / len(runs):.1f}",
            f"{sum(value == 10 for value in best)} of {len(runs)}",
            f"{seconds:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
