"""The front, the best trade-off and the counts of a study."""

from __future__ import annotations

import math

import optuna
import pytest
from optuna.trial import FrozenTrial

from optuna_scoot.cli.table import best_line
from optuna_scoot.cli.table import report_lines
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.tuning.report import Metric
from optuna_scoot.tuning.report import make_report
from optuna_scoot.tuning.report import pareto_front
from optuna_scoot.tuning.report import relative_change
from optuna_scoot.tuning.report import single_point_hypervolume
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import tuned_study
from tests.optuna_scoot.tuning.studies import two_objective_study


LOWER = Metric("TTFT", maximise=False)
HIGHER = Metric("throughput", maximise=True)


def numbers(trials: object) -> list[int]:
    return [trial.number for trial in trials]


def test_front_holds_what_nothing_dominates_by_the_first_objective() -> None:
    report = make_report(tuned_study())
    assert numbers(report.front) == [1, 2, 3]


def test_best_trade_off_has_the_largest_product_of_gains() -> None:
    report = make_report(tuned_study())
    assert report.best is not None
    assert report.best.number == 2
    assert report.reference == (1000.0, 100.0)


def test_crashes_are_counted_by_reason_and_external_failures_apart() -> None:
    report = make_report(tuned_study())
    assert report.crashes == {"out_of_memory": 2}
    assert (report.counted, report.completed, report.crashed, report.external) == (7, 5, 2, 1)


def test_front_is_the_set_that_pairwise_comparison_gives() -> None:
    study = two_objective_study(directions=("minimize", "maximize"))
    for i in range(40):
        add(study, (float(i * 7 % 11), float(i * 5 % 13)))
    metrics = (LOWER, HIGHER)
    points = {t.number: (t.values[0], -t.values[1]) for t in study.trials}
    expected = set()
    for point in points.values():
        dominated = any(
            q[0] <= point[0] and q[1] <= point[1] and q != point for q in points.values()
        )
        if not dominated:
            expected.add(point)
    front = pareto_front(study.trials, metrics)
    assert {points[t.number] for t in front} == expected
    assert len(front) == len(expected), "of equal points only the earliest stands"


def test_constraints_are_asked_of_what_is_not_dominated_alone_and_keep_the_same_front() -> None:
    study = two_objective_study()
    for i in range(200):
        add(study, (float(i * 37 % 199), float(i * 53 % 197)))
    asked: list[int] = []

    def may_enter(trial: FrozenTrial) -> bool:
        asked.append(trial.number)
        return trial.number % 3 > 0

    metrics = (LOWER, LOWER)
    allowed = [t for t in study.trials if t.number % 3 > 0]
    assert pareto_front(study.trials, metrics, may_enter) == pareto_front(allowed, metrics)
    assert len(asked) < 50, "most are dominated by an earlier one"


def test_single_objective_report_holds_the_best_alone() -> None:
    study = two_objective_study(("requests/s",), ("maximize",))
    add_default(study, (3.0,))
    add(study, (5.0,), max_num_seqs=64)
    add(study, (4.0,), max_num_seqs=32)
    report = make_report(study)
    assert numbers(report.front) == [1]
    assert report.best is report.front[0]


def test_default_is_the_best_when_nothing_is_better_in_every_objective() -> None:
    study = two_objective_study()
    default = add_default(study, (100.0, 10.0))
    add(study, (50.0, 20.0), max_num_seqs=64)
    add(study, (200.0, 5.0), max_num_seqs=32)
    report = make_report(study)
    assert report.best is not None
    assert report.best.number == default.number
    assert report.best is report.default


def test_crashed_default_leaves_the_worst_values_as_reference() -> None:
    study = two_objective_study()
    add_default(study, None)
    add(study, (100.0, 90.0), max_num_seqs=2)
    add(study, (50.0, 50.0), max_num_seqs=4)
    add(study, (10.0, 100.0), max_num_seqs=8)
    report = make_report(study)
    # Reference (100, 100): trial 1 gains 0, trial 2 gains 50 * 50, trial 3 gains 0.
    assert report.reference is None
    assert report.best is not None
    assert report.best.number == 2
    assert report.default is not None
    assert report.default.number == 0


def test_failed_requests_behind_the_best_and_the_default_are_told() -> None:
    study = two_objective_study()
    metrics = {"completed": 97.0, "failed": 3.0}
    add(study, (1000.0, 100.0), {"default_configuration": True, "metrics": metrics})
    add(study, (500.0, 50.0), {"metrics": {"completed": 100.0, "failed": 0.0}}, max_num_seqs=64)
    lines = report_lines(make_report(study))
    assert "trial 0: 3 of 100 requests failed; in its values they count" in lines[0]
    assert not any(line.startswith("trial 1") for line in lines)
    assert not any("requests failed" in line for line in report_lines(make_report(tuned_study())))


