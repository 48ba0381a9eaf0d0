"""What is measured next for a verdict, by studies made by hand."""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest
from optuna.trial import FrozenTrial

from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.tuning.rounds import Rounds
from optuna_scoot.tuning.rounds import find_measurement
from optuna_scoot.tuning.verdict import Measured
from tests.optuna_scoot.tuning.studies import DEFAULT_PARAMS
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import two_objective_study


LIMIT = "p99 ttft <= 500 ms"


class Bench:
    """A tuned study of trials with (value, excess over the limit), and its measurements.

    Each trial has its number + 1 as ``max_num_seqs``; the first is the default.
    """

    def __init__(self, *trials: tuple[float, float], orders: int = 3, finalists: int = 2) -> None:
        self.study = two_objective_study(("TTFT",), ("minimize",))
        self.measurements = two_objective_study(("TTFT",), ("minimize",))
        for number, (value, excess) in enumerate(trials):
            attrs = {"default_configuration": True} if number == 0 else {}
            add(
                self.study,
                (value,),
                attrs,
                constraints={LIMIT: excess},
                max_num_seqs=number + 1,
            )
        self.log: list[tuple[str, int]] = []
        self.notes: list[str] = []
        self.orders = orders
        self.finalists = finalists

    def rounds(self) -> Rounds:
        """As the first and any later call makes it."""
        by_value = sorted(self.study.trials[1:], key=lambda t: t.values[0])
        plan = [self.configuration("the default", self.study.trials[0])]
        plan += [self.configuration(f"trial {t.number}", t) for t in by_value[: self.finalists]]
        named = {one.name: one for one in plan}
        return Rounds(self.study, self.measurements, KnownConstraints(), named, self.orders)

    @staticmethod
    def configuration(name: str, trial: FrozenTrial) -> Measured:
        return Measured(name, trial.params, limits=(LIMIT,), number=trial.number)

    def measure(self, excess: Callable[[int, int], float | None], most: int = 100) -> Rounds:
        """Measure until all is done; ``excess`` of (max_num_seqs, order), None for a crash."""
        rounds = self.rounds()
        while len(self.log) < most and (found := rounds.next(self.notes.append)) is not None:
            one, order = found
            self.log.append((one.name, order))
            missed = excess(one.params["max_num_seqs"], order)
            add(
                self.measurements,
                None if missed is None else (1.0,),
                {"arrival_order": order},
                constraints=None if missed is None else {LIMIT: missed},
                max_num_seqs=one.params["max_num_seqs"],
            )
        return rounds


def test_one_that_has_fallen_is_left_out_of_the_later_rounds() -> None:
    bench = Bench((100.0, -0.5), (10.0, -0.1), (11.0, -0.1))
    rounds = bench.measure(lambda seqs, order: 0.2 if (seqs, order) == (2, 1) else -0.1)
    assert [order for name, order in bench.log if name == "trial 1"] == [1]
    assert [order for name, order in bench.log if name == "trial 2"] == [1, 2, 3]
    assert [order for name, order in bench.log if name == "the default"] == [1, 2, 3]
    assert bench.notes == []  # one finalist is left
    assert rounds.n_left == 0


def test_once_all_have_fallen_the_next_best_with_enough_distance_takes_their_place() -> None:
    # Trials 1 and 2 miss by 0.1 and 0.02 what they kept by 0.02 and 0.05: it rose by up to 0.12.
    bench = Bench((100.0, -0.5), (10.0, -0.02), (11.0, -0.05), (12.0, -0.11), (13.0, -0.3))
    missed = {2: 0.1, 3: 0.02}
    rounds = bench.measure(lambda seqs, order: missed.get(seqs, -0.2))
    names = [name for name, _ in bench.log]
    assert names[:3] == ["the default", "trial 1", "trial 2"]
    assert set(names[3:]) == {"the default", "trial 4"}
    assert names.count("trial 4") == 3
    # It takes part from then on, and not after the default is done.
    assert bench.log[3] == ("trial 4", 1)
    assert bench.notes == ["no finalist is left: trial 4 takes their place"]
    assert list(rounds.configurations) == ["the default", "trial 1", "trial 2", "trial 4"]


def test_where_none_has_enough_distance_the_one_with_most_takes_their_place() -> None:
    bench = Bench((100.0, -0.5), (10.0, -0.02), (11.0, -0.05), (12.0, -0.1), (13.0, -0.2))
    bench.measure(lambda seqs, order: 0.9 if seqs in (2, 3) else -0.1)
    assert "trial 4" in {name for name, _ in bench.log}
    assert "trial 3" not in {name for name, _ in bench.log}


@pytest.mark.parametrize("orders", [3, 5])
def test_no_more_is_measured_than_was_announced(orders: int) -> None:
    trials = [(10.0 + i, -0.01 * i) for i in range(1, 20)]
    bench = Bench((100.0, -0.5), *trials, orders=orders)
    announced = bench.rounds().n_left
    assert announced == 3 * orders
    # All but the default miss the limit under the first order, or crash.
    bench.measure(lambda seqs, order: -0.5 if seqs == 1 else None if seqs % 2 else 0.1)
    assert len(bench.log) <= announced
    assert len(set(bench.log)) == len(bench.log)
    assert len({name for name, _ in bench.log}) > 3


def test_a_later_call_goes_on_with_what_has_taken_a_place() -> None:
    def excess(seqs: int, order: int) -> float:
        return 0.1 if seqs in (2, 3) else -0.2

    trials = [(100.0, -0.5), (10.0, -0.02), (11.0, -0.05), (13.0, -0.3)]
    whole, cut = Bench(*trials), Bench(*trials)
    whole.measure(excess)
    for most in range(1, len(whole.log) + 1):
        cut.measure(excess, most)
    assert cut.log == whole.log


def test_a_measurement_is_that_of_its_order_and_parameters() -> None:
    study = optuna.create_study()
    one = Measured("trial 1", {**DEFAULT_PARAMS, "max_num_seqs": 2})
    add(study, (1.0,), {"arrival_order": 2}, max_num_seqs=2)
    add(study, (1.0,), {"arrival_order": 1}, max_num_seqs=3)
    assert find_measurement(study, one, 1) is None
    found = find_measurement(study, one, 2)
    assert found is not None
    assert found.number == 0
