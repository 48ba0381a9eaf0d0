"""The short form of ``tests.scale``: a few workers on one study, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import optuna

from tests.optuna_scoot.tuning.studies import add
from tests.postgres import temporary_server
from tests.scale import run
from tests.scale import suggested_twice


def test_a_study_of_several_workers_is_whole_and_nothing_was_suggested_twice(
    tmp_path: Path,
) -> None:
    with temporary_server() as server:
        found = run(server.new_database("scale"), tmp_path, n_workers=3, n_trials=12)
        said = found.lines()
        twice = suggested_twice(found.study.get_trials())
        n_trials = len(found.trials)
    assert found.exit_codes == [0, 0, 0]
    assert [(c.name, c.faults) for c in found.checks if not c.holds] == []
    assert n_trials == 12
    assert twice == []
    assert any(line.startswith("time of ") for line in said)
    assert all(50.0 < peak < 2000.0 for peak in found.peaks_mb)


def test_suggestions_of_the_same_parameters_are_found_and_enqueued_ones_are_none() -> None:
    study = optuna.create_study()
    for n in (1, 2, 1, 2, 3):
        add(study, (1.0,), max_num_seqs=n)
    add(study, None, {"failure_is_external": True}, max_num_seqs=3)
    study.enqueue_trial({"max_num_seqs": 3})
    study.tell(study.ask(), 1.0)
    assert suggested_twice(study.get_trials()) == [(0, 2), (1, 3)]
