"""What a trial says about its parameters: crashes told from interrupts and lost workers."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState

from optuna_scoot.trials.outcomes import Outcome
from optuna_scoot.trials.outcomes import outcomes_of
from tests.optuna_scoot.studies import add
from tests.optuna_scoot.studies import quick
from tests.optuna_scoot.studies import study_of


SPACE: dict[str, BaseDistribution] = {"n": IntDistribution(0, 9), "x": FloatDistribution(0.0, 1.0)}


def _outcomes(study: optuna.Study, **kwargs: Any) -> list[str]:
    return [o.value for o in outcomes_of(study.get_trials(deepcopy=False), **kwargs)]


def _optimize(study: optuna.Study, error: BaseException | None, **kwargs: Any) -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        if error is not None:
            raise error
        return x

    study.optimize(objective, n_trials=1, **kwargs)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), Outcome.CRASHED),
        (ValueError("no"), Outcome.CRASHED),
        (KeyboardInterrupt(), Outcome.NOTHING),
        (optuna.exceptions.StorageInternalError("away"), Outcome.NOTHING),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("caught", [True, False])
def test_an_interrupted_objective_says_nothing(
    error: BaseException, says: Outcome, caught: bool
) -> None:
    study = study_of(quick(seed=0))
    if caught and isinstance(error, Exception):
        _optimize(study, error, catch=(type(error),))
    else:
        with pytest.raises(type(error)):
            _optimize(study, error)

    assert study.trials[0].state == TrialState.FAIL
    assert _outcomes(study) == [says.value]


def test_a_study_inside_an_interrupted_objective_is_judged_on_its_own() -> None:
    inner = study_of(quick(seed=0))

    def outer(trial: optuna.Trial) -> float:
        _optimize(inner, MemoryError(), catch=(MemoryError,))
        raise KeyboardInterrupt

    study = study_of(quick(seed=0))
    with pytest.raises(KeyboardInterrupt):
        study.optimize(outer, n_trials=1)

    assert _outcomes(inner) == ["crashed"]
    assert _outcomes(study) == ["nothing"]


@pytest.mark.parametrize("value", [None, float("nan")])
def test_an_objective_without_a_value_has_crashed(value: float | None) -> None:
    study = study_of(quick(seed=0))
    study.optimize(lambda trial: value, n_trials=1)  # type: ignore[arg-type, return-value]
    study.tell(study.ask(), state=TrialState.FAIL)

    assert _outcomes(study) == ["crashed", "crashed"]


def test_an_error_of_the_sampler_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(quick(SPACE, seed=0))
    monkeypatch.setattr(study.sampler, "_suggest", lambda *_: 1 / 0)
    study.optimize(lambda t: t.suggest_int("n", 0, 9), n_trials=1, catch=(ZeroDivisionError,))

    assert study.trials[0].state == TrialState.FAIL
    assert _outcomes(study) == ["nothing"]


def test_what_the_objective_marks_says_nothing_in_any_kind_of_true() -> None:
    study = study_of(quick(seed=0))
    for mark in (True, np.True_, np.bool_(True), 1, np.int64(1)):
        add(study, {"n": 1}, None, SPACE, user_attrs={"failure_is_external": mark})
    for mark in (False, np.False_, 0, None, "no"):
        add(study, {"n": 1}, None, SPACE, user_attrs={"failure_is_external": mark})

    assert _outcomes(study) == ["nothing"] * 5 + ["crashed"] * 5


def test_pruned_trials_by_what_they_reported() -> None:
    study = study_of(quick(seed=0))
    cut: dict[str, Any] = {"state": TrialState.PRUNED}
    add(study, {"n": 1}, None, SPACE, intermediate_values={0: 3.0}, **cut)
    add(study, {"n": 2}, None, SPACE, **cut)
    # Many scripts prune what they have measured before.
    add(study, {"n": 3}, 1.0, SPACE)
    add(study, {"n": 3}, None, SPACE, **cut)
    add(study, {"n": 4}, None, SPACE, user_attrs={"failure_is_external": True}, **cut)

    assert _outcomes(study) == ["pruned", "crashed", "completed", "nothing", "nothing"]
    assert _outcomes(study, failure_filter=lambda t: t.params["n"] != 2)[1] == "nothing"


def test_a_pruner_in_the_loop_leaves_trials_that_ran() -> None:
    def objective(trial: optuna.Trial) -> float:
        trial.report(trial.suggest_float("x", 0.0, 1.0), 0)
        raise optuna.TrialPruned

    study = study_of(quick(seed=0))
    study.optimize(objective, n_trials=2)

    assert _outcomes(study) == ["pruned", "pruned"]


def test_a_lost_heartbeat_says_nothing_and_a_told_failure_does(tmp_path: Path) -> None:
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{tmp_path}/s.db", heartbeat_interval=1, grace_period=1
    )
    study = study_of(quick(SPACE, seed=0), storage=storage)
    _optimize(study, MemoryError(), catch=(MemoryError,))
    lost = study.ask(SPACE)
    storage.record_heartbeat(lost._trial_id)
    deadline = time.monotonic() + 30
    while study.get_trials()[1].state == TrialState.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.5)
        optuna.storages.fail_stale_trials(study)

    assert study.get_trials()[1].state == TrialState.FAIL
    assert _outcomes(study) == ["crashed", "nothing"]


def test_a_trial_that_is_tidied_up_after_a_killed_worker_says_nothing() -> None:
    study = study_of(quick(SPACE, seed=0))

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_int("n", 0, 9)
        raise SystemExit  # which Optuna does not catch

    with pytest.raises(SystemExit):
        study.optimize(objective, n_trials=1)
    assert _outcomes(study) == ["running"]
    study.tell(0, state=TrialState.FAIL)

    assert _outcomes(study) == ["nothing"]


def test_a_failure_told_by_the_user_is_a_crash() -> None:
    study = study_of(quick(SPACE, seed=0))
    study.tell(study.ask(SPACE), state=TrialState.FAIL)
    # In a process of its own that has another sampler.
    asked = study.ask(SPACE)
    optuna.load_study(study_name=study.study_name, storage=study._storage).tell(
        asked.number, state=TrialState.FAIL
    )

    assert _outcomes(study) == ["crashed", "crashed"]


def test_what_a_retry_lists_says_nothing() -> None:
    study = study_of(quick(seed=0))
    lost = add(study, {"n": 3}, None, SPACE)
    RetryHeartbeatStaleTrialCallback()(study, lost)

    assert _outcomes(study) == ["nothing", "nothing"]


def _with_running(n_running: int, n_later: int) -> list[str]:
    study = study_of(quick(seed=0))
    for _ in range(n_running):
        add(study, {"n": 1}, None, SPACE, state=TrialState.RUNNING)
    for _ in range(n_later):
        add(study, {"n": 2}, 1.0, SPACE)
    study.ask()
    return _outcomes(study)


def test_a_running_trial_that_many_have_overtaken_is_held_for_lost() -> None:
    assert _with_running(1, 5)[0] == "running"
    assert _with_running(1, 6)[0] == "nothing"
    # All of a worker's threads were killed with it.
    assert _with_running(8, 6)[:8] == ["nothing"] * 8


def test_of_many_workers_a_slow_one_is_not_held_for_lost() -> None:
    study = study_of(quick(seed=0))
    add(study, {"n": 1}, None, SPACE, state=TrialState.RUNNING)
    for _ in range(30):
        add(study, {"n": 2}, 1.0, SPACE)
    for _ in range(7):
        add(study, {"n": 1}, None, SPACE, state=TrialState.RUNNING)

    assert _outcomes(study)[0] == "running"


def test_an_interrupted_configuration_is_suggested_again() -> None:
    asked: list[int] = []

    def objective(trial: optuna.Trial) -> float:
        n = trial.suggest_int("n", 0, 5)
        asked.append(n)
        if n == 3 and asked.count(3) == 1:
            raise KeyboardInterrupt
        return abs(n - 3)

    study = study_of(quick({"n": IntDistribution(0, 5)}, seed=0))
    while len(study.trials) < 8:
        try:
            study.optimize(objective, n_trials=1)
        except KeyboardInterrupt:
            continue

    assert study.best_value == 0
    thresholds = [t.user_attrs.get("scoot:threshold", 0.5) for t in study.trials]
    assert max(thresholds) == 0.5


def test_the_point_of_a_killed_worker_is_suggested_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    study = study_of(quick(seed=0), storage=url, study_name="s")
    script = f"""
        import os, optuna
        from optuna_scoot import ScootSampler

        def objective(trial):
            trial.suggest_int("n", 0, 5)
            os.kill(os.getpid(), 9)

        study = optuna.load_study(storage={url!r}, study_name="s", sampler=ScootSampler(seed=0))
        study.enqueue_trial({{"n": 3}})
        study.optimize(objective, n_trials=1)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -9
    study.optimize(lambda trial: abs(trial.suggest_int("n", 0, 5) - 3), n_trials=14)

    assert study.trials[0].state == TrialState.RUNNING
    assert study.best_value == 0
