"""Optuna's storage in a database: opened by several processes at once, trials begun once."""

from __future__ import annotations

import json
import os
import random
import time
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import TrialState
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from objectives.redaction import hide
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.heartbeats import GRACE_SECONDS
from optuna_scoot.tuning.heartbeats import HEARTBEAT_SECONDS
from optuna_scoot.tuning.outages import OUTAGE_SECONDS
from optuna_scoot.tuning.outages import broke_off
from optuna_scoot.tuning.outages import is_outage
from optuna_scoot.tuning.outages import proxy_details
from optuna_scoot.tuning.private_files import make_private
from optuna_scoot.tuning.result_files import check_room
from optuna_scoot.tuning.storage_urls import EXAMPLES
from optuna_scoot.tuning.storage_urls import file_of
from optuna_scoot.tuning.storage_urls import has_stray_at
from optuna_scoot.tuning.storage_urls import mask_url
from optuna_scoot.tuning.storage_urls import parsed_url
from optuna_scoot.tuning.storage_urls import secrets_of
from optuna_scoot.tuning.storage_urls import what_is_wrong


SQLITE_BUSY_SECONDS = 60
_INSERTS: dict[str, Callable[[Any], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
"""Inserts that update what is there, as both spell them alike."""
_PACKAGES = {
    "MySQLdb": "mysqlclient",
    "mysql": "mysql-connector-python",
    "psycopg": "'optuna-scoot[postgres]'",
    "psycopg2": "'optuna-scoot[postgres]'",
}
"""What installs a driver, where that has another name."""


class Database(RDBStorage):
    """Optuna's storage in a database, where a waiting trial is begun by one process alone."""

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set state and values.

        Args:
            trial_id: The trial's.
            state: Its new state.
            values: Its values, where it has any.

        Returns:
            Whether it was done; False where another process runs the trial already.
        """
        if state == TrialState.RUNNING:
            return self._begin(trial_id)
        return super().set_trial_state_values(trial_id, state, values)

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

    def set_trial_attrs(
        self, trial_id: int, user_attrs: Mapping[str, Any], system_attrs: Mapping[str, Any]
    ) -> None:
        """Set attributes of a trial in one transaction, of a statement a kind.

        Args:
            trial_id: The trial's.
            user_attrs: As JSON takes them.
            system_attrs: The same.
        """
        with _create_scoped_session(self.scoped_session, True) as session:
            trial = models.TrialModel.find_or_raise_by_id(trial_id, session)
            state: Any = trial.state
            self.check_trial_is_updatable(trial_id, state)
            self._set_attrs(session, models.TrialUserAttributeModel, trial_id, user_attrs)
            self._set_attrs(session, models.TrialSystemAttributeModel, trial_id, system_attrs)

    def _set_attrs(
        self,
        session: Session,
        model: type[models.TrialUserAttributeModel | models.TrialSystemAttributeModel],
        trial_id: int,
        attrs: Mapping[str, Any],
    ) -> None:
        if not attrs:
            return
        if self.engine.name not in _INSERTS:
            for key, value in attrs.items():
                self._set_trial_attr_without_commit(session, model, trial_id, key, value)
            return
        rows = [
            {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
            for key, value in attrs.items()
        ]
        insert = _INSERTS[self.engine.name](model).values(rows)
        update = {"value_json": insert.excluded.value_json}
        session.execute(
            insert.on_conflict_do_update(index_elements=[model.trial_id, model.key], set_=update)
        )


def _package(error: ImportError) -> str:
    """Return what installs the module that was not found."""
    cause = error.__cause__ or error
    module = str(getattr(cause, "name", None) or getattr(error, "name", None))
    return _PACKAGES.get(module, module)


def check_database(url: str) -> None:
    """Check what can be seen of a database without opening it, which would make its tables.

    Raises:
        InputError: The URL is no URL, or names a file where none can be.
    """
    parsed = parsed_url(url)
    if parsed is None or has_stray_at(parsed):
        raise InputError(f"storage {mask_url(url)}: {what_is_wrong(url)}")
    if (file := file_of(url)) is None:
        return
    folder = file.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"storage {mask_url(url)}: unable to open database file: no files can be made in"
            f" {folder}"
        )
    check_room(folder, f"storage {mask_url(url)}")


def open_database(url: str) -> Database:
    """Connect to the database and make Optuna's tables where they are missing.

    Several processes may do so at once.

    Args:
        url: An SQLAlchemy URL such as ``sqlite:///scoot.db``.

    Raises:
        InputError: The URL is no URL, names an unknown or missing driver, or the database cannot
            be reached, is not one, or belongs to another version of Optuna.
    """
    shown = mask_url(url)
    if url in ("sqlite://", "sqlite:///:memory:"):
        raise InputError(f"storage {shown} keeps nothing after the command; use {EXAMPLES}")
    if (file := file_of(url)) is not None:
        make_private(file)
    try:
        return _connected(url)
    except NoSuchModuleError:
        raise InputError(f"storage {shown}: no such kind of database; use {EXAMPLES}") from None
    except (ArgumentError, ValueError):
        raise InputError(f"storage {shown}: {what_is_wrong(url)}") from None
    except ImportError as error:
        raise InputError(
            f"storage {shown}: its driver is not installed: pip install {_package(error)}"
        ) from None
    except SQLAlchemyError as error:
        raise InputError(f"storage {shown}: {storage_message(error, url)}") from None
    except RuntimeError as error:
        raise InputError(f"storage {shown}: {_advice(error)}") from None


def _advice(error: RuntimeError) -> str:
    """Return what to do about tables that the installed Optuna does not take.

    Optuna names its command to upgrade them where it knows them: then they are older.
    """
    if "storage upgrade" in str(error):
        return (
            "its tables are of an older version of Optuna; use another database, or upgrade it"
            " with: optuna storage upgrade --storage URL"
        )
    return (
        f"its tables are of a newer version of Optuna than {optuna.__version__}, which is"
        " installed here: upgrade Optuna (pip install -U optuna), or use another database"
    )


def _connected(url: str) -> Database:
    """Connect and make the tables, as often as others make the same ones at the same moment.

    A database that does not take a connection is refused; one that breaks it off is waited for.
    """
    connect_args = {"timeout": SQLITE_BUSY_SECONDS} if url.startswith("sqlite") else {}
    began, was_there = time.monotonic(), False
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return Database(
                    url,
                    engine_kwargs={"connect_args": connect_args},
                    heartbeat_interval=HEARTBEAT_SECONDS,
                    grace_period=GRACE_SECONDS,
                )
        except (SQLAlchemyError, StorageInternalError) as error:
            away = is_outage(error)
            was_there = was_there or (away and (broke_off(error) or _answers(url)))
            if not _is_made_by_another(error) and not (away and was_there):
                raise
            if time.monotonic() - began > OUTAGE_SECONDS:
                raise
            time.sleep(random.uniform(0.1, 0.5))


def _answers(url: str) -> bool:
    """Return whether a database takes a connection now."""
    engine = create_engine(url)
    try:
        with engine.connect():
            return True
    except SQLAlchemyError:
        return False
    finally:
        engine.dispose()


def _is_made_by_another(error: Exception) -> bool:
    """Return whether something could not be made because it is there by now."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return isinstance(cause, IntegrityError) or "already exists" in str(cause)


def storage_message(error: Exception, url: str | None) -> str:
    """Return what a storage's driver says, on one line and without the URL's passwords."""
    cause = getattr(error, "orig", None) or getattr(error.__cause__, "orig", error.__cause__)
    said = proxy_details(cause) or getattr(cause, "strerror", None) or cause
    message = " ".join(str(error if said is None else said).split())
    return hide(message, secrets_of(url))
