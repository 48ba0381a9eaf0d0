"""Open the storage, and name it without giving a secret away."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.exc import SQLAlchemyError

from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.errors import StoppedError
from optuna_scoot.tuning.result_files import check_room


HEARTBEAT_SECONDS = 10
GRACE_SECONDS = 60
SQLITE_BUSY_SECONDS = 60
EXAMPLES = "sqlite:///scoot.db or postgresql://user@host/database"


def mask_url(url: str) -> str:
    """Return the storage URL without the password and the query, fit to be shown.

    Args:
        url: An SQLAlchemy URL, or anything that a user took for one.

    Example:
        >>> mask_url("postgresql://me:secret@host/db?sslpassword=s")
        'postgresql://me:***@host/db'
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        # Not a URL: what stands before an @ may still be a password.
        return re.sub(r"(//)?[^/@]*@", r"\1***@", url.partition("?")[0])
    return parsed.set(query={}).render_as_string(hide_password=True)


def check_storage(url: str) -> None:
    """Check what can be seen of a storage without opening it, which would make its tables.

    Raises:
        InputError: The URL is no URL, or names a file where none can be.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise InputError(f"storage {mask_url(url)}: not a storage URL; use {EXAMPLES}") from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    if parsed.database.startswith((":", "file:")):
        return
    folder = Path(parsed.database).absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"storage {mask_url(url)}: unable to open database file: no files can be made in"
            f" {folder}"
        )
    check_room(folder, f"storage {mask_url(url)}")


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Connect to the database and make Optuna's tables where they are missing.

    Args:
        url: An SQLAlchemy URL such as ``sqlite:///scoot.db``.

    Raises:
        InputError: The URL is no URL, names an unknown or missing driver, or the database cannot
            be reached, is not one, or belongs to another version of Optuna.
    """
    shown = mask_url(url)
    if url in ("sqlite://", "sqlite:///:memory:"):
        raise InputError(f"storage {shown} keeps nothing after the command; use {EXAMPLES}")
    connect_args = {"timeout": SQLITE_BUSY_SECONDS} if url.startswith("sqlite") else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.RDBStorage(
                url,
                engine_kwargs={"connect_args": connect_args},
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=GRACE_SECONDS,
            )
    except NoSuchModuleError:
        raise InputError(f"storage {shown}: no such kind of database; use {EXAMPLES}") from None
    except (ArgumentError, ValueError):
        raise InputError(f"storage {shown}: not a storage URL; use {EXAMPLES}") from None
    except ImportError:
        raise InputError(
            f"storage {shown}: its driver is not installed;"
            " for PostgreSQL: pip install 'optuna-scoot[postgres]'"
        ) from None
    except SQLAlchemyError as error:
        raise InputError(f"storage {shown}: {database_message(error, url)}") from None
    except RuntimeError:
        raise InputError(
            f"storage {shown}: its tables are of another version of Optuna;"
            " use another database, or upgrade it with: optuna storage upgrade"
        ) from None


def database_message(error: Exception, url: str | None) -> str:
    """Return what the database driver says, on one line and without the URL's password."""
    cause = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None)
    message = " ".join(str(cause if cause is not None else error).split())
    password = None if url is None else make_url(url).password
    return message.replace(str(password), "***") if password else message


def shown_storage(storage: str | BaseStorage | None) -> str | None:
    """Return the URL of a storage without secrets, or what it is; None for none."""
    if storage is None:
        return None
    url = _url_of(storage)
    return type(storage).__name__ if url is None else mask_url(url)


@contextlib.contextmanager
def storage_failures(storage: str | BaseStorage | None) -> Iterator[None]:
    """Turn the errors of a database that fails in the middle into one line.

    Raises:
        StoppedError: It does.
    """
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        message = database_message(error, _url_of(storage))
        raise StoppedError(f"storage {shown_storage(storage)}: {message}") from error


def _url_of(storage: str | BaseStorage | None) -> str | None:
    url = storage if isinstance(storage, str) else getattr(storage, "url", None)
    return url if isinstance(url, str) else None
