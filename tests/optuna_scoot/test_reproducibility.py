"""Same seed, same history, same suggestion: in any process, on any number of torch threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
import optuna
import torch
from optuna_scoot import ScootSampler
from tests.optuna_scoot.studies import QUICK, QUICK_PAPER, MIXED, ENGINE_RULES, suggest_all

torch.set_num_threads(int(sys.argv[1]))
optuna.logging.set_verbosity(optuna.logging.ERROR)

def single(trial):
    params = suggest_all(trial, MIXED)
    if params["seqs"] > 3000:
        raise MemoryError
    return params["tokens"] / params["seqs"] + params["share"]

def double(trial):
    value = single(trial)
    return value, trial.params["delay"] - value

out = []
for method, objective, n in ((QUICK, single, 9), (QUICK, double, 8), (QUICK_PAPER, single, 8)):
    for space in (MIXED, None):
        sampler = ScootSampler(space, method=method, seed=7, known_constraints=ENGINE_RULES)
        study = optuna.create_study(
            directions=["minimize", "maximize"][: 1 + (objective is double)], sampler=sampler
        )
        study.optimize(objective, n_trials=n, catch=(MemoryError,))
        out.append([[t.params, t.user_attrs] for t in study.trials])
print(json.dumps(out))
"""


def _run(hash_seed: str, threads: int) -> Any:
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(threads)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def first() -> Any:
    return _run("0", 1)


def test_processes_with_other_hash_seeds_and_threads_suggest_the_same(first: Any) -> None:
    assert _run("4242", 2) == first


def test_the_histories_reach_the_model(first: Any) -> None:
    phases = {attributes.get("scoot:phase") for study in first for _, attributes in study}

    assert {"startup", "model"} <= phases
