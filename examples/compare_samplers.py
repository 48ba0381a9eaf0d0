"""The same objective under ScootSampler, TPE and NSGA-II: the sampler is all that differs.

    python examples/compare_samplers.py [--service cls-2xa10-7b] [--trials 30] [--seeds 3]

What is tuned is a simulated service, so that no GPU is needed. Each sampler begins with the
default configuration. ScootSampler is told the known constraints and learns from crashes; the
other two have no use for either. For more samplers, more problems, and intervals:
`optuna-scoot compare`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import mean

import optuna
from optuna.samplers import BaseSampler
from optuna.samplers import NSGAIISampler
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from objectives.engines.base import EngineCrash
from objectives.serving import ServingObjective
from objectives.simulated_services import make_objective
from optuna_scoot import ScootSampler


def samplers(objective: ServingObjective) -> dict[str, Callable[[int], BaseSampler]]:
    """Each by name, made from a seed."""
    space = objective.space
    return {
        "ScootSampler": lambda seed: ScootSampler(
            dict(space.parameters), known_constraints=space.known_constraints, seed=seed
        ),
        "TPESampler": lambda seed: TPESampler(seed=seed),
        "NSGAIISampler": lambda seed: NSGAIISampler(population_size=10, seed=seed),
    }


def run(objective: ServingObjective, sampler: BaseSampler, n_trials: int) -> optuna.Study:
    study = optuna.create_study(directions=objective.directions, sampler=sampler)
    objective.prepare(study)
    objective.enqueue_default(study)
    study.optimize(objective, n_trials=n_trials, catch=(EngineCrash,))
    return study


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--service", default="cls-2xa10-7b", help="one with a single objective")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3, help="repetitions (3)")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    objective = make_objective(arguments.service)
    name = objective.metric_names[0]
    print(f"simulated service {arguments.service}, {arguments.trials} trials, {name}")
    for sampler, make in samplers(objective).items():
        studies = [run(objective, make(s), arguments.trials) for s in range(arguments.seeds)]
        default = studies[0].trials[0].value
        best = mean(study.best_value for study in studies)
        failed = [len(study.get_trials(states=(TrialState.FAIL,))) for study in studies]
        print(f"{sampler:14s} default {default:.4g}, best {best:.4g}, crashed {mean(failed):.1f}")


if __name__ == "__main__":
    main()
