"""What the kernel itself says of processes that it killed for lack of memory."""

from __future__ import annotations

from pathlib import Path


COUNTERS = Path("/proc/vmstat")
_NAME = "oom_kill"  # since Linux 4.13; those of containers and control groups are among them


def oom_kills(counters: Path = COUNTERS) -> int | None:
    """Return how many processes the kernel has killed for lack of memory since it started.

    Args:
        counters: A file of the form of ``/proc/vmstat``.

    Returns:
        The number of this machine; None where the kernel does not tell it.
    """
    try:
        lines = counters.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    pairs = (line.split() for line in lines)
    found = [int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == _NAME]
    return found[0] if found else None
