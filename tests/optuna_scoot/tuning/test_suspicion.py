"""Crashes that may be the fault of the surroundings: when a run stops over them, and after."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.serving import is_external
from optuna_scoot.tuning import worker_identity
from optuna_scoot.tuning.bookkeeping import is_crash
from optuna_scoot.tuning.bookkeeping import n_taken
from optuna_scoot.tuning.bookkeeping import not_retried
from optuna_scoot.tuning.loop import run_trials
from optuna_scoot.tuning.report import make_report
from optuna_scoot.tuning.storage import open_storage
from optuna_scoot.tuning.suspicion import ALIKE
from optuna_scoot.tuning.worker_identity import WORKER
from tests.optuna_scoot.tuning.notes import Notes
from tests.optuna_scoot.tuning.studies import enqueue_default


DISK = "OSError: the frobnicator at /tmp/run-{0}/x{0} of process {0} says 0x7f{0}abcd{0} to {0}"


class Engine:
    """An objective whose configurations crash as told."""

    def __init__(self, fault: Callable[[int, float], EngineCrash | None]) -> None:
        self.fault = fault
        self.n_starts = 0

    def __call__(self, trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        self.n_starts += 1
        crash = self.fault(self.n_starts, x)
        if crash is not None:
            raise crash
        return x


def crash(words: str, reason: CrashReason = CrashReason.STARTUP_FAILED) -> EngineCrash:
    return EngineCrash(reason, words)


@pytest.fixture
def study() -> Iterator[optuna.Study]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    enqueue_default(study, {"x": 0.125})
    yield study
    optuna.logging.set_verbosity(before)


def run(study: optuna.Study, engine: Engine, n_trials: int) -> str:
    enqueue_default(study, {"x": 0.125})
    return run_without_default(study, engine, n_trials)


def taught(study: optuna.Study) -> list[int]:
    """Numbers of the trials that count as crashes, here and for the sampler."""
    return [t.number for t in not_retried(study.trials) if is_crash(t)]


@pytest.mark.parametrize(
    "reason",
    [CrashReason.STARTUP_FAILED, CrashReason.STARTUP_TIMEOUT, CrashReason.KNOWN_CONSTRAINT],
)
def test_default_that_does_not_start_ends_the_run_and_teaches_nothing(
    study: optuna.Study, reason: CrashReason
) -> None:
    engine = Engine(lambda n, x: crash("OSError: who knows", reason))
    with pytest.raises(ExternalFailure, match="OSError: who knows") as stopped:
        run(study, engine, 5)
    assert stopped.value.reason == "default_crashed"
    assert "default configuration does not start" in stopped.value.detail
    assert engine.n_starts == 1
    assert taught(study) == []
    assert n_taken(study.trials) == 0


def test_mended_surroundings_and_the_same_command_measure_the_default(
    study: optuna.Study,
) -> None:
    with pytest.raises(ExternalFailure):
        run(study, Engine(lambda n, x: crash("OSError: who knows")), 3)
    run(study, Engine(lambda n, x: None), 3)
    report = make_report(study)
    assert report.default is not None
    assert report.default.value == 0.125
    assert report.completed == 3
    assert report.crashed == 0


def test_same_command_goes_on_over_a_default_that_fails_so_again(study: optuna.Study) -> None:
    engine = Engine(lambda n, x: crash(DISK.format(n)) if x == 0.125 else None)
    with pytest.raises(ExternalFailure):
        run(study, engine, 3)
    run(study, engine, 3)
    assert [t.state for t in study.trials] == [TrialState.FAIL] * 2 + [TrialState.COMPLETE] * 2
    assert taught(study) == [1]


def test_going_on_over_the_default_is_not_going_on_over_all_that_fail_like_it(
    study: optuna.Study,
) -> None:
    engine = Engine(lambda n, x: crash(DISK.format(n)))
    for reason, n_starts in (("default_crashed", 1), ("same_words", 1 + ALIKE)):
        with pytest.raises(ExternalFailure) as stopped:
            run(study, engine, 9)
        assert (stopped.value.reason, engine.n_starts) == (reason, n_starts)
    run(study, engine, 9)
    assert len(taught(study)) == 9


def test_default_that_fails_otherwise_at_the_second_try_is_asked_about_again(
    study: optuna.Study,
) -> None:
    with pytest.raises(ExternalFailure, match="no disk"):
        run(study, Engine(lambda n, x: crash("OSError: no disk")), 3)
    with pytest.raises(ExternalFailure, match="no driver"):
        run(study, Engine(lambda n, x: crash("OSError: no driver")), 3)
    assert taught(study) == []


@pytest.mark.parametrize("reason", [CrashReason.OUT_OF_MEMORY, CrashReason.REQUEST_TIMEOUTS])
def test_default_that_wants_less_is_searched_around(
    study: optuna.Study, reason: CrashReason
) -> None:
    run(study, Engine(lambda n, x: crash("no memory", reason) if x == 0.125 else None), 4)
    assert taught(study) == [0]


@pytest.mark.parametrize("reason", list(CrashReason))
def test_configurations_that_fail_alike_when_none_ever_ran_end_the_run(
    reason: CrashReason,
) -> None:
    engine = Engine(lambda n, x: crash(DISK.format(n), reason))
    fresh = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    with pytest.raises(ExternalFailure, match="nothing has run yet, and 3") as stopped:
        run_trials(fresh, engine, 9, Notes())
    assert stopped.value.reason == "same_words"
    assert engine.n_starts == ALIKE
    run_trials(fresh, engine, 9, Notes())  # told to go on over these words
    assert n_taken(fresh.trials) == 9
    assert fresh.trials[ALIKE].params == fresh.trials[ALIKE - 1].params


def test_crashes_are_taken_back_when_what_the_run_ended_over_runs(tmp_path: Path) -> None:
    study = optuna.create_study(
        storage=open_storage(f"sqlite:///{tmp_path}/scoot.db"),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    memory = CrashReason.OUT_OF_MEMORY
    with pytest.raises(ExternalFailure):
        run(study, Engine(lambda n, x: crash(DISK.format(n), memory)), 6)
    assert taught(study) == [0, 1]
    first = [t.params for t in study.trials[:ALIKE]]
    printed = run(study, Engine(lambda n, x: None), 6)
    assert "2 crashes were of the surroundings" in printed
    assert taught(study) == []
    report = make_report(study)
    assert (report.completed, report.crashed, report.counted) == (6, 0, 6)
    assert report.default is not None
    assert report.default.value == 0.125
    completed = [t.params for t in study.trials if t.state == TrialState.COMPLETE]
    assert all(params in completed for params in first)


def test_different_words_or_one_configuration_again_are_not_suspicious() -> None:
    letters = iter("abcdefgh")
    engine = Engine(lambda n, x: crash(f"ValueError: {next(letters)}"))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    run_without_default(study, engine, 8)
    assert len(taught(study)) == 8
    same = optuna.create_study()
    for _ in range(5):
        same.enqueue_trial({"x": 0.5})
    run_without_default(same, Engine(lambda n, x: crash("ValueError: a")), 5)
    assert len(taught(same)) == 5


def run_without_default(study: optuna.Study, engine: Engine, n_trials: int) -> str:
    notes = Notes()
    run_trials(study, engine, n_trials, notes)
    return "\n".join(notes.lines)


def test_alike_crashes_after_a_run_are_a_crash_when_the_default_still_runs(
    study: optuna.Study,
) -> None:
    engine = Engine(lambda n, x: None if x == 0.125 else crash(DISK.format(n)))
    run(study, engine, 9)  # it never stops
    ran = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert [t.number for t in ran] == [0, ALIKE + 1]  # the default, and once more
    assert len(taught(study)) == 7


def test_alike_crashes_after_a_run_end_it_when_the_default_fails_too(
    study: optuna.Study,
) -> None:
    engine = Engine(lambda n, x: None if n <= 2 else crash(DISK.format(n)))
    with pytest.raises(ExternalFailure, match="ran before fails now as others did") as stopped:
        run(study, engine, 20)
    assert stopped.value.reason == "same_words"
    assert engine.n_starts == 2 + ALIKE + 1
    with pytest.raises(ExternalFailure):  # as long as it does
        run(study, engine, 20)
    assert engine.n_starts == 2 + ALIKE + 2
    assert len(taught(study)) == ALIKE
    engine.fault = lambda n, x: None
    run(study, engine, 20)
    assert taught(study) == []
    report = make_report(study)
    assert (report.completed, report.crashed) == (20, 0)


def test_refusal_of_combinations_is_never_asked_about_once_something_ran(
    study: optuna.Study,
) -> None:
    refused = CrashReason.KNOWN_CONSTRAINT
    engine = Engine(lambda n, x: None if n == 1 else crash("max_num_seqs is too large", refused))
    run(study, engine, 8)
    assert len(taught(study)) == 7


def test_crashes_of_other_machines_are_not_looked_at() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for x in (0.1, 0.2, 0.3):
        trial = study.ask()
        trial.suggest_float("x", x, x)
        trial.set_user_attr(WORKER, "another-host:1:1")
        trial.set_user_attr("crash_detail", "ValueError: a")
        study.tell(trial, state=TrialState.FAIL)
    engine = Engine(lambda n, x: crash("ValueError: a"))
    run_without_default(study, engine, 5)
    assert engine.n_starts == 2
    with pytest.raises(ExternalFailure):
        run_without_default(study, engine, 6)


def late(trial: optuna.Trial) -> float:
    n = trial.suggest_int("n", 1, 8)
    if n >= 7:
        reasons = (ExternalReason.LATE_GENERATOR, ExternalReason.GENERATOR_SHARE)
        raise ExternalFailure(reasons[trial.number % 2], f"sent 0.{trial.number} s late")
    return float(n)


def test_configuration_that_cannot_be_measured_counts_as_a_crash_and_the_run_goes_on() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.enqueue_trial({"n": 3})
    study.enqueue_trial({"n": 8})
    run_trials(study, late, 5, Notes())
    assert [is_external(t) for t in study.trials[:5]] == [False, True, True, False, False]
    assert study.trials[3].params == {"n": 8}
    assert is_crash(study.trials[3])
    assert study.trials[3].user_attrs["crash_reason"] == "unmeasurable"
    assert taught(study)[0] == 3
    assert n_taken(study.trials) == 5


def test_first_configuration_that_cannot_be_measured_ends_one_run_and_not_two() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.enqueue_trial({"n": 8})
    with pytest.raises(ExternalFailure, match="late"):
        run_trials(study, late, 3, Notes())
    assert [is_external(t) for t in study.trials[:3]] == [True] * 3
    run_trials(study, late, 3, Notes())
    assert taught(study)[0] == 3
    assert n_taken(study.trials) == 3


def test_crashes_of_one_machine_are_taken_back_though_another_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    with pytest.raises(ExternalFailure):
        run_without_default(study, Engine(lambda n, x: crash(DISK.format(n))), 6)
    assert len(taught(study)) == ALIKE - 1
    monkeypatch.setattr(worker_identity, "_machine", lambda: "another")
    run_without_default(study, Engine(lambda n, x: None), 6)
    assert taught(study) == []
