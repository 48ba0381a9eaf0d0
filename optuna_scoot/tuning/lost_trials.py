"""Trials whose worker is gone: found and failed, as no fault of their configurations.

A process of this machine is known to be gone at once. Of another machine's, its heartbeats in the
storage tell. They stop as well when the storage is away, or the machine stands still for a
while: what has stopped is watched first, and a worker that goes on in that time keeps its trial.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from typing import NamedTuple

from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages._heartbeat import is_heartbeat_enabled
from optuna.trial import TrialState

from optuna_scoot.tuning.bookkeeping import fail_externally
from optuna_scoot.tuning.heartbeats import beat_of
from optuna_scoot.tuning.heartbeats import has_stopped
from optuna_scoot.tuning.worker_identity import WORKER
from optuna_scoot.tuning.worker_identity import is_gone
from optuna_scoot.tuning.worker_storage import WorkerStorage


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from optuna.study import Study
    from optuna.trial import FrozenTrial


WORKER_LOST = "worker_lost"
WATCHED_SECONDS = 30.0
"""For how long a trial without heartbeats is watched. Three of its worker's fit in."""


class _Suspicion(NamedTuple):
    since: float
    beat: float | None


class LostTrials:
    """The running trials of a study whose workers may be gone.

    Args:
        study: Theirs.
        clock: Seconds on any monotonic clock.
    """

    def __init__(self, study: Study, clock: Callable[[], float] = time.monotonic) -> None:
        self._study = study
        self._clock = clock
        self._suspected: dict[int, _Suspicion] = {}

    @property
    def any_suspected(self) -> bool:
        """Return whether, at the last look, a worker seemed to be gone and might come back."""
        return bool(self._suspected)

    def fail(self, trials: Sequence[FrozenTrial] | None = None) -> list[FrozenTrial]:
        """Fail the trials whose workers are gone, and return them as they were.

        Args:
            trials: Of the study, as read just now; None reads them.
        """
        if trials is None:
            trials = self._study.get_trials(deepcopy=False)
        running = [t for t in trials if t.state == TrialState.RUNNING]
        gone = [t for t in running if is_gone(t.user_attrs.get(WORKER))]
        silent = self._silent_ids()
        suspected = [
            t for t in running if t._trial_id in silent or has_stopped(t) or self._is_nobodys(t)
        ]
        now = self._clock()
        self._suspected = {
            t._trial_id: self._suspicion(t, now) for t in suspected if t not in gone
        }
        over = [t for t in suspected if self._has_been_watched(t._trial_id, now)]
        lost = [*gone, *(t for t in over if t not in gone)]
        for trial in lost:
            self._suspected.pop(trial._trial_id, None)
        return [t for t in lost if fail_externally(self._study, t._trial_id, WORKER_LOST)]

    def _suspicion(self, trial: FrozenTrial, now: float) -> _Suspicion:
        """Return since when a trial has shown no sign of life while it was watched."""
        before, beat = self._suspected.get(trial._trial_id), beat_of(trial)
        return before if before is not None and before.beat == beat else _Suspicion(now, beat)

    def _has_been_watched(self, trial_id: int, now: float) -> bool:
        suspicion = self._suspected.get(trial_id)
        return suspicion is not None and now - suspicion.since >= WATCHED_SECONDS

    def _is_nobodys(self, trial: FrozenTrial) -> bool:
        """Return whether nobody has a name on a running trial: a process ended in between.

        In a storage of ours a trial has one from the beginning on. Elsewhere it has none yet while
        its parameters are suggested; and with parameters it may be of a program of the user's.
        """
        if trial.user_attrs.get(WORKER) is not None:
            return False
        return isinstance(self._study._storage, WorkerStorage) or not trial.params

    def _silent_ids(self) -> set[int]:
        """Return the trials whose heartbeat has stopped for longer than the grace period."""
        storage = self._study._storage
        if isinstance(storage, WorkerStorage):
            return set(storage.silent_trial_ids(self._study._study_id))
        if not (isinstance(storage, BaseHeartbeat) and is_heartbeat_enabled(storage)):
            return set()
        return set(storage._get_stale_trial_ids(self._study._study_id))
