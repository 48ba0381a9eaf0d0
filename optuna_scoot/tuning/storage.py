"""Open the storage and the study; see that what it holds can be compared with what follows."""

from __future__ import annotations

import contextlib
import json
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.distributions import check_distribution_compatibility
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.exc import SQLAlchemyError

from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.errors import StoppedError
from optuna_scoot.tuning.result_files import check_room


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study

    from optuna_scoot.tuning.task import TuningTask


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
    found = [direction.name.lower() for direction in study.directions]
    if found != list(directions):
        raise InputError(
            f"study {name!r} exists and has other objectives"
            f" ({', '.join(found)} instead of {', '.join(directions)});"
            " give another name with `study_name`"
        )
    return study


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
    parsed = make_url(url)
    file = parsed.database or ""
    is_file = parsed.get_backend_name() == "sqlite" and not file.startswith((":", "file:"))
    if is_file and not Path(file).is_file():
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


def check_comparable(study: Study, task: TuningTask) -> None:
    """Refuse a study whose trials cannot be compared with further ones.

    Raises:
        InputError: The study was tuned with another engine, load or set of arguments, or has
            other choices for a parameter.
    """
    parameters = task.objective.space.parameters
    for trial in study.get_trials(deepcopy=False):
        for name in trial.distributions.keys() & parameters.keys():
            _check_distribution(study, trial.distributions[name], parameters[name], name)
    wanted = json.loads(json.dumps(dict(task.settings)))
    found = study.user_attrs.get(SETTINGS)
    if found is None:
        study.set_user_attr(SETTINGS, wanted)
        return
    names = dict.fromkeys([*found, *wanted])
    changed = [name for name in names if found.get(name) != wanted.get(name)]
    if changed:
        changes = ", ".join(f"{n} {found.get(n)} then, {wanted.get(n)} now" for n in changed)
        raise InputError(
            f"study {study.study_name!r} was tuned differently ({changes}):"
            " its trials could not be compared; give another name with `study_name`"
        )


def _check_distribution(
    study: Study, found: BaseDistribution, wanted: BaseDistribution, name: str
) -> None:
    try:
        check_distribution_compatibility(found, wanted)
    except ValueError:
        raise InputError(
            f"study {study.study_name!r} has other choices for {name} ({found}"
            f" then, {wanted} now); give another name with `study_name`"
        ) from None
