"""Open the storage and the study."""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from sqlalchemy import create_engine
from sqlalchemy.engine import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.exc import SQLAlchemyError

from objectives.redaction import MASK
from objectives.redaction import hide
from objectives.redaction import is_secret
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.errors import StoppedError
from optuna_scoot.tuning.private_files import make_private
from optuna_scoot.tuning.result_files import check_room
from optuna_scoot.tuning.worker_storage import OUTAGE_SECONDS
from optuna_scoot.tuning.worker_storage import WorkerStorage
from optuna_scoot.tuning.worker_storage import broke_off
from optuna_scoot.tuning.worker_storage import is_outage


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.samplers import BaseSampler
    from optuna.study import Study


HEARTBEAT_SECONDS = 10
GRACE_SECONDS = 60
SQLITE_BUSY_SECONDS = 60
SETTINGS = "tuned_with"
"""Study attribute: what has to be the same for its trials to be comparable."""
MEASUREMENTS = "-verify"
"""Ends the name of the study that holds the measurements of a verdict, after the tuned one's."""
EXAMPLES = "sqlite:///scoot.db or postgresql://user@host/database"


def mask_url(url: str) -> str:
    """Return the storage URL without the password and the query, fit to be shown.

    Args:
        url: An SQLAlchemy URL, or anything that a user took for one.

    Example:
        >>> mask_url("postgresql://me:secret@host/db?sslpassword=s")
        'postgresql://me:***@host/db'
    """
    parsed = _parsed(url)
    if parsed is not None and not _has_stray_at(parsed):
        return parsed.set(query={}).render_as_string(hide_password=True)
    # Not a URL, or one read wrongly: all that stands before the last @ may be a password.
    scheme = re.match(r"([\w+.-]+://)?", url)[0]  # type: ignore[index]
    users, at, place = url[len(scheme) :].rpartition("@")
    if "?" in users:  # the last @ may as well stand in a query
        return f"{scheme}{MASK}"
    return f"{scheme}{MASK + at if at else ''}{place.partition('?')[0]}"


def _parsed(url: str) -> URL | None:
    """Return a URL in its parts, None where it is none."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        return None


def _has_stray_at(url: URL) -> bool:
    """Return whether a password seems to hold a bare @, so that its end was taken for the host."""
    after_password = f"{url.host}{url.database}" if url.password else f"{url.host}"
    return "@" in after_password


def check_storage(url: str) -> None:
    """Check what can be seen of a storage without opening it, which would make its tables.

    Raises:
        InputError: The URL is no URL, or names a file where none can be.
    """
    parsed = _parsed(url)
    if parsed is None or _has_stray_at(parsed):
        raise InputError(f"storage {mask_url(url)}: {_what_is_wrong(url)}")
    if (file := _sqlite_file(url)) is None:
        return
    folder = file.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"storage {mask_url(url)}: unable to open database file: no files can be made in"
            f" {folder}"
        )
    check_room(folder, f"storage {mask_url(url)}")


def _sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite database, None where there is none."""
    parsed = _parsed(url)
    if parsed is None or parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return None if parsed.database.startswith((":", "file:")) else Path(parsed.database)


def _what_is_wrong(url: str) -> str:
    """Return why this is no storage URL."""
    if "@" in url:
        return (
            f"not a storage URL; use {EXAMPLES}; in its password @ is written as %40, : as %3A and"
            " / as %2F"
        )
    return f"not a storage URL; use {EXAMPLES}"


def open_storage(url: str) -> WorkerStorage:
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
    if (file := _sqlite_file(url)) is not None:
        make_private(file)
    try:
        return _connected(url)
    except NoSuchModuleError:
        raise InputError(f"storage {shown}: no such kind of database; use {EXAMPLES}") from None
    except (ArgumentError, ValueError):
        raise InputError(f"storage {shown}: {_what_is_wrong(url)}") from None
    except ImportError:
        raise InputError(
            f"storage {shown}: its driver is not installed;"
            " for PostgreSQL: pip install 'optuna-scoot[postgres]'"
        ) from None
    except SQLAlchemyError as error:
        raise InputError(f"storage {shown}: {database_message(error, url)}") from None
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


def _connected(url: str) -> WorkerStorage:
    """Connect and make the tables, as often as others make the same ones at the same moment.

    A database that does not take a connection is refused; one that breaks it off is waited for.
    """
    connect_args = {"timeout": SQLITE_BUSY_SECONDS} if url.startswith("sqlite") else {}
    began, was_there = time.monotonic(), False
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return WorkerStorage(
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


def database_message(error: Exception, url: str | None) -> str:
    """Return what the database driver says, on one line and without the URL's passwords."""
    cause = getattr(error, "orig", None) or getattr(error.__cause__, "orig", error.__cause__)
    message = " ".join(str(cause if cause is not None else error).split())
    return hide(message, _secrets_of(url))


def _secrets_of(url: str | None) -> set[str]:
    """Return the passwords that a URL holds, as user or in its query."""
    parsed = None if url is None else _parsed(url)
    if parsed is None:
        return set()
    given = [value for name, value in parsed.normalized_query.items() if is_secret(name)]
    return {str(parsed.password or ""), *(value for values in given for value in values)}


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


def open_study(
    storage: BaseStorage | None,
    name: str | None,
    directions: Sequence[str],
    sampler: BaseSampler,
) -> Study:
    """Load the study of this name, or make it.

    Args:
        storage: Where it lives; None keeps it in memory.
        name: The study's name; None lets Optuna make one up.
        directions: "minimize" or "maximize" for each objective.
        sampler: What suggests its further trials.

    Raises:
        InputError: A study of this name exists with other objectives.
    """
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=[StudyDirection[direction.upper()] for direction in directions],
        sampler=sampler,
        load_if_exists=True,
    )
    check_directions(study, directions)
    return study


def check_directions(study: Study, directions: Sequence[str]) -> None:
    """Refuse a study with other objectives.

    Raises:
        InputError: It is to minimise or maximise something else than these.
    """
    found = [direction.name.lower() for direction in study.directions]
    if found != list(directions):
        raise InputError(
            f"study {study.study_name!r} exists and has other objectives"
            f" ({', '.join(found)} instead of {', '.join(directions)});"
            " give another name with `study_name`"
        )


def load_study(url: str, name: str | None = None) -> Study:
    """Return a study that exists, without making anything.

    Args:
        url: Of the storage.
        name: The study's; None for the one that was tuned there, where it is the only one.

    Raises:
        InputError: There is none of this name or several, or the database cannot be reached.
    """
    shown = mask_url(url)
    named = "" if name is None else f" {name!r}"
    missing = f"there is no study{named} in storage {shown}: tune first"
    check_storage(url)
    file = _sqlite_file(url)
    if file is not None and not file.is_file():
        raise InputError(missing)
    storage = open_storage(url)
    if name is None:
        names = [s.study_name for s in storage.get_all_studies() if SETTINGS in s.user_attrs]
        names = [n for n in names if n.removesuffix(MEASUREMENTS) not in {*names} - {n}]
        if len(names) != 1:
            found = f"has the studies {', '.join(sorted(names))}" if names else "has no study"
            raise InputError(f"`study`: storage {shown} {found}: name one")
        name = names[0]
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        raise InputError(missing) from None
