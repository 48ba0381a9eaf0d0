"""The same objective under ScootSampler, TPE and NSGA-II: the sampler is all that differs.

    python examples/compare_samplers.py [--service cls-2xa10-7b] [--trials 30] [--seeds 3]

What is tuned is a simulated service, so that no GPU is needed. Each sampler begins with the
default configuration. ScootSampler is told the known constraints and learns from crashes; the
other two have no use for either. For more samplers, more problems, and intervals:
``optuna-scoot compare``.
"""

from __future__ import annotations

import argparse
from statistics import mean

import optuna

from objectives.simulated_services import make_objective
from optuna_scoot.tuning import serving_task
from optuna_scoot.tuning import tune


# ``tune`` takes any sampler of Optuna's; these have names, and are made from a seed.
SAMPLERS = {"ScootSampler": "scoot", "TPESampler": "tpe", "NSGAIISampler": "nsga2"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--service", default="cls-2xa10-7b", help="one with a single objective")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3, help="repetitions (3)")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    task = serving_task(make_objective(arguments.service))
    name = task.objective.metric_names[0]
    print(f"simulated service {arguments.service}, {arguments.trials} trials, {name}")
    for sampler, short in SAMPLERS.items():
        results = [
            tune(task, n_trials=arguments.trials, sampler=short, seed=seed)
            for seed in range(arguments.seeds)
        ]
        default = mean(result.reference[0] for result in results if result.reference)
        best = mean(result.best.values[0] for result in results if result.best)
        crashed = mean(result.crashed for result in results)
        print(f"{sampler:14s} default {default:.4g}, best {best:.4g}, crashed {crashed:.1f}")


if __name__ == "__main__":
    main()
