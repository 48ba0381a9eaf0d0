"""TCP ports for engines: one that nobody holds, and whether one is free again."""

from __future__ import annotations

import errno
import random
import socket
import time

from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason


# Below the ports that Linux hands out to outgoing connections, of which any might take a port
# between its choice and the moment the engine binds it.
FIRST_PORT = 20000
LAST_PORT = 32000
ATTEMPTS = 200
RELEASE_BOUND_SECONDS = 10.0

_random = random.SystemRandom()  # two workers with one seed must not choose the same port


def choose_port(host: str) -> int:
    """Find a port that nobody is bound to, not even without listening yet.

    Raises:
        ExternalFailure: When none is found.
    """
    for _ in range(ATTEMPTS):
        port = _random.randint(FIRST_PORT, LAST_PORT)
        refusal = _refusal(host, port, reuse=False)
        if not refusal:
            return port
        if refusal == errno.EADDRNOTAVAIL:
            check_port(host, port)
    raise ExternalFailure(
        ExternalReason.PORT_TAKEN, f"no free port from {FIRST_PORT} to {LAST_PORT} on {host}"
    )


def check_port(host: str, port: int) -> None:
    """Make sure that an engine can listen on a port that the user chose.

    Raises:
        ExternalFailure: When somebody else does, or it is not allowed.
    """
    refusal = _refusal(host, port, reuse=True)
    if refusal in (errno.EACCES, errno.EPERM):
        raise ExternalFailure(
            ExternalReason.ENVIRONMENT,
            f"this user may not listen on port {port}: choose one from 1024",
        )
    if refusal == errno.EADDRNOTAVAIL:
        raise ExternalFailure(
            ExternalReason.ENVIRONMENT, f"{host} is not an address of this machine"
        )
    if refusal:
        raise ExternalFailure(
            ExternalReason.PORT_TAKEN,
            f"another program holds port {port} on {host}: end it, or let a port be chosen",
        )


def is_free(host: str, port: int) -> bool:
    """Return whether nobody listens; connections that are merely fading away do not count."""
    return not _refusal(host, port, reuse=True)


def wait_until_free(host: str, port: int) -> bool:
    """Wait a bounded time for a port that an ended engine held; return whether it is free."""
    deadline = time.monotonic() + RELEASE_BOUND_SECONDS
    while not is_free(host, port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _refusal(host: str, port: int, *, reuse: bool) -> int:
    """Return why one cannot listen there, as an error number; 0 when one can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as candidate:
        if reuse:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
            # Binding to the port of a program that listens is possible with SO_REUSEADDR on some
            # systems, listening is not.
            candidate.listen()
        except OSError as error:
            return error.errno or errno.EADDRINUSE
    return 0
