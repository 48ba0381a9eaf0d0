"""Memory of NVIDIA GPUs, so that an engine starts only when the one before has freed its own.

The driver frees the memory of an ended process a moment after its end. Without ``nvidia-smi``
there is nothing to wait for.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Mapping


RELEASE_BOUND_SECONDS = 30.0
TOLERANCE_MIB = 512  # other programs come and go a little
QUERY_TIMEOUT_SECONDS = 10.0


def used_memory_mib(env: Mapping[str, str]) -> int | None:
    """Return the memory in use on the GPUs that an engine with this environment sees.

    Returns:
        MiB over all these GPUs; None where there is no ``nvidia-smi``, or it does not answer.
    """
    rows = _query(env)
    if rows is None:
        return None
    try:
        return sum(int(used) for index, uuid, used in rows if _visible(index, uuid, env))
    except ValueError:
        return None


def missing(env: Mapping[str, str]) -> list[str]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names and the machine does not have.

    Returns:
        Their names as given; none where there is no ``nvidia-smi``. CUDA itself says nothing: it
        uses those that stand before the first missing one.
    """
    rows = _query(env) if env.get("CUDA_VISIBLE_DEVICES") else None
    names = _names(env["CUDA_VISIBLE_DEVICES"]) if rows else []
    return [
        name
        for name in names
        if not name.startswith("MIG") and not any(_is(name, row[0], row[1]) for row in rows or [])
    ]


def count(env: Mapping[str, str]) -> int:
    """Return how many GPUs the machine has, 0 where there is no ``nvidia-smi`` to tell it."""
    return len(_query(env) or [])


def named(visible: str) -> tuple[str, ...]:
    """Return the GPUs of a CUDA_VISIBLE_DEVICES that CUDA takes: up to the first that is none."""
    names = [name.strip() for name in visible.split(",")]
    is_one = [name.isdigit() or name.startswith(("GPU-", "MIG-")) for name in names]
    return tuple(names[: is_one.index(False)] if False in is_one else names)


def _query(env: Mapping[str, str]) -> list[list[str]] | None:
    """Return index, UUID and MiB in use of every GPU; None where that cannot be asked."""
    if shutil.which("nvidia-smi", path=env.get("PATH")) is None:
        return None
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=index,uuid,memory.used", "--format=csv,noheader,nounits"],
            env=dict(env),
            capture_output=True,
            text=True,
            timeout=QUERY_TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
    return rows if rows and all(len(row) == 3 for row in rows) else None


def wait_until_released(before: int | None, env: Mapping[str, str]) -> bool:
    """Wait, for a bounded time, until no more memory is in use than before the engine.

    Args:
        before: What ``used_memory_mib`` returned before the engine was started.
        env: The engine's environment.

    Returns:
        False when the bound was reached first.
    """
    deadline = time.monotonic() + RELEASE_BOUND_SECONDS
    while before is not None:
        now = used_memory_mib(env)
        if now is None or now <= before + TOLERANCE_MIB:
            break
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def _visible(index: str, uuid: str, env: Mapping[str, str]) -> bool:
    """Return whether CUDA_VISIBLE_DEVICES, a list of indices or starts of UUIDs, has this GPU."""
    visible = env.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return True
    return any(_is(name, index, uuid) for name in _names(visible))


def _names(visible: str) -> list[str]:
    return [name.strip() for name in visible.split(",") if name.strip()]


def _is(name: str, index: str, uuid: str) -> bool:
    return name == index or (len(name) > 3 and uuid.startswith(name))
