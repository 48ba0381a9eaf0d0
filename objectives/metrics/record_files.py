"""The records of a run as a file: one line a request, for questions that no metric answers."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

from objectives.metrics.records import RequestRecord


COLUMNS = (
    "index",
    "scheduled",
    "sent",
    "first_token",
    "last_token",
    "prompt_tokens",
    "output_tokens",
    "error",
)
"""Attributes of ``RequestRecord``; times are in seconds from the start of the run."""
_DIGITS = 6  # microseconds
_MODE = 0o600  # a server may put anything into an error


def write_records(
    path: Path, records: Sequence[RequestRecord], hide_secrets: Callable[[str], str] = str
) -> None:
    """Write records as a CSV file, gzipped, that its owner alone can read.

    Args:
        path: The file, ending in ``.csv.gz``; replaced where it exists.
        records: One a request, failed ones included.
        hide_secrets: Takes them out of the errors, in which a server may repeat what it was sent.

    Raises:
        OSError: It cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for record in records:
        values = [getattr(record, name) for name in COLUMNS[:-1]]
        error = "" if record.error is None else hide_secrets(record.error)
        rows.writerow([*(round(v, _DIGITS) if isinstance(v, float) else v for v in values), error])
    path.unlink(missing_ok=True)  # another may still look at the one before
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
        file.write(gzip.compress(text.getvalue().encode("utf-8"), mtime=0))
