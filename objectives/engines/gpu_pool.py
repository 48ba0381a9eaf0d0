"""The GPUs of one machine, shared out among the engines that several workers start on it.

Each GPU is a file that whoever uses it has locked. The kernel gives the locks of a process that
ends back, however it ends; the guardian of an engine holds them too, so that the GPUs of a killed
worker are free once its engine has gone, and not before.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from objectives.engines import gpus


VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL_SECONDS = 0.2
_SIZES = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")


@dataclass
class Allotment:
    """GPUs that one engine has for itself.

    Attributes:
        names: Of the GPUs, as CUDA_VISIBLE_DEVICES takes them; none where it may use all.
        locks: File descriptors; the GPUs are held as long as any process has them open.
    """

    names: tuple[str, ...] = ()
    locks: list[int] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables that show an engine these GPUs alone."""
        return {VISIBLE: ",".join(self.names)} if self.names else {}

    @property
    def facts(self) -> dict[str, str]:
        """Return what is worth knowing of a trial: its GPUs, where it had some for itself."""
        return {"gpus": ",".join(self.names)} if self.names else {}

    def give_back(self) -> None:
        """Give the GPUs back, as far as this process holds them."""
        while self.locks:
            os.close(self.locks.pop())


@dataclass(frozen=True)
class GpuPool:
    """GPUs that several processes share.

    Attributes:
        names: Of the GPUs, as CUDA_VISIBLE_DEVICES takes them.
        folder: Holds a file for each; the same for all processes that share them.
    """

    names: tuple[str, ...]
    folder: Path

    def take(self, n: int) -> Allotment:
        """Wait until ``n`` GPUs beside each other are free, and take them.

        Blocks begin at multiples of ``n``, so that two engines of one size see neighbours alike,
        and small ones do not break up what a large one needs. Who waits longest is served first.

        Args:
            n: How many, from 1 to the number of GPUs.

        Raises:
            ValueError: It is none of these.
        """
        if not 1 <= n <= len(self.names):
            raise ValueError(f"{n} of {len(self.names)} GPUs")
        blocks = [self.names[at : at + n] for at in range(0, len(self.names) - n + 1, n)]
        with self._turn():
            while True:
                for block in blocks:
                    if (locks := self._lock(block)) is not None:
                        return Allotment(block, locks)
                time.sleep(POLL_SECONDS)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the turn to look for GPUs, and have it."""
        turn = self._open("turn")
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield
        finally:
            os.close(turn)

    def _lock(self, block: Sequence[str]) -> list[int] | None:
        """Lock all GPUs of a block; None, and no lock, where one is taken."""
        locks: list[int] = []
        for name in block:
            lock = self._open(f"gpu-{name.replace('/', '-')}")
            locks.append(lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                for taken in locks:
                    os.close(taken)
                return None
        return locks

    def _open(self, name: str) -> int:
        return os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def visible_gpus(env: Mapping[str, str], n_devices: int) -> tuple[str, ...]:
    """Return the GPUs that an engine with this environment would use.

    Args:
        env: Its environment. CUDA uses the GPUs of CUDA_VISIBLE_DEVICES up to the first that is
            no GPU, as -1 is none.
        n_devices: How many the engine itself sees; 0 where it has not said.
    """
    if VISIBLE in env:
        return gpus.named(env[VISIBLE])
    return tuple(map(str, range(n_devices or gpus.count(env))))


def gpus_needed(*given: Mapping[str, Any]) -> int:
    """Return on how many GPUs an engine with these arguments runs.

    Args:
        given: Its arguments, named with underscores; a later mapping goes before an earlier.
    """
    n = 1
    for name in _SIZES:
        values = [arguments[name] for arguments in given if arguments.get(name) is not None]
        n *= int(values[-1]) if values else 1
    return n
