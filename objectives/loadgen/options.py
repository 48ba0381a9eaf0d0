"""How a load is run, and what this process has to allow for it."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from objectives.redaction import fits_header


_SPARE_FILES = 64  # file descriptors for everything else in this process


class LoadError(RuntimeError):
    """The load cannot be generated from here; it says nothing about the server."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a workload is run.

    Attributes:
        request_timeout_s: Seconds that one request may take, > 0.
        drain_timeout_s: Seconds after the last arrival until requests still running are given up.
        lateness_limit_s: Largest 99th percentile of ``sent - scheduled`` of a sound measurement.
        api_key: Sent as bearer token; never shown, logged or recorded.
        secrets: What else is left out of a server's words.
        extra_body: Further fields of the request's body.

    Raises:
        LoadError: When a time is not positive, or no HTTP header can carry the key.
    """

    request_timeout_s: float = 300.0
    drain_timeout_s: float = 300.0
    lateness_limit_s: float = 0.1
    api_key: str | None = field(default=None, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("request_timeout_s", "drain_timeout_s", "lateness_limit_s"):
            if not getattr(self, name) > 0:
                raise LoadError(f"{name} must be positive, not {getattr(self, name)}")
        if self.api_key is not None and not fits_header(self.api_key):
            raise LoadError(
                "the API key cannot be sent in an HTTP header: it has to be visible ASCII "
                "characters, without a line end or blanks around them"
            )


def check_limits(n_requests: int) -> None:
    """Allow this process a connection for every request.

    Raises:
        LoadError: When it may not.
    """
    raise_file_limit(n_requests + _SPARE_FILES)


def raise_file_limit(n_files: int) -> None:
    """Allow this process to open so many files at once, raising its soft limit where needed.

    Raises:
        LoadError: When the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= n_files:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, hard))
    except (ValueError, OSError) as error:
        raise LoadError(
            f"the workload may hold {n_files} connections open at once, but this process may open "
            f"{hard} files at most: raise its hard limit (ulimit -Hn) or shorten the workload"
        ) from error
