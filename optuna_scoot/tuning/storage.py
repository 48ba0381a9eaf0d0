"""Open the storage and the study."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from sqlalchemy.exc import SQLAlchemyError

from optuna_scoot.tuning.databases import check_database
from optuna_scoot.tuning.databases import open_database
from optuna_scoot.tuning.databases import storage_message
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.errors import StoppedError
from optuna_scoot.tuning.journals import check_journal
from optuna_scoot.tuning.journals import open_journal
from optuna_scoot.tuning.proxies import check_proxy
from optuna_scoot.tuning.proxies import open_proxy
from optuna_scoot.tuning.storage_urls import JOURNAL
from optuna_scoot.tuning.storage_urls import PROXY
from optuna_scoot.tuning.storage_urls import file_of
from optuna_scoot.tuning.storage_urls import mask_url
from optuna_scoot.tuning.worker_storage import WorkerStorage


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.samplers import BaseSampler
    from optuna.study import Study


SETTINGS = "tuned_with"
"""Study attribute: what has to be the same for its trials to be comparable."""
MEASUREMENTS = "-verify"
"""Ends the name of the study that holds the measurements of a verdict, after the tuned one's."""


def check_storage(url: str) -> None:
    """Check what can be seen of a storage without opening it, which would make what it is in.

    Args:
        url: An SQLAlchemy URL, ``journal:FILE`` or ``grpc://HOST:PORT``.

    Raises:
        InputError: The URL is no URL, or names a file where none can be.
    """
    if url.startswith(JOURNAL):
        check_journal(url)
    elif url.startswith(PROXY):
        check_proxy(url)
    else:
        check_database(url)


def open_storage(url: str) -> WorkerStorage:
    """Open a storage for a worker, and make what is missing of it.

    Several processes may do so at once.

    Args:
        url: An SQLAlchemy URL such as ``sqlite:///scoot.db``, ``journal:FILE`` or
            ``grpc://HOST:PORT``.

    Raises:
        InputError: It cannot be used, or not be reached.
    """
    if url.startswith(JOURNAL):
        return WorkerStorage(open_journal(url), url)
    if url.startswith(PROXY):
        return WorkerStorage(open_proxy(url), url)
    return WorkerStorage(open_database(url), url)


def shown_storage(storage: str | BaseStorage | None) -> str | None:
    """Return the URL of a storage without secrets, or what it is; None for none."""
    if storage is None:
        return None
    url = _url_of(storage)
    return type(storage).__name__ if url is None else mask_url(url)


@contextlib.contextmanager
def storage_failures(storage: str | BaseStorage | None) -> Iterator[None]:
    """Turn the errors of a storage that fails in the middle into one line.

    Raises:
        StoppedError: It does.
    """
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        message = storage_message(error, _url_of(storage))
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


def load_study(url: str, name: str | None = None, *, of_anybody: bool = False) -> Study:
    """Return a study that exists, without making anything.

    Args:
        url: Of the storage.
        name: The study's; None for the one that was tuned there, where it is the only one.
        of_anybody: Whether a study that ``tune`` did not make will do where there is no other.

    Raises:
        InputError: There is none of this name or several, or the database cannot be reached.
    """
    shown = mask_url(url)
    named = "" if name is None else f" {name!r}"
    missing = f"there is no study{named} in storage {shown}: tune first"
    check_storage(url)
    file = file_of(url)
    if file is not None and not file.is_file():
        raise InputError(missing)
    storage = open_storage(url)
    if name is None:
        studies = storage.get_all_studies()
        tuned = [study for study in studies if SETTINGS in study.user_attrs]
        names = [s.study_name for s in (tuned or studies if of_anybody else tuned)]
        names = [n for n in names if n.removesuffix(MEASUREMENTS) not in {*names} - {n}]
        if len(names) != 1:
            found = f"has the studies {', '.join(sorted(names))}" if names else "has no study"
            raise InputError(f"`study`: storage {shown} {found}: name one")
        name = names[0]
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        raise InputError(missing) from None
