"""Files that their owner alone can read, and that no planted link leads elsewhere."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from optuna_scoot.tuning.errors import InputError


def write_file(directory: Path, name: str, text: str) -> Path:
    """Write a file so that it is either the old one or the whole new one.

    Raises:
        InputError: It cannot be written.
    """
    target = directory / name
    partial = None
    try:
        # Exclusive and with a name that nobody can know: no link waits there to be followed.
        descriptor, partial = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(partial).replace(target)
        partial = None
    except OSError as error:
        raise InputError(f"{target}: {error.strerror or error}") from None
    finally:
        if partial is not None:
            Path(partial).unlink(missing_ok=True)
    return target


def link_file(directory: Path, name: str, file: Path) -> Path:
    """Have a file under a further name, without a copy where the disk allows it.

    Args:
        directory: Of the further name.
        name: The name; what has it is replaced.
        file: Regular, its owner's alone, and replaced as a whole when it is written anew.

    Raises:
        InputError: It cannot be done.
    """
    target = directory / name
    try:
        partial = tempfile.mktemp(prefix=f".{name}.", dir=directory)
        os.link(file, partial)  # which fails where there is something of that name
        Path(partial).replace(target)
    except OSError:
        return write_file(directory, name, file.read_text(encoding="utf-8"))
    return target


def make_private(path: Path) -> None:
    """Make an empty file for its owner alone, unless one is there or none can be made."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
