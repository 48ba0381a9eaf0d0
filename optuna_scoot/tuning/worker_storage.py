"""A database as a worker needs it: it waits out an outage, and a trial has a name on it at once.

A tuning run holds hours of measurements. A dropped connection or a database that restarts ends
none of it: every call is tried again until the database answers or has been away for too long.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from collections.abc import Sequence
from datetime import datetime
from functools import wraps
from typing import Any
from typing import TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import InterfaceError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import PendingRollbackError

from optuna_scoot.tuning.worker_identity import WORKER
from optuna_scoot.tuning.worker_identity import worker_id


T = TypeVar("T")

OUTAGE_SECONDS = 600.0
"""How long a database may be away before the run ends."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
_BUSY = ("locked", "busy")
_BROKE_OFF = ("closed the connection", "terminating connection", "Lost connection")
"""Of PostgreSQL's and MySQL's drivers."""

_logger = optuna.logging.get_logger(f"optuna.{__name__}")


class WorkerStorage(RDBStorage):
    """Optuna's storage on a database, for the process that runs trials.

    Every call waits out an outage. A trial carries the name of the process that runs it from the
    moment on that it exists, so that it is known when that process has ended, however it did.

    Args:
        args: As for ``RDBStorage``.
        kwargs: The same.

    Attributes:
        note: Told when the database stops answering, and when it answers again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.note: Callable[[str], None] = _logger.warning
        super().__init__(*args, **kwargs)

    def patiently(self, call: Callable[[], T]) -> T:
        """Return what a call returns, tried again while the database is away.

        Raises:
            StorageInternalError: It has been away for ten minutes, or something else is wrong.
            SQLAlchemyError: The same.
        """
        began, pause = time.monotonic(), FIRST_PAUSE_S
        told = False
        while True:
            try:
                found = call()
            except Exception as error:
                if not is_outage(error) or time.monotonic() - began > OUTAGE_SECONDS:
                    raise
                if pause > 4 * FIRST_PAUSE_S and not told:  # a lost connection is no news
                    self.note("the storage does not answer: waiting for it")
                    told = True
                time.sleep(pause)
                pause = min(2.0 * pause, LONGEST_PAUSE_S)
            else:
                if told:
                    self.note("the storage answers again")
                return found

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        template = _claimed_trial() if template_trial is None else template_trial
        create = super()._create_new_trial
        return self.patiently(lambda: create(study_id, template))

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
        if state == TrialState.RUNNING:
            begun = self.patiently(lambda: self._begin(trial_id))
            if begun:
                self.set_trial_user_attr(trial_id, WORKER, worker_id(os.getpid()))
            return begun
        tries = 0
        set_values = super().set_trial_state_values

        def call() -> bool:
            nonlocal tries
            tries += 1
            try:
                return set_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                # The answer to an earlier try may have been lost, and not what it did.
                if tries > 1 and self.get_trial(trial_id).state == state:
                    return True
                raise

        return self.patiently(call)

    def _begin(self, trial_id: int) -> bool:
        """Have a waiting trial run; False where it waits no longer.

        In one statement: SQLite locks no row between one that looks and one that writes, so that
        two processes would begin the same trial.
        """
        with _create_scoped_session(self.scoped_session) as session:
            trial = session.query(models.TrialModel).filter_by(trial_id=trial_id)
            waiting = trial.filter_by(state=TrialState.WAITING)
            if waiting.update({"state": TrialState.RUNNING}, synchronize_session=False) != 1:
                return False
            trial.one().datetime_start = datetime.now()
        return True

    def record_heartbeat(self, trial_id: int) -> None:
        """Record that a trial's worker lives; during an outage there is none to be recorded.

        Args:
            trial_id: The trial's.
        """
        try:
            super().record_heartbeat(trial_id)
        except Exception as error:
            if not is_outage(error):
                raise


def tell_outages(storage: BaseStorage | None, note: Callable[[str], None]) -> None:
    """Have outages of a storage told; one that is no database of ours has none to tell.

    Args:
        storage: As given to Optuna, or as a study has it.
        note: Told when it stops answering, and when it answers again.
    """
    backend = getattr(storage, "_backend", storage)  # Optuna caches what is in a database
    if isinstance(backend, WorkerStorage):
        backend.note = note


def _claimed_trial() -> FrozenTrial:
    """Return a trial that runs in this process, to be made in one step with its claim."""
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
        system_attrs={},
        intermediate_values={},
    )


def is_outage(error: BaseException) -> bool:
    """Return whether an error says that the database is away or busy, and not what is wrong.

    Args:
        error: Of a call to a storage.
    """
    cause = _cause(error)
    if isinstance(cause, DBAPIError) and isinstance(cause.orig, sqlite3.Error):
        return any(word in str(cause.orig) for word in _BUSY)
    return broke_off(error) or isinstance(cause, OperationalError | InterfaceError)


def broke_off(error: BaseException) -> bool:
    """Return whether an outage began after a connection was made.

    Args:
        error: As for ``is_outage``.
    """
    cause = _cause(error)
    if isinstance(cause, PendingRollbackError):
        return True
    if not isinstance(cause, DBAPIError) or isinstance(cause.orig, sqlite3.Error):
        return False
    # A driver does not always notice that its connection has ended; a statement needed one.
    in_statement = isinstance(cause, OperationalError) and cause.statement is not None
    said = any(words in str(cause.orig) for words in _BROKE_OFF)
    return cause.connection_invalidated or in_statement or said


def _cause(error: BaseException) -> BaseException | None:
    """Return the database's error that Optuna passes on in one of its own."""
    return error.__cause__ if isinstance(error, StorageInternalError) else error


def _patient(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of ``RDBStorage`` as one that waits out an outage."""

    @wraps(method)
    def call(self: WorkerStorage, *args: Any, **kwargs: Any) -> Any:
        return self.patiently(lambda: method(self, *args, **kwargs))

    return call


for _name in (
    "create_new_study",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "set_trial_param",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "get_trial_id_from_study_id_trial_number",
    "get_trial",
    "get_all_trials",
    "_get_trials",
    "get_best_trial",
    "_get_stale_trial_ids",
):
    setattr(WorkerStorage, _name, _patient(getattr(RDBStorage, _name)))
