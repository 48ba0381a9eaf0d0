"""How a load is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from objectives.redaction import fits_header


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
