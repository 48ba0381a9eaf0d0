"""Failures with the end of their logs."""

from __future__ import annotations

from optuna_scoot.html_report.crashes import MOST_SHOWN
from optuna_scoot.html_report.crashes import Failure
from optuna_scoot.html_report.crashes import read_failures
from optuna_scoot.tuning.report import make_report
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import two_objective_study


def test_a_crash_is_told_with_what_it_changed_and_the_log_that_it_keeps() -> None:
    study = two_objective_study()
    add_default(study, (1.0, 1.0))
    attrs = {"crash_reason": "out_of_memory", "crash_detail": "CUDA", "log": "logs/1.log"}
    add(study, None, {**attrs, "log_tail": ["a", "b"]}, max_num_seqs=1024)
    add(study, None, attrs)
    failures = read_failures(study, make_report(study))

    assert failures is not None
    assert failures.crashes == (
        Failure(1, "out_of_memory", "CUDA", "max-num-seqs 1024", "logs/1.log", ("a", "b")),
        Failure(2, "out_of_memory", "CUDA", "", "logs/1.log", ()),
    )


def test_what_failed_for_another_reason_is_told_apart() -> None:
    study = two_objective_study()
    for _ in range(MOST_SHOWN + 5):
        add(study, None, {"crash_reason": "out_of_memory"})
    external = {"failure_is_external": True, "external_reason": "port", "external_detail": "busy"}
    add(study, None, external)
    failures = read_failures(study, make_report(study))

    assert failures is not None
    assert (len(failures.crashes), failures.n_crashes) == (MOST_SHOWN, MOST_SHOWN + 5)
    assert failures.reasons == (("out_of_memory", MOST_SHOWN + 5),)
    (other,) = failures.external
    assert (other.reason, other.detail) == ("port", "busy")


def test_where_nothing_failed_there_is_nothing() -> None:
    study = two_objective_study()
    add_default(study, (1.0, 1.0))

    assert read_failures(study, make_report(study)) is None
