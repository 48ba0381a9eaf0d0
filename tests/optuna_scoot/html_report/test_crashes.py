"""Failures with the end of their logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from optuna_scoot.html_report.crashes import MOST_SHOWN
from optuna_scoot.html_report.crashes import read_failures
from optuna_scoot.tuning.report import make_report
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import two_objective_study


def test_a_log_is_shown_by_its_last_lines_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "not for everybody")
    log = tmp_path / "engine.log"
    lines = [f"line {i}" for i in range(100)]
    log.write_text(
        "\n".join([*lines, "", "key not for everybody", "y" * 1000, "\x1b[1mend\x1b[0m"])
    )
    study = two_objective_study()
    add_default(study, (1.0, 1.0))
    attrs = {"crash_reason": "out_of_memory", "crash_detail": "key not for everybody"}
    add(study, None, {**attrs, "log": str(log)}, max_num_seqs=1024)
    failures = read_failures(study, make_report(study))

    assert failures is not None
    (crash,) = failures.crashes
    assert (crash.reason, crash.detail) == ("out_of_memory", "key ***")
    assert crash.changed == "max-num-seqs 1024"
    assert crash.tail[0] == "line 63"
    assert crash.tail[-3] == "key ***"
    assert crash.tail[-2] == "y" * 300 + "…"
    assert crash.tail[-1] == "end"


@pytest.mark.parametrize("there", [False, True])
def test_a_log_that_is_not_here_is_named_alone(tmp_path: Path, there: bool) -> None:
    log = tmp_path / "engine.log"
    if there:
        log.write_text("of another machine's file of the same name")
    study = two_objective_study()
    add(study, None, {"crash_reason": "x", "log": str(log), "worker": "elsewhere:1:2"})
    failures = read_failures(study, make_report(study))

    assert failures is not None
    assert failures.crashes[0].tail == ()
    assert failures.crashes[0].log == str(log)


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
