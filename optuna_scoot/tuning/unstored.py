"""What workers have measured and their storage has not taken yet, on this machine's disk.

While a storage is away, a worker keeps here what it would write of its trial, the values
included. Should the worker end before the storage is back, the next one on this machine that uses
the same folder writes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import NamedTuple

from optuna_scoot.tuning.private_files import write_file
from optuna_scoot.tuning.worker_identity import is_gone
from optuna_scoot.tuning.worker_identity import worker_id


_ENDING = ".json"


class Write(NamedTuple):
    """One call of a storage that changes a trial.

    Attributes:
        method: Its name.
        arguments: After the trial's id, as JSON takes them.
    """

    method: str
    arguments: list[Any]


@dataclass(frozen=True)
class LeftBehind:
    """What a worker that has ended did not get stored.

    Attributes:
        file: Holds it.
        worker: The worker's name.
        number: Of its trial.
        writes: In their order.
    """

    file: Path
    worker: str
    number: int
    writes: tuple[Write, ...]


@dataclass(frozen=True)
class Unstored:
    """A folder of such writes, a file for each trial.

    Attributes:
        folder: Made when there is something to keep.
    """

    folder: Path

    def keep(self, number: int, writes: Sequence[Write]) -> Path:
        """Keep the writes of a trial of this process, instead of those kept before.

        Args:
            number: The trial's.
            writes: All that the storage has not taken, in their order.

        Returns:
            The file.

        Raises:
            OSError: It cannot be written.
        """
        document = {"worker": worker_id(os.getpid()), "number": number, "writes": list(writes)}
        self.folder.mkdir(parents=True, exist_ok=True)
        return write_file(self.folder, self._file(number).name, json.dumps(document))

    def drop(self, number: int) -> None:
        """Forget the writes of a trial of this process: the storage has them."""
        self._file(number).unlink(missing_ok=True)

    def left_behind(self) -> Iterator[LeftBehind]:
        """Yield what workers of this machine kept that have ended."""
        for file in sorted(self.folder.glob(f"*{_ENDING}")):
            try:
                found = json.loads(file.read_text(encoding="utf-8"))
                writes = tuple(Write(*write) for write in found["writes"])
                left = LeftBehind(file, found["worker"], found["number"], writes)
            except (OSError, ValueError, LookupError, TypeError):
                continue  # taken by another worker meanwhile, or nothing of ours
            if is_gone(left.worker):
                yield left

    def _file(self, number: int) -> Path:
        return self.folder / f"trial-{number}-of-{os.getpid()}{_ENDING}"
