"""What workers have measured and their storage has not taken yet, on this machine's disk.

What a worker would write of its trial while the storage is away, the values included, it keeps
here until it is stored. Should the worker end before, the next one on this machine that uses the
same folder stores it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from optuna_scoot.tuning.private_files import write_file
from optuna_scoot.tuning.worker_identity import WORKER
from optuna_scoot.tuning.worker_identity import is_gone
from optuna_scoot.tuning.worker_identity import worker_id


if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.storages import BaseStorage
    from optuna.study import Study


FOLDER = "unstored"
"""Name of the folder below the output of a command."""
_ENDING = ".json"


class Write(NamedTuple):
    """One call of a storage that changes a trial.

    Attributes:
        method: Its name.
        arguments: After the trial's id, as JSON takes them.
    """

    method: str
    arguments: list[Any]

    @classmethod
    def of_end(cls, state: TrialState, values: Sequence[float] | None) -> Write:
        """Return the write that ends a trial."""
        listed = None if values is None else [float(value) for value in values]
        return cls("set_trial_state_values", [state.name, listed])

    @property
    def end(self) -> tuple[TrialState, list[float] | None] | None:
        """Return the state and the values of a write that ends a trial, None of any other."""
        if self.method != "set_trial_state_values":
            return None
        state, values = self.arguments
        return TrialState[state], values

    def do(self, storage: BaseStorage, trial_id: int) -> None:
        """Write it."""
        arguments = self.arguments if self.end is None else self.end
        getattr(storage, self.method)(trial_id, *arguments)


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
            OSError: The folder cannot be made.
            InputError: The file cannot be written.
        """
        document = {"worker": worker_id(os.getpid()), "number": number, "writes": list(writes)}
        self.folder.mkdir(parents=True, exist_ok=True)
        return write_file(self.folder, self._file(number).name, json.dumps(document))

    def drop(self, number: int) -> None:
        """Forget the writes of a trial of this process: the storage has them."""
        self._remove(self._file(number))

    def store(self, study: Study, note: Callable[[str], None]) -> None:
        """Store what workers of this machine left behind of a study's trials.

        A trial that others have given up meanwhile stays as it is.

        Args:
            study: Theirs, perhaps: what is of another study is left.
            note: Told of each.
        """
        for left in self._left_behind():
            trials = study.get_trials(deepcopy=False)
            of_it = (t for t in trials if t.number == left.number)
            trial = next((t for t in of_it if t.user_attrs.get(WORKER) == left.worker), None)
            if trial is None:
                continue
            if trial.state == TrialState.RUNNING and left.writes[-1].end is not None:
                with contextlib.suppress(UpdateFinishedTrialError):  # another worker did it
                    for write in left.writes:
                        write.do(study._storage, trial._trial_id)
                    note(f"trial {trial.number}: what its worker had measured is stored now")
            self._remove(left.file)

    def _left_behind(self) -> Iterator[LeftBehind]:
        """Yield what workers of this machine kept that have ended."""
        for file in sorted(self.folder.glob(f"*{_ENDING}")):
            try:
                found = json.loads(file.read_text(encoding="utf-8"))
                writes = tuple(Write(*write) for write in found["writes"])
                left = LeftBehind(file, found["worker"], found["number"], writes)
            except (OSError, ValueError, LookupError, TypeError):
                continue  # taken by another worker meanwhile, or nothing of ours
            if writes and is_gone(left.worker):
                yield left

    def _remove(self, file: Path) -> None:
        file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others may have something there
            self.folder.rmdir()

    def _file(self, number: int) -> Path:
        return self.folder / f"trial-{number}-of-{os.getpid()}{_ENDING}"
