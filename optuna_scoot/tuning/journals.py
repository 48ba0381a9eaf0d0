"""A study in a journal: a file that several machines append to, for shared file systems.

No server is needed, and no lock that a network file system might not have: who appends makes a
second file beside it. Nothing but JSON is read from it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import BinaryIO

from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal import JournalFileOpenLock
from optuna.storages.journal._storage import JournalStorageReplayResult

from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.private_files import make_private
from optuna_scoot.tuning.result_files import check_room
from optuna_scoot.tuning.storage_urls import JOURNAL
from optuna_scoot.tuning.storage_urls import file_of


NO_JOURNAL = "it is no journal of Optuna's"
_BEGINS = b'{"op_code":'
_PART = 1 << 16


class JournalLock(JournalFileOpenLock):
    """The lock of who appends to a journal; a record that was cut off is taken away first.

    A full disk or a power failure leaves half a line. The next record would be added to it, and
    nobody could read the journal any more. The lock is Optuna's that opens a file exclusively,
    which NFS knows since version 3, rather than the one that makes a link: whether its owner has
    died is seen by the link's target, which other machines may have under another path.

    Args:
        file: The journal.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(str(file))
        self._journal = file

    def acquire(self) -> bool:
        """Wait for the lock, and see that the journal ends with a whole line."""
        acquired = super().acquire()
        with self._journal.open("r+b") as journal:
            size = end = journal.seek(0, os.SEEK_END)
            while end > 0 and not _last_bytes(journal, end, 1).endswith(b"\n"):
                part = _last_bytes(journal, end, _PART)
                end -= len(part) - (part.rfind(b"\n") + 1)
            if end < size:
                journal.truncate(end)
        return acquired


def _last_bytes(file: BinaryIO, end: int, n: int) -> bytes:
    """Return up to ``n`` bytes of a file before a position."""
    n = min(n, end)
    file.seek(end - n)
    return file.read(n)


class JournalFile(JournalFileBackend):
    """A journal's file.

    Args:
        file: Where it is, or is to be.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(str(file), JournalLock(file))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Return the records from a number on.

        Raises:
            StorageInternalError: The file holds something else.
        """
        try:
            for record in super().read_logs(log_number_from):
                if not isinstance(record, dict) or "op_code" not in record:
                    raise StorageInternalError(NO_JOURNAL)
                yield record
        except ValueError as error:
            raise StorageInternalError(f"{NO_JOURNAL}, or it is damaged") from error


class Journal(JournalStorage):
    """Optuna's storage in a journal, which an interrupt leaves as it is in the file.

    Each process keeps in memory what the records come to, and numbers trials by counting them.
    After a Ctrl-C between two steps it would miss a record, and write to another's trial.
    """

    def _sync_with_backend(self) -> None:
        try:
            super()._sync_with_backend()
        except Exception:
            raise  # of a record that says what cannot be done; it has been counted
        except BaseException:
            # A new name as well: what this process could not do before is not to be told again.
            self._worker_id_prefix = f"{uuid.uuid4()}-"
            self._replay_result = JournalStorageReplayResult(self._worker_id_prefix)
            raise


def check_journal(url: str) -> None:
    """Check what can be seen of a journal without making it.

    Raises:
        InputError: The URL names no file, one that is no journal, or one that cannot be written.
    """
    file = file_of(url)
    if file is None or str(file) == "." or url.startswith(f"{JOURNAL}//"):
        raise InputError(f"storage {url}: name a file, as in journal:scoot.log")
    folder = file.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"storage {url}: no files can be made in {folder}")
    if file.exists():
        if not file.is_file():
            raise InputError(f"storage {url}: it is no file; name one, as in journal:scoot.log")
        if not os.access(file, os.R_OK | os.W_OK):
            raise InputError(f"storage {url}: it cannot be read and written")
        with file.open("rb") as opened:
            if not _BEGINS.startswith(begins := opened.read(len(_BEGINS))) and begins != _BEGINS:
                raise InputError(f"storage {url}: {NO_JOURNAL}: name another file")
    check_room(folder, f"storage {url}")


def open_journal(url: str) -> Journal:
    """Open a journal, and make its file where there is none.

    Raises:
        InputError: As for ``check_journal``, or it is damaged.
    """
    check_journal(url)
    file = Path(url.removeprefix(JOURNAL)).absolute()
    make_private(file)
    try:
        return Journal(JournalFile(file))
    except (StorageInternalError, KeyError, AssertionError):
        raise InputError(f"storage {url}: {NO_JOURNAL}, or it is damaged") from None
    except OSError as error:
        raise InputError(f"storage {url}: {error.strerror or error}") from None
