"""A storage as a worker needs it: its trials have its name at once, and signs of life."""

from __future__ import annotations

import contextlib
import copy
import os
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages._heartbeat import is_heartbeat_enabled
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.heartbeats import BEAT
from optuna_scoot.tuning.heartbeats import HEARTBEAT_SECONDS
from optuna_scoot.tuning.outages import is_outage
from optuna_scoot.tuning.own_trial import OwnTrial
from optuna_scoot.tuning.patient_storage import PatientStorage
from optuna_scoot.tuning.unstored import Unstored
from optuna_scoot.tuning.unstored import Write
from optuna_scoot.tuning.worker_identity import WORKER
from optuna_scoot.tuning.worker_identity import worker_id


SHORT_OUTAGE_S = 2.0
"""For how long a write waits that may wait on disk as well: a lost connection is no outage."""


class WorkerStorage(PatientStorage, BaseHeartbeat):
    """A storage of any kind, for the process that runs trials.

    Every call waits out an outage. A trial carries the name of the process that runs it from the
    moment on that it exists, so that it is known when that process has ended, however it did.

    What it is told of a trial that this process runs waits for no storage: it is kept, on disk
    where there is a folder for it, and stored before the trial ends.

    Args:
        backend: Optuna's storage of any kind; a database with heartbeats keeps those.
        url: What it is named by.

    Attributes:
        unstored: Where to keep what the storage has not taken; None: in memory alone.
    """

    def __init__(self, backend: BaseStorage, url: str) -> None:
        super().__init__(backend, url)
        self.unstored: Unstored | None = None
        self._own: dict[int, OwnTrial] = {}

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
        if template_trial is None:
            self._own[made] = OwnTrial(super().get_trial(made))
        return made

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial; one that this process runs without asking the storage.

        Args:
            trial_id: The trial's.
        """
        own = self._own.get(trial_id)
        if own is not None:
            return copy.deepcopy(own.trial)
        found: FrozenTrial = super().get_trial(trial_id)
        return found

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter.

        Args:
            trial_id: The trial's.
            param_name: The parameter's.
            param_value_internal: Its value, as storages have it.
            distribution: What it is drawn from.
        """
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
        if (own := self._own.get(trial_id)) is not None:
            own.trial.distributions[param_name] = distribution
            own.trial.params[param_name] = distribution.to_external_repr(param_value_internal)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute.

        Args:
            trial_id: The trial's.
            key: The attribute's name.
            value: As JSON takes it.
        """
        self._write(trial_id, Write("set_trial_user_attr", [key, value]))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a system attribute.

        Args:
            trial_id: The trial's.
            key: The attribute's name.
            value: As JSON takes it.
        """
        self._write(trial_id, Write("set_trial_system_attr", [key, value]))

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set an intermediate value.

        Args:
            trial_id: The trial's.
            step: Of the value.
            intermediate_value: The value.
        """
        self._write(trial_id, Write("set_trial_intermediate_value", [step, intermediate_value]))

    def _write(self, trial_id: int, write: Write) -> None:
        """Change a trial: an own one without waiting for a storage that is known to be away."""
        own = self._own.get(trial_id)
        if own is None:
            change = getattr(super(), write.method)
            change(trial_id, *write.arguments)
            return
        is_away = bool(own.unstored)
        own.take(write)
        if not own.is_held:
            self._store(trial_id, own, is_away)

    @contextlib.contextmanager
    def together(self, trial_id: int) -> Iterator[None]:
        """Store what is told of a trial meanwhile at the end, in one go where the backend can.

        Args:
            trial_id: The trial's; nothing changes for one that another process runs.
        """
        own = self._own.get(trial_id)
        if own is None or own.is_held:
            yield
            return
        is_away = bool(own.unstored)
        own.is_held = True
        try:
            yield
        finally:
            own.is_held = False
            if own.unstored:
                self._store(trial_id, own, is_away)

    def _store(self, trial_id: int, own: OwnTrial, is_away: bool) -> None:
        """Store what is told of an own trial, without waiting where the storage is away."""
        try:
            self.patiently(
                lambda: own.store(self.backend, trial_id), 0.0 if is_away else SHORT_OUTAGE_S
            )
        except Exception as error:
            if not is_outage(error):
                self._forget(trial_id)
                raise
            self._keep(own)

    def _keep(self, own: OwnTrial, end: Write | None = None) -> None:
        """Keep on disk what the storage has not taken; what cannot be kept is in memory still."""
        if self.unstored is not None:
            writes = [*own.unstored, *([] if end is None else [end])]
            with contextlib.suppress(OSError, InputError):
                self.unstored.keep(own.trial.number, writes)

    def _end(
        self, trial_id: int, own: OwnTrial, state: TrialState, values: Sequence[float] | None
    ) -> bool:
        """End an own trial, with all that is to be stored of it before."""
        own.end = own.end or Write.of_end(state, values)  # a failure after it ended does not count
        self._keep(own, own.end)
        try:
            self.patiently(lambda: own.store(self.backend, trial_id))
            ended = own.end.end
            assert ended is not None
            done = super().set_trial_state_values(trial_id, *ended)
        except Exception as error:
            if not is_outage(error):
                self._forget(trial_id)
            raise
        self._forget(trial_id)
        return done

    def _forget(self, trial_id: int) -> None:
        own = self._own.pop(trial_id)
        if self.unstored is not None:
            self.unstored.drop(own.trial.number)

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
        own = self._own.get(trial_id)
        if own is not None and state.is_finished():
            return self._end(trial_id, own, state, values)
        done = super().set_trial_state_values(trial_id, state, values)
        if done and state == TrialState.RUNNING:
            self.set_trial_user_attr(trial_id, WORKER, worker_id(os.getpid()))
            self._own[trial_id] = OwnTrial(self.get_trial(trial_id))
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


def keep_unstored(storage: BaseStorage | None, folder: str | Path | None) -> None:
    """Have what a storage of ours does not take at once kept in a folder.

    Args:
        storage: As given to Optuna, or as a study has it.
        folder: Made when there is something to keep; None: it is kept in memory alone.
    """
    if isinstance(storage, WorkerStorage):
        storage.unstored = None if folder is None else Unstored(Path(folder))
