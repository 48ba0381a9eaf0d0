"""Tune a vLLM from Python: what `optuna-scoot tune` does, for one's own study and sampler.

    python examples/tune_vllm.py MODEL [--python PYTHON_WITH_VLLM] [--trace bot] [--rate 5]

The engine's interpreter need not be this one. Every trial starts a fresh server, sends it the
trace open loop, and stops it. A configuration that the engine refuses, that runs out of memory or
that dies under the load raises EngineCrash: Optuna catches it, and ScootSampler learns from it.
"""

from __future__ import annotations

import argparse

import optuna

from objectives.engines.base import EngineCrash
from objectives.engines.vllm import VllmEngine
from objectives.serving import ServingObjective
from objectives.spaces import vllm_space
from objectives.traces import load_trace
from objectives.workload import build_workload
from optuna_scoot import ScootSampler


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="folder or name of a model")
    parser.add_argument("--python", help="interpreter of the environment that has vLLM")
    parser.add_argument("--trace", default="bot", help="bundled trace, or a .jsonl or .csv file")
    parser.add_argument("--rate", type=float, default=5.0, help="requests a second (5)")
    parser.add_argument("--duration", type=float, default=100.0, help="seconds of arrivals (100)")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--max-model-len", type=int, default=2048)
    parser.add_argument("--enforce-eager", action="store_true", help="start faster, run slower")
    arguments = parser.parse_args()

    engine = VllmEngine(
        arguments.model,
        python=arguments.python,
        engine_args={
            "max_model_len": arguments.max_model_len,
            "enforce_eager": arguments.enforce_eager,
        },
    )
    workload = build_workload(
        load_trace(arguments.trace),
        rate=arguments.rate,
        duration=arguments.duration,
        max_model_len=arguments.max_model_len,
        too_long="clip",
    )
    space = vllm_space(engine.capabilities, fixed=engine.engine_args)
    objective = ServingObjective(engine, workload, space=space, mode="ttft-tpot")

    study = optuna.create_study(
        directions=objective.directions,
        sampler=ScootSampler(space.parameters, known_constraints=space.known_constraints),
    )
    objective.prepare(study)
    objective.enqueue_default(study)
    study.optimize(objective, n_trials=arguments.trials, catch=(EngineCrash,))

    print(f"{engine.description}, {len(study.trials)} trials; default {study.trials[0].values}")
    for trial in study.best_trials:
        print(f"trial {trial.number}: {trial.values} with {trial.params}")


if __name__ == "__main__":
    main()
