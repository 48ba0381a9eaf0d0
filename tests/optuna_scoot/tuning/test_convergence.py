"""When a study is done before its total."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optuna.trial import FrozenTrial
from optuna.trial import create_trial
from scipy.stats import norm

from optuna_scoot.tuning.convergence import has_converged
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.load import Load
from optuna_scoot.tuning.report import Metric
from optuna_scoot.tuning.run import CONVERGED
from optuna_scoot.tuning.run import tune
from optuna_scoot.tuning.simulated import simulated_task


LATENCY, THROUGHPUT = Metric("latency", maximise=False), Metric("throughput", maximise=True)


def trial(number: int, values: list[float], **expected: Any) -> FrozenTrial:
    attrs = {f"scoot:{name}": value for name, value in expected.items()}
    made = create_trial(values=values, user_attrs=attrs)
    made.number = number
    return made


def study(mean: float, std: float, pof: float = 1.0) -> list[FrozenTrial]:
    """A default of 100, one of 60, and five suggestions of which the model expected the same."""
    told = {"predicted_mean": [mean], "predicted_std": [std], "pof": pof}
    return [trial(0, [100.0]), trial(1, [60.0]), *(trial(i, [80.0], **told) for i in range(2, 7))]


@pytest.mark.parametrize("std", [1.0, 5.0, 20.0])
def test_it_ends_below_a_hundredth_of_the_gain_by_the_expected_improvement(std: float) -> None:
    # The mean from which on the expected improvement, in closed form, is 1 % of the gain of 40.
    def share(mean: float) -> float:
        z = (60.0 - mean) / std
        return float(std * (z * norm.cdf(z) + norm.pdf(z))) / 40.0

    means = np.linspace(60.0, 60.0 + 4.0 * std, 400)
    edge = next(m for m in means if share(m) < 0.01)
    assert has_converged(study(edge + 0.3 * std, std), [LATENCY], [100.0])
    assert not has_converged(study(edge - 0.3 * std, std), [LATENCY], [100.0])


def test_what_is_likely_to_crash_is_expected_to_give_less() -> None:
    assert not has_converged(study(59.0, 0.1), [LATENCY], [100.0])
    assert has_converged(study(59.0, 0.1, pof=0.2), [LATENCY], [100.0])


def test_one_promising_suggestion_of_the_last_five_is_enough_to_go_on() -> None:
    trials = study(80.0, 1.0)
    promising = {"predicted_mean": [50.0], "predicted_std": [1.0], "pof": 1.0}
    trials[4] = trial(4, [80.0], **promising)
    assert not has_converged(trials, [LATENCY], [100.0])
    assert has_converged([*trials, *study(80.0, 1.0)[2:]], [LATENCY], [100.0])


def test_a_suggestion_is_compared_with_what_was_reached_before_it() -> None:
    trials = study(59.0, 0.1)
    trials.append(trial(7, [40.0]))  # now 59 would be worthless; when it was suggested it was not
    assert not has_converged(trials, [LATENCY], [100.0])


def test_what_misses_a_limit_has_reached_nothing() -> None:
    trials = study(70.0, 0.1)
    assert has_converged(trials, [LATENCY], [100.0])
    trials[1] = create_trial(values=[60.0], constraints={"p99 ttft <= 1 s": 0.5})
    trials[1].number = 1
    assert not has_converged(trials, [LATENCY], [100.0])


def test_several_objectives_count_by_the_product_of_their_gains() -> None:
    told = {"predicted_std": [0.01, 0.01], "pof": 1.0}
    metrics, reference = [LATENCY, THROUGHPUT], [100.0, 10.0]
    start = [trial(0, reference), trial(1, [60.0, 14.0])]

    def suggested(mean: list[float]) -> list[FrozenTrial]:
        return [trial(i, [90.0, 10.0], predicted_mean=mean, **told) for i in range(2, 7)]

    # 39 times 4 and 39 times 4.2 to 40 times 4.
    assert has_converged([*start, *suggested([61.0, 14.0])], metrics, reference)
    assert not has_converged([*start, *suggested([61.0, 14.2])], metrics, reference)


def test_nothing_is_told_without_a_default_a_gain_or_five_suggestions() -> None:
    assert not has_converged(study(80.0, 1.0), [LATENCY], None)
    assert not has_converged(study(80.0, 1.0), [LATENCY], [50.0])
    assert not has_converged(study(80.0, 1.0)[:-1], [LATENCY], [100.0])


def test_a_study_ends_and_goes_on_without_the_option() -> None:
    task = simulated_task("sql-4xa100-7b", Load(duration=20), objective=["minimize p95 e2el"])
    result = tune(task, n_trials=60, seed=0, stop_when_converged=True)
    assert result.ended_early == CONVERGED
    assert result.counted < 60
    storage, name = result.study._storage, result.study.study_name
    more = tune(task, n_trials=result.counted + 1, seed=0, storage=storage, study_name=name)
    assert more.counted == result.counted + 1
    assert more.ended_early is None


def test_only_scoot_says_what_it_expects() -> None:
    task = simulated_task("sql-4xa100-7b", Load(duration=5))
    with pytest.raises(InputError, match="`stop_when_converged`: the sampler tpe"):
        tune(task, n_trials=2, sampler="tpe", stop_when_converged=True)
