"""How the best became better, by hand."""

from __future__ import annotations

import pytest

from optuna_scoot.html_report.outcomes import Convergence
from optuna_scoot.html_report.outcomes import Fate
from optuna_scoot.html_report.outcomes import convergence
from optuna_scoot.html_report.outcomes import ended_trials
from optuna_scoot.tuning.report import make_report
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import tuned_study
from tests.optuna_scoot.tuning.studies import two_objective_study


def converged(study: object) -> Convergence | None:
    report = make_report(study)  # type: ignore[arg-type]
    return convergence(ended_trials(study, report, None), report)  # type: ignore[arg-type]


def test_with_two_objectives_it_is_the_hypervolume_over_the_default() -> None:
    # Over (1000, 100): (100, 99) adds 900 x 1, (500, 50) 500 x 50 less the 500 x 1 that both have;
    # (1200, 20) is worse in the first, (600, 60) is dominated, and two crashed.
    found = converged(tuned_study())

    assert found is not None
    assert found.numbers[:7] == (0, 1, 2, 3, 4, 5, 6)
    assert found.best[:2] == pytest.approx((0.0, 900 / 25400))
    assert found.best[2:] == pytest.approx((1.0,) * (len(found.best) - 2))


def test_where_nothing_beats_the_default_there_is_nothing_to_tell() -> None:
    study = two_objective_study()
    add_default(study, (10.0, 10.0))
    add(study, (9.0, 11.0), max_num_seqs=64)

    assert converged(study) is None


@pytest.mark.parametrize(
    ("direction", "best"),
    [("minimize", (None, 5.0, 5.0, 5.0)), ("maximize", (None, 5.0, 5.0, 7.0))],
)
def test_with_one_objective_only_what_may_be_used_counts(
    direction: str, best: tuple[float | None, ...]
) -> None:
    study = two_objective_study(("value",), (direction,))
    add(study, (1.0,), constraints={"p99 ttft <= 1 ms": 0.5})
    add(study, (5.0,))
    add(study, None, {"crash_reason": "out_of_memory"})
    add(study, (7.0,))
    found = converged(study)

    assert found is not None
    assert found.best == best


def test_what_became_of_a_trial_is_told_with_its_reason() -> None:
    study = two_objective_study(("value",), ("minimize",))
    add_default(study, (1.0,))
    add(study, (1.0,), constraints={"p99 ttft <= 1 ms": 0.5}, max_num_seqs=64)
    add(study, None, {"crash_reason": "out_of_memory"})
    add(study, None, {"failure_is_external": True})
    ended = ended_trials(study, make_report(study), None)

    assert [one.fate for one in ended] == [Fate.USABLE, Fate.MISSES, Fate.CRASHED]
    assert [one.why for one in ended] == ["", "misses p99 ttft <= 1 ms by 50 %", "out_of_memory"]
    assert [one.changed for one in ended] == ["", "max-num-seqs 64", ""]
