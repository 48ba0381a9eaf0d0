"""What users name a storage by: a database's URL, ``journal:FILE`` or ``grpc://HOST:PORT``."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from objectives.redaction import MASK
from objectives.redaction import is_secret


JOURNAL = "journal:"
PROXY = "grpc://"
EXAMPLES = (
    "sqlite:///scoot.db, postgresql://user@host/database, journal:scoot.log or grpc://host:13000"
)


def mask_url(url: str) -> str:
    """Return a storage's URL without the password and the query, fit to be shown.

    Args:
        url: Of a storage, or anything that a user took for one.

    Example:
        >>> mask_url("postgresql://me:secret@host/db?sslpassword=s")
        'postgresql://me:***@host/db'
    """
    if url.startswith(JOURNAL) and "://" not in url:
        return url
    parsed = parsed_url(url)
    if parsed is not None and not has_stray_at(parsed):
        return parsed.set(query={}).render_as_string(hide_password=True)
    # Not a URL, or one read wrongly: all that stands before the last @ may be a password.
    scheme = re.match(r"([\w+.-]+://)?", url)[0]  # type: ignore[index]
    users, at, place = url[len(scheme) :].rpartition("@")
    if "?" in users:  # the last @ may as well stand in a query
        return f"{scheme}{MASK}"
    return f"{scheme}{MASK + at if at else ''}{place.partition('?')[0]}"


def parsed_url(url: str) -> URL | None:
    """Return a URL in its parts, None where it is none."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        return None


def has_stray_at(url: URL) -> bool:
    """Return whether a password seems to hold a bare @, so that its end was taken for the host."""
    after_password = f"{url.host}{url.database}" if url.password else f"{url.host}"
    return "@" in after_password


def what_is_wrong(url: str) -> str:
    """Return why this is no storage's URL."""
    if "@" in url:
        return (
            f"not a storage URL; use {EXAMPLES}; in its password @ is written as %40, : as %3A and"
            " / as %2F"
        )
    return f"not a storage URL; use {EXAMPLES}"


def file_of(url: str) -> Path | None:
    """Return the file that holds a storage, an SQLite database or a journal; None for others."""
    if url.startswith(JOURNAL):
        return Path(url.removeprefix(JOURNAL))
    parsed = parsed_url(url)
    if parsed is None or parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return None if parsed.database.startswith((":", "file:")) else Path(parsed.database)


def secrets_of(url: str | None) -> set[str]:
    """Return the passwords that a URL holds, as user or in its query."""
    parsed = None if url is None else parsed_url(url)
    if parsed is None:
        return set()
    given = [value for name, value in parsed.normalized_query.items() if is_secret(name)]
    return {str(parsed.password or ""), *(value for values in given for value in values)}
