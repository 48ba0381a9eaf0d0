"""Which errors of a storage say that it is away for a while, and not that something is wrong."""

from __future__ import annotations

import errno
import sqlite3

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import InterfaceError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import PendingRollbackError


OUTAGE_SECONDS = 600.0
"""How long a storage may be away before the run ends."""
_BUSY = ("locked", "busy")
_BROKE_OFF = ("closed the connection", "terminating connection", "Lost connection")
"""Of PostgreSQL's and MySQL's drivers."""
_PROXY_AWAY = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")
_BEHIND_PROXY = ("OperationalError", "InterfaceError", "PendingRollback", "during the commit")
"""In what a proxy passes on of an error that it met, where the database behind it is away."""
_LOCK_BROKEN = "did not possess lock"
"""Of a journal: this process stood still for so long that others took its lock from it."""
_FILE_AWAY = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOLCK)
"""Of a file server that restarts, or cannot be reached."""


def is_outage(error: BaseException) -> bool:
    """Return whether an error says that the storage is away or busy, and not what is wrong.

    Args:
        error: Of a call to a storage.
    """
    cause = _cause(error)
    if isinstance(cause, DBAPIError) and isinstance(cause.orig, sqlite3.Error):
        return any(word in str(cause.orig) for word in _BUSY)
    if (status := proxy_status(cause)) is not None:
        return status in _PROXY_AWAY or (status == "UNKNOWN" and _is_away_behind(cause))
    if isinstance(cause, RuntimeError) and _LOCK_BROKEN in str(cause):
        return True
    if isinstance(cause, OSError):
        return cause.errno in _FILE_AWAY
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


def proxy_status(error: BaseException | None) -> str | None:
    """Return the name of a gRPC error's status, None of any other error; without gRPC itself."""
    code = getattr(error, "code", None)
    return getattr(code(), "name", None) if callable(code) else None


def proxy_details(error: BaseException | None) -> str:
    """Return what a gRPC error says."""
    details = getattr(error, "details", None)
    return str(details() or "") if callable(details) else ""


def _is_away_behind(error: BaseException | None) -> bool:
    said = proxy_details(error)
    if "sqlite3." in said:
        return any(word in said for word in _BUSY)
    return any(word in said for word in (*_BEHIND_PROXY, *_BROKE_OFF))


def _cause(error: BaseException) -> BaseException | None:
    """Return the storage's error that Optuna passes on in one of its own."""
    return error.__cause__ if isinstance(error, StorageInternalError) else error
