"""Memory of NVIDIA GPUs, so that an engine starts only when the one before has given its back.

The driver frees the memory of an ended process a moment after its end. Without `nvidia-smi` there
is nothing to wait for.
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
    """Memory in use on the GPUs that an engine with this environment sees.

    Returns:
        MiB over all these GPUs; None where there is no `nvidia-smi`, or it does not answer.
    """
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
        rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
        return sum(int(used) for index, uuid, used in rows if _is_visible(index, uuid, env))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def wait_until_released(before: int | None, env: Mapping[str, str]) -> bool:
    """Wait, for a bounded time, until no more memory is in use than before the engine.

    Args:
        before: What `used_memory_mib` gave before the engine was started.
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


def _is_visible(index: str, uuid: str, env: Mapping[str, str]) -> bool:
    """Whether CUDA_VISIBLE_DEVICES, a list of indices or of openings of UUIDs, has this GPU."""
    visible = env.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return True
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return any(name == index or (len(name) > 3 and uuid.startswith(name)) for name in names)
