"""What a study says of itself: constraints, load, versions."""

from __future__ import annotations

from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import optuna
import pytest

from objectives.traces import Trace
from objectives.traces import TraceRequest
from objectives.workload import build_workload
from optuna_scoot.tuning import Load
from optuna_scoot.tuning import simulated_task
from optuna_scoot.tuning import tune
from optuna_scoot.tuning.provenance import LoadProfile
from optuna_scoot.tuning.provenance import known_constraints
from optuna_scoot.tuning.provenance import load_profile
from optuna_scoot.tuning.report import make_report
from tests.optuna_scoot.tuning.notes import Notes


def test_from_the_storage_alone_the_best_is_that_of_tune(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/scoot.db"
    task = simulated_task("sql-2xa10-7b", Load(duration=5))
    constraints = ["max_num_seqs <= 64"]  # which the default violates
    result = tune(
        task,
        n_trials=5,
        storage=url,
        study_name="s",
        seed=0,
        constraints=constraints,
        observer=Notes(),
    )
    study = optuna.load_study(study_name="s", storage=url)
    known = known_constraints(study)

    assert known is not None
    assert known.violated({"max_num_seqs": 65}) == ["max_num_seqs <= 64 (max_num_seqs=65)"]
    found = make_report(study, known)
    assert result.best is not None
    assert found.best is not None
    assert found.best.number == result.best.number
    assert study.user_attrs["versions"]["optuna"] == version("optuna")
    assert load_profile(study) == LoadProfile.of(task.objective.workload)


def test_a_profile_counts_every_request_where_it_belongs() -> None:
    rng = np.random.default_rng(0)
    prompts, outputs = rng.integers(1, 3000, 400), rng.integers(1, 9, 400)
    lengths = zip(prompts.tolist(), outputs.tolist(), strict=True)
    trace = Trace("t", tuple(TraceRequest(p, o) for p, o in lengths))
    workload = build_workload(trace, rate=4.0, duration=100.0, seed=0)
    sent = [scheduled.request for scheduled in workload.requests]
    profile = LoadProfile.of(workload)

    assert profile.requests == len(sent)
    for told, values in (
        (profile.prompt_tokens, [r.prompt_tokens for r in sent]),
        (profile.output_tokens, [r.output_tokens for r in sent]),
        (profile.arrivals, [scheduled.time for scheduled in workload.requests]),
    ):
        assert sum(told.counts) == len(sent)
        edges = np.array(told.edges)
        assert (np.diff(edges) > 0).all()
        inside = [np.sum((values >= a) & (values < b)) for a, b in pairwise(edges)]
        assert told.counts[:-1] == pytest.approx(inside[:-1], abs=1)  # edges are rounded
        assert told.median == np.median(values)
        assert told.largest == max(values)


def test_requests_of_one_length_have_a_profile() -> None:
    trace = Trace("t", (TraceRequest(10, 1),) * 5)
    profile = LoadProfile.of(build_workload(trace, rate=1.0, duration=5.0, seed=0))

    assert profile.prompt_tokens.counts == [profile.requests]
    assert profile.output_tokens.counts == [profile.requests]


def test_a_study_of_somebody_elses_says_nothing() -> None:
    study = optuna.create_study()
    assert known_constraints(study) is None
    assert load_profile(study) is None
    study.set_user_attr("known_constraints", ["(("])
    assert known_constraints(study) is None