def test_overload_of_the_default_and_the_best_is_told() -> None:
    def paced(arrival_rate: float, admission_rate: float) -> dict[str, float]:
        rates = {"arrival_rate": arrival_rate, "admission_rate": admission_rate}
        return {"completed": 900.0, "failed": 0.0, **rates}

    study = two_objective_study()
    default = {"default_configuration": True, "metrics": paced(10.0, 6.12)}
    add(study, (1000.0, 100.0), default)
    add(study, (500.0, 50.0), {"metrics": paced(10.0, 9.9)}, max_num_seqs=64)
    assert report_lines(make_report(study))[0] == (
        "overload: the default takes up 6.12 of 10 requests/s;"
        " the queue grows, and TTFT with the length of the load"
    )
    add(study, (400.0, 40.0), {"metrics": paced(10.0, 7.0)}, max_num_seqs=32)
    assert (
        "requests/s, the best takes up 7 of 10 requests/s;" in report_lines(make_report(study))[0]
    )


def test_report_of_an_empty_study_recommends_nothing() -> None:
    report = make_report(two_objective_study())
    assert report.best is None
    assert report.default is None
    assert report.front == ()


@pytest.mark.parametrize(
    ("values", "metrics", "expected"),
    [
        ((200.0, 20.0), (LOWER, LOWER), 800.0 * 80.0),
        ((1200.0, 20.0), (LOWER, LOWER), 0.0),
        ((200.0, 120.0), (LOWER, HIGHER), 800.0 * 20.0),
        ((-math.inf, 100.0), (LOWER, LOWER), 0.0),
    ],
)
def test_hypervolume_of_one_point(
    values: tuple[float, ...], metrics: tuple[Metric, ...], expected: float
) -> None:
    assert single_point_hypervolume(values, (1000.0, 100.0), metrics) == pytest.approx(expected)


def test_relative_change_has_the_sign_of_the_difference() -> None:
    assert relative_change(60.0, 80.0) == pytest.approx(-0.25)
    assert relative_change(-1.0, -2.0) == pytest.approx(0.5)
    assert relative_change(1.0, 0.0) is None
    assert relative_change(math.inf, 2.0) is None


LIMIT = "p99 ttft <= 500 ms"


def _limited_study() -> optuna.Study:
    """The default misses the limit, the best value misses it too, two others keep it."""
    study = optuna.create_study()
    study.set_metric_names(["TTFT"])
    add(study, (90.0,), {"default_configuration": True}, {LIMIT: 0.2})  # 0
    add(study, (10.0,), None, {LIMIT: 0.01}, max_num_seqs=1)  # 1
    add(study, (60.0,), None, {LIMIT: -0.5}, max_num_seqs=2)  # 2
    add(study, (50.0,), None, {LIMIT: 0.0}, max_num_seqs=3)  # 3
    return study


def test_the_best_keeps_every_limit() -> None:
    report = make_report(_limited_study())

    assert (report.limits, report.kept, report.completed) == ((LIMIT,), 2, 4)
    assert report.best is not None
    assert report.best.number == 3
    assert [trial.number for trial in report.front] == [3]
    assert report.nearest is None
    lines = "\n".join(report_lines(report))
    assert f"limits: {LIMIT}; kept by 2 of 4" in lines
    assert f"the default configuration misses {LIMIT} by 20 %" in lines


def test_where_nothing_keeps_the_limits_the_nearest_is_told() -> None:
    study = optuna.create_study()
    add(study, (1.0,), {"default_configuration": True}, {LIMIT: 0.5, "throughput >= 2": -0.1})
    add(study, (2.0,), None, {LIMIT: 0.1, "throughput >= 2": 0.3})
    add(study, (3.0,), None, {LIMIT: 0.25, "throughput >= 2": 0.2})
    report = make_report(study)

    assert report.best is None
    assert report.front == ()
    # What a configuration misses most decides: 0.5, 0.3, 0.25.
    assert report.nearest is not None
    assert report.nearest.number == 2
    assert "nearest is trial 2, which misses" in best_line(report)


def test_what_violates_a_known_constraint_is_never_recommended() -> None:
    study = tuned_study()
    known = KnownConstraints(["max_num_seqs <= 64", "block_size <= 16"])
    report = make_report(study, known)

    # The default has 256 sequences; of the front trial 2 alone is allowed.
    assert report.default is not None
    assert [trial.number for trial in report.front] == [2]
    assert report.best is not None
    assert report.best.number == 2
    assert make_report(study, KnownConstraints(["max_num_seqs > 9999"])).best is None


def test_a_default_that_misses_a_limit_is_not_the_best_trade_off() -> None:
    study = two_objective_study()
    add(study, (1000.0, 100.0), {"default_configuration": True}, {LIMIT: 0.1})
    add(study, (1200.0, 90.0), None, {LIMIT: -0.1}, max_num_seqs=2)
    add(study, (900.0, 120.0), None, {LIMIT: -0.1}, max_num_seqs=3)
    report = make_report(study)

    # None is better than the default in both: without the limit it would stay.
    assert report.best is not None
    assert report.best.number in (1, 2)
