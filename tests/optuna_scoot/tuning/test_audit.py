"""An audit finds what does not hold, each by a study that was spoilt by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from optuna_scoot.tuning.audit import audit
from tests.optuna_scoot.tuning.studies import DEFAULT_PARAMS
from tests.optuna_scoot.tuning.studies import DISTRIBUTIONS
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import add_default
from tests.optuna_scoot.tuning.studies import two_objective_study


EXTERNAL = {"failure_is_external": True, "external_reason": "worker_lost"}
CRASH = {"crash_reason": "out_of_memory"}


def whole() -> optuna.Study:
    """A default that was lost once, a crash, two that completed, one given up, one enqueued."""
    study = two_objective_study()
    add(study, None, {"default_configuration": True, **EXTERNAL})
    add_default(study, (1.0, 1.0))
    add(study, None, CRASH, max_num_seqs=1000)
    add(study, (2.0, 1.0), max_num_seqs=3)
    add(study, (1.0, 2.0), max_num_seqs=4)
    add(study, None, {"failure_is_external": True, "external_reason": "surplus"})
    enqueued(study, TrialState.COMPLETE, (3.0, 3.0))
    return study


def enqueued(
    study: optuna.Study, state: TrialState, values: tuple[float, ...] | None, **attrs: Any
) -> None:
    params = {**DEFAULT_PARAMS, "max_num_seqs": 5}
    trial = optuna.create_trial(
        state=state,
        values=values,
        params=params,
        distributions=DISTRIBUTIONS,
        user_attrs={"enqueued_by_user": True, **attrs},
        system_attrs={"fixed_params": params},
    )
    study.add_trial(trial)


def faults(study: optuna.Study, n_trials: int | None = 5) -> dict[str, tuple[str, ...]]:
    return {check.name: check.faults for check in audit(study, n_trials) if not check.holds}


def test_nothing_is_found_where_all_is_as_it_has_to_be() -> None:
    assert faults(whole()) == {}
    assert len(audit(whole(), 5)) == 7


Spoil = Callable[[optuna.Study], Any]


@pytest.mark.parametrize(
    ("spoil", "check", "fault"),
    [
        (optuna.Study.ask, "every trial has ended", "trial 7 is RUNNING"),
        (
            lambda s: s.enqueue_trial({"max_num_seqs": 7}),
            "every trial has ended",
            "trial 7 is WAITING",
        ),
        (
            lambda s: add(s, (1.0, 1.0), max_num_seqs=9),
            "the trials asked for were made, and no more",
            "6 count, 5 were asked for",
        ),
        (
            lambda s: add_default(s, (1.0, 1.1)),
            "the default configuration counts once",
            "it counts 2 times",
        ),
        (
            lambda s: enqueued(s, TrialState.COMPLETE, (1.0, 1.0)),
            "what was enqueued counts once",
            "counts 2 times",
        ),
        (lambda s: add(s, None), "every failed trial says why", "trial 7 has no crash_reason"),
        (
            lambda s: add(s, None, {"failure_is_external": True}),
            "every failed trial says why",
            "trial 7 has no external_reason",
        ),
    ],
)
def test_what_does_not_hold_is_found(spoil: Spoil, check: str, fault: str) -> None:
    study = whole()
    spoil(study)
    found = faults(study, None if "asked" not in check else 5)
    assert fault in " ".join(found.pop(check))
    assert found == {}


def test_what_was_enqueued_and_lost_for_good_is_found() -> None:
    study = two_objective_study()
    add_default(study, (1.0, 1.0))
    enqueued(study, TrialState.FAIL, None, **EXTERNAL)
    assert "counts 0 times" in faults(study, 1)["what was enqueued counts once"][0]


def test_a_crash_that_the_sampler_does_not_learn_from_is_found() -> None:
    study = two_objective_study()
    add_default(study, (1.0, 1.0))
    trial = optuna.create_trial(
        state=TrialState.FAIL,
        params=DEFAULT_PARAMS,
        distributions=DISTRIBUTIONS,
        user_attrs=CRASH,
        system_attrs={"scoot:watched": "heartbeat"},  # nobody has told its end
    )
    study.add_trial(trial)
    name = "the sampler learns from the crashes of configurations alone"
    assert faults(study, 2) == {name: ("trial 1 counts as nothing",)}
