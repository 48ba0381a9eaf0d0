"""Tune a vLLM from Python: what ``optuna-scoot tune`` does, with a sampler of your choice.

    python examples/tune_vllm.py MODEL [--python PYTHON_WITH_VLLM] [--trace bot] [--rate 5]

The engine's interpreter need not be this one. Every trial starts a fresh server, sends it the
trace open loop, and stops it. A configuration that the engine refuses, that runs out of memory or
that dies under the load is a failed trial, from which ScootSampler learns. With ``storage`` and
``study_name`` for ``tune``, a run that was interrupted goes on where it ended.
"""

from __future__ import annotations

import argparse

from optuna.samplers import TPESampler

from optuna_scoot.tuning import Load
from optuna_scoot.tuning import tune
from optuna_scoot.tuning import vllm_task


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
    parser.add_argument("--tpe", action="store_true", help="suggest with Optuna's TPESampler")
    parser.add_argument("--output", default="runs/tune_vllm", help="folder of the results")
    arguments = parser.parse_args()

    task = vllm_task(
        arguments.model,
        Load(
            arguments.trace,
            rate=arguments.rate,
            duration=arguments.duration,
            too_long="clip",
        ),
        python=arguments.python,
        engine_args={
            "max_model_len": arguments.max_model_len,
            "enforce_eager": arguments.enforce_eager,
        },
    )
    sampler = TPESampler(seed=0) if arguments.tpe else "scoot"
    result = tune(task, n_trials=arguments.trials, sampler=sampler)

    assert result.default is not None
    print(f"{task.title}, {result.counted} trials; default {result.default.values}")
    for trial in result.front:
        print(f"trial {trial.number}: {trial.values} with {trial.params}")
    print("written:", *result.save(arguments.output))


if __name__ == "__main__":
    main()
