"""A storage as a worker needs it: its trials have its name at once, and signs of life."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from collections.abc import Sequence
from datetime import datetime

from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages._heartbeat import is_heartbeat_enabled
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.tuning.heartbeats import BEAT
from optuna_scoot.tuning.heartbeats import HEARTBEAT_SECONDS
from optuna_scoot.tuning.patient_storage import PatientStorage
from optuna_scoot.tuning.worker_identity import WORKER
from optuna_scoot.tuning.worker_identity import worker_id


class WorkerStorage(PatientStorage, BaseHeartbeat):
    """A storage of any kind, for the process that runs trials.

    Every call waits out an outage. A trial carries the name of the process that runs it from the
    moment on that it exists, so that it is known when that process has ended, however it did.

    Args:
        backend: Optuna's storage of any kind; a database with heartbeats keeps those.
        url: What it is named by.
    """

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Make a trial; one that this process runs is made in one step with its claim.

        Args:
            study_id: The study's.
            template_trial: What it is to be; None for one that this process runs.

        Returns:
            What the storage calls it.
        """
        template = self._claimed_trial() if template_trial is None else template_trial
        made: int = super().create_new_trial(study_id, template)
        return made

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set state and values; a trial that begins to run is claimed.

        Args:
            trial_id: The trial's.
            state: Its new state.
            values: Its values, where it has any.

        Returns:
            Whether it was done; False where another process runs the trial already.
        """
        done = super().set_trial_state_values(trial_id, state, values)
        if done and state == TrialState.RUNNING:
            self.set_trial_user_attr(trial_id, WORKER, worker_id(os.getpid()))
        return done

    def record_heartbeat(self, trial_id: int) -> None:
        """Record that a trial's worker lives, where that can be done now.

        Args:
            trial_id: The trial's.
        """
        # What is wrong with the storage or the trial is told by the trial's own calls. Here it
        # would end the thread, after which others take the trial for lost.
        with contextlib.suppress(Exception):
            if self._has_heartbeats:
                self.backend.record_heartbeat(trial_id)  # type: ignore[attr-defined]
            else:
                self.backend.set_trial_system_attr(trial_id, BEAT, time.time())

    def silent_trial_ids(self, study_id: int) -> list[int]:
        """Return the trials whose heartbeats have stopped in a database that keeps them.

        Args:
            study_id: Of the study.
        """
        if not self._has_heartbeats:
            return []
        backend = self.backend
        return self.patiently(
            lambda: backend._get_stale_trial_ids(study_id)  # type: ignore[attr-defined]
        )

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Return nothing: Optuna would fail them at once, and not watch them (``lost_trials``)."""
        return []

    def get_heartbeat_interval(self) -> int:
        """Return the seconds between two signs of life."""
        return HEARTBEAT_SECONDS

    def get_heartbeat_stale_trial_callback(self) -> Callable[[Study, FrozenTrial], None] | None:
        """Return None: what has to follow on a lost trial is the loop's to do."""
        return None

    @property
    def _has_heartbeats(self) -> bool:
        return is_heartbeat_enabled(self.backend)

    def _claimed_trial(self) -> FrozenTrial:
        """Return a trial that runs in this process."""
        return FrozenTrial(
            number=-1,
            trial_id=-1,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={WORKER: worker_id(os.getpid())},
            system_attrs={} if self._has_heartbeats else {BEAT: time.time()},
            intermediate_values={},
        )
