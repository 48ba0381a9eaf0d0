"""Text of a file that may be compressed."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from optuna_scoot.comparison.problems.problem import CompareError


def read_text(path: Path) -> str:
    """Return a file's text, decompressed where its name ends in ``.gz``.

    Raises:
        CompareError: If it cannot be read, is damaged, or is not UTF-8.
    """
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CompareError(f"{path} is damaged, or is no text file.") from error
    except OSError as error:
        raise CompareError(f"{path} cannot be read: {error.strerror}.") from error
