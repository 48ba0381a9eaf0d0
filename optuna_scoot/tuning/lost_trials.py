"""Trials whose worker is gone: found and failed, as no fault of their configurations.

A process of this machine is known to be gone at once. Of another machine's, its heartbeats in the
database tell. They stop as well when the database is away, or the machine stands still for a
while: what has stopped is watched first, and a worker that goes on in that time keeps its trial.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages._heartbeat import is_heartbeat_enabled
from optuna.trial import TrialState

from optuna_scoot.tuning.bookkeeping import fail_externally
from optuna_scoot.tuning.worker_identity import WORKER
from optuna_scoot.tuning.worker_identity import is_gone


if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.study import Study
    from optuna.trial import FrozenTrial


WORKER_LOST = "worker_lost"
WATCHED_SECONDS = 30.0
"""For how long a trial without heartbeats is watched. Three of its worker's fit in."""


class LostTrials:
    """The running trials of a study whose workers may be gone.

    Args:
        study: Theirs.
        clock: Seconds on any monotonic clock.
    """

    def __init__(self, study: Study, clock: Callable[[], float] = time.monotonic) -> None:
        self._study = study
        self._clock = clock
        self._suspected_since: dict[int, float] = {}

    @property
    def any_suspected(self) -> bool:
        """Return whether, at the last look, a worker seemed to be gone and might come back."""
        return bool(self._suspected_since)

    def fail(self) -> list[FrozenTrial]:
        """Fail the trials whose workers are gone, and return them as they were."""
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        gone = [t for t in running if is_gone(t.user_attrs.get(WORKER))]
        stale = self._stale_ids()
        suspected = [t for t in running if t._trial_id in stale or _was_never_begun(t)]
        now = self._clock()
        since = self._suspected_since
        self._suspected_since = {
            t._trial_id: since.get(t._trial_id, now) for t in suspected if t not in gone
        }
        over = [t for t in suspected if self._has_been_watched(t._trial_id, now)]
        lost = [*gone, *(t for t in over if t not in gone)]
        for trial in lost:
            self._suspected_since.pop(trial._trial_id, None)
        return [t for t in lost if fail_externally(self._study, t._trial_id, WORKER_LOST)]

    def _has_been_watched(self, trial_id: int, now: float) -> bool:
        since = self._suspected_since.get(trial_id)
        return since is not None and now - since >= WATCHED_SECONDS

    def _stale_ids(self) -> set[int]:
        """Return the trials whose heartbeat has stopped for longer than the grace period."""
        storage = self._study._storage
        if not (isinstance(storage, BaseHeartbeat) and is_heartbeat_enabled(storage)):
            return set()
        return set(storage._get_stale_trial_ids(self._study._study_id))


def _was_never_begun(trial: FrozenTrial) -> bool:
    """Return whether nobody has a name on a running trial, nor has drawn a parameter."""
    return trial.user_attrs.get(WORKER) is None and not trial.params
