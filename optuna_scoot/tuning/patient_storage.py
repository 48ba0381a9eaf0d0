"""A storage that waits out an outage.

A tuning run holds hours of measurements. A dropped connection, a database or a proxy that restarts
ends none of it: every call is tried again until the storage answers or has been away for too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages import get_storage
from optuna.trial import TrialState

from optuna_scoot.tuning.deferred_interrupts import deferred_interrupts
from optuna_scoot.tuning.outages import OUTAGE_SECONDS
from optuna_scoot.tuning.outages import is_outage
from optuna_scoot.tuning.outages import proxy_status


T = TypeVar("T")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0

_logger = optuna.logging.get_logger(f"optuna.{__name__}")


def _patient(name: str) -> Any:
    """Return a method that passes its call on to the backend's, and waits out an outage."""

    def call(self: PatientStorage, *args: Any, **kwargs: Any) -> Any:
        return self.patiently(lambda: getattr(self.backend, name)(*args, **kwargs))

    call.__name__ = name
    call.__doc__ = getattr(BaseStorage, name).__doc__
    return call


class PatientStorage(BaseStorage):
    """Another storage, of which every call waits out an outage.

    Args:
        backend: Optuna's storage of any kind.
        url: What it is named by.

    Attributes:
        backend: As given; a database behind Optuna's cache.
        url: As given.
        note: Told when the storage stops answering, and when it answers again.
        seconds: How long all calls so far have taken, outages included.
    """

    def __init__(self, backend: BaseStorage, url: str) -> None:
        self.backend = get_storage(backend)
        self.url = url
        self.note: Callable[[str], None] = _logger.warning
        self.seconds = 0.0
        self._is_away = False

    def patiently(self, call: Callable[[], T], outage_s: float = OUTAGE_SECONDS) -> T:
        """Return what a call returns, tried again while the storage is away.

        Args:
            call: Uses the storage.
            outage_s: For how many seconds the storage may be away.

        Raises:
            StorageInternalError: It has been away for so long, or something else is wrong.
            SQLAlchemyError: The same, of a database.
        """
        began = time.monotonic()
        try:
            return self._until_it_answers(call, outage_s)
        finally:
            self.seconds += time.monotonic() - began

    def _until_it_answers(self, call: Callable[[], T], outage_s: float) -> T:
        began, pause = time.monotonic(), FIRST_PAUSE_S
        while True:
            try:
                with deferred_interrupts():
                    found = call()
            except Exception as error:
                if not is_outage(error) or time.monotonic() - began >= outage_s:
                    if isinstance(error, OSError) or proxy_status(error) is not None:
                        raise StorageInternalError("the storage failed") from error
                    raise
                if pause > 4 * FIRST_PAUSE_S and not self._is_away:  # a lost connection is no news
                    self.note("the storage does not answer: waiting for it")
                    self._is_away = True
                time.sleep(pause)
                pause = min(2.0 * pause, LONGEST_PAUSE_S)
            else:
                if self._is_away:
                    self._is_away = False
                    self.note("the storage answers again")
                return found

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set state and values, once.

        Args:
            trial_id: The trial's.
            state: Its new state.
            values: Its values, where it has any.

        Returns:
            Whether it was done; False where another process runs the trial already.
        """
        tries = 0

        def call() -> bool:
            nonlocal tries
            tries += 1
            try:
                return self.backend.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                # The answer to an earlier try may have been lost, and not what it did.
                if tries > 1 and self.backend.get_trial(trial_id).state == state:
                    return True
                raise

        return self.patiently(call)

    def remove_session(self) -> None:
        """Let go of the connections that this thread holds."""
        self.backend.remove_session()

    create_new_study = _patient("create_new_study")
    delete_study = _patient("delete_study")
    set_study_user_attr = _patient("set_study_user_attr")
    set_study_system_attr = _patient("set_study_system_attr")
    get_study_id_from_name = _patient("get_study_id_from_name")
    get_study_name_from_id = _patient("get_study_name_from_id")
    get_study_directions = _patient("get_study_directions")
    get_study_user_attrs = _patient("get_study_user_attrs")
    get_study_system_attrs = _patient("get_study_system_attrs")
    get_all_studies = _patient("get_all_studies")
    create_new_trial = _patient("create_new_trial")
    set_trial_param = _patient("set_trial_param")
    set_trial_intermediate_value = _patient("set_trial_intermediate_value")
    set_trial_user_attr = _patient("set_trial_user_attr")
    set_trial_system_attr = _patient("set_trial_system_attr")
    get_trial_id_from_study_id_trial_number = _patient("get_trial_id_from_study_id_trial_number")
    get_trial = _patient("get_trial")
    get_all_trials = _patient("get_all_trials")
    get_best_trial = _patient("get_best_trial")


def tell_outages(storage: BaseStorage | None, note: Callable[[str], None]) -> None:
    """Have outages of a storage told; one that is not of ours has none to tell.

    Args:
        storage: As given to Optuna, or as a study has it.
        note: Told when it stops answering, and when it answers again.
    """
    if isinstance(storage, PatientStorage):
        storage.note = note
