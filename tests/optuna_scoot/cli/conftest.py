"""What the tests of the commands share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which a test runs alone; Optuna's logging is left as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTUNA_SCOOT_STORAGE", raising=False)
    before = optuna.logging.get_verbosity()
    yield tmp_path
    optuna.logging.set_verbosity(before)
